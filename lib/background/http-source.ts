import { Agent, buildConnector, type Dispatcher, request } from 'undici'
import { ACCEPT_ENCODING } from '../content-coding.ts'
import { DynacodeError } from '../errors.ts'
import { type ApiHeaders, apiHeadersSchema } from '../options.ts'
import { describeKind, describeMismatch } from '../schema-error.ts'
import type { Source } from '../source.ts'
import { readBody } from './body-reader.ts'

/** The API did not answer with a document, but with a status. */
export class StatusError extends DynacodeError {
  /** The HTTP status that came. */
  readonly status: number

  constructor(status: number, uri: string) {
    // 304 only comes here when nothing was asked that it could answer.
    super('ERR_DYNACODE_FETCH_STATUS', `${uri} answered ${status}, expected 200${status === 304 ? '' : ' or 304'}`)
    this.status = status
  }
}

/** What the HTTP source needs of the options. */
export interface HttpSourceOptions {
  readonly plugin_api_uri: string
  readonly plugin_api_headers: ApiHeaders | (() => ApiHeaders | Promise<ApiHeaders>)
  readonly plugin_api_dispatcher: Dispatcher | undefined
  readonly plugin_api_max_bytes: number
}

/**
 * Fetches documents by conditional GET. Redirects are not followed: the document decides what code runs, and comes from
 * where it was configured to come from.
 */
export function createHttpSource(options: HttpSourceOptions): Source {
  const { plugin_api_uri, plugin_api_headers, plugin_api_dispatcher, plugin_api_max_bytes } = options
  const own = plugin_api_dispatcher === undefined ? createAgent() : undefined
  const dispatcher = plugin_api_dispatcher ?? (own as Dispatcher)
  const shown = withoutSecrets(plugin_api_uri)

  return Object.freeze({
    async fetch(signal, last) {
      const headers: Record<string, string> = {
        accept: 'application/json',
        'accept-encoding': ACCEPT_ENCODING,
        ...lowerCaseKeys(await askHeaders(plugin_api_headers)),
      }
      if (last !== undefined) headers['if-none-match'] = last
      const response = await request(plugin_api_uri, { method: 'GET', headers, dispatcher, signal })
      const { statusCode: status, body } = response
      if (status === 304 && last !== undefined) {
        await body.dump({ limit: 0, signal })
        return { unchanged: true, status }
      }
      if (status !== 200) {
        // Whatever else it says is not waited for: it may come slowly, or never end.
        body.on('error', () => undefined).destroy()
        throw new StatusError(status, shown)
      }
      const encoding = one(response.headers['content-encoding'])
      const bytes = await readBody(body, encoding, plugin_api_max_bytes, signal)
      return { bytes, tag: readTag(one(response.headers.etag)), status }
    },
    close: () => own?.destroy(),
  } satisfies Source)
}

/** An agent whose sockets never keep the process alive, whatever they are doing. */
function createAgent(): Agent {
  const connect = buildConnector({})
  return new Agent({
    connect(options, callback) {
      const socket = connect(options, callback) as unknown as { unref(): void; ref(): unknown } | undefined
      // undici holds the process while a request is under way; a refresh is no reason to stay.
      if (socket !== undefined) {
        socket.unref()
        socket.ref = () => socket
      }
    },
  })
}

async function askHeaders(given: HttpSourceOptions['plugin_api_headers']): Promise<ApiHeaders> {
  if (typeof given !== 'function') return given
  let came: unknown
  try {
    came = await given()
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new DynacodeError('ERR_DYNACODE_FETCH', `plugin_api_headers() failed: ${message}`, { cause })
  }
  const headers = apiHeadersSchema.safeParse(came)
  if (headers.success) return headers.data
  const { path, message } = describeMismatch(headers.error, came, describeKind)
  throw new DynacodeError('ERR_DYNACODE_FETCH', `plugin_api_headers(): ${path === '' ? '' : `${path}: `}${message}`)
}

/** An ETag, if it can be sent back: one that cannot would make every later request fail. */
function readTag(etag: string | undefined): string | undefined {
  return etag !== undefined && /^[\x20-\x7e]+$/.test(etag) ? etag : undefined
}

function lowerCaseKeys(headers: ApiHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}

/** The address for messages: user, password and query may be secrets. */
function withoutSecrets(uri: string): string {
  const { origin, pathname } = new URL(uri)
  return origin + pathname
}
