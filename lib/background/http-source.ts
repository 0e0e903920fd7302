import { Agent, buildConnector, type Dispatcher, request } from 'undici'
import { ACCEPT_ENCODING } from '../content-coding.ts'
import { DynacodeError } from '../errors.ts'
import type { Source } from '../source.ts'
import { readBody } from './body-reader.ts'

/** The API did not answer with a document, but with a status. */
export class StatusError extends DynacodeError {
  /** The HTTP status that came. */
  readonly status: number

  constructor(status: number, uri: string) {
    super('ERR_DYNACODE_FETCH_STATUS', `${uri} answered ${status}, expected 200 or 304`)
    this.status = status
  }
}

/** What the HTTP source needs of the options. */
export interface HttpSourceOptions {
  readonly plugin_api_uri: string
  readonly plugin_api_headers: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)
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
      const given = typeof plugin_api_headers === 'function' ? await plugin_api_headers() : plugin_api_headers
      const headers: Record<string, string> = {
        accept: 'application/json',
        'accept-encoding': ACCEPT_ENCODING,
        ...lowerCaseKeys(given),
      }
      if (last !== undefined) headers['if-none-match'] = last
      const response = await request(plugin_api_uri, { method: 'GET', headers, dispatcher, signal })
      const { statusCode: status, body } = response
      if (status !== 200) {
        await body.dump({ limit: 64 * 1024, signal }).catch(() => undefined)
        if (status === 304 && last !== undefined) return { unchanged: true, status }
        throw new StatusError(status, shown)
      }
      const encoding = one(response.headers['content-encoding'])
      const bytes = await readBody(body, encoding, plugin_api_max_bytes, signal)
      return { bytes, tag: one(response.headers.etag), status }
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

function lowerCaseKeys(headers: Record<string, string>): Record<string, string> {
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
