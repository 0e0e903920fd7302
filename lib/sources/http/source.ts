import { type Dispatcher, request } from 'undici'
import { DynacodeError } from '../../errors.ts'
import { describeValue } from '../../validation/schema-error.ts'
import { ACCEPT_ENCODING } from '../content-coding.ts'
import type { Fetched, Source } from '../contract.ts'
import { withoutSecrets } from './address.ts'
import { leave, letPass, one, readRetryAfter } from './answer.ts'
import { type BodyHeaders, readBody } from './body-reader.ts'
import { createLongPoll } from './long-poll.ts'
import { type ApiHeaders, askHeaders, type HeadersFunction } from './request-headers.ts'
import { StatusError } from './status-error.ts'
import { createUnheldAgent } from './unheld-agent.ts'

/** What the HTTP source needs of the options. */
export interface HttpSourceOptions {
  readonly plugin_api_uri: string
  readonly plugin_api_headers: ApiHeaders | HeadersFunction
  readonly plugin_api_dispatcher: Dispatcher | undefined
  readonly plugin_api_max_bytes: number
  readonly plugin_api_redirects: number
  readonly plugin_api_wait: number
  readonly plugin_api_timeout: number
  readonly plugin_api_polling_interval: number
}

/** Statuses that send the client elsewhere. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/**
 * Fetches documents by conditional GET. Redirects are errors unless `plugin_api_redirects` allows some: the document
 * decides what code runs, and comes from where it was configured to come from. Headers of `plugin_api_headers` never go
 * to another origin.
 *
 * @param hashed told the SHA-1 of what it returns, in hex: that is known when the last byte comes
 */
export function createHttpSource(
  options: HttpSourceOptions,
  hashed: (bytes: Uint8Array, sha1: string) => void = () => undefined,
): Source {
  const { plugin_api_uri, plugin_api_headers, plugin_api_dispatcher, plugin_api_max_bytes, plugin_api_redirects } =
    options
  const own = plugin_api_dispatcher === undefined ? createUnheldAgent() : undefined
  const dispatcher = plugin_api_dispatcher ?? (own as Dispatcher)
  const shown = withoutSecrets(plugin_api_uri)

  async function ask(signal: AbortSignal, asked: Asked, renew: boolean): Promise<Dispatcher.ResponseData> {
    const own_headers = await askHeaders('plugin_api_headers', plugin_api_headers, renew)
    let uri = plugin_api_uri
    for (let left = plugin_api_redirects; ; left -= 1) {
      const headers: Record<string, string> = {
        accept: 'application/json',
        'accept-encoding': ACCEPT_ENCODING,
        ...(new URL(uri).origin === new URL(plugin_api_uri).origin ? own_headers : {}),
      }
      if (asked.last !== undefined) headers['if-none-match'] = asked.last
      // RFC 7240, 4.3
      if (asked.wait !== undefined) headers.prefer = `wait=${asked.wait}`
      // The deadline is the signal's.
      const response = await request(uri, {
        method: 'GET',
        headers,
        dispatcher,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      const location = one(response.headers.location)
      if (!REDIRECTS.has(response.statusCode) || left === 0 || location === undefined) return response
      leave(response)
      uri = redirected(location, uri)
    }
  }

  async function get(signal: AbortSignal, asked: Asked): Promise<Fetched> {
    let response = await ask(signal, asked, false)
    if (response.statusCode === 401 && typeof plugin_api_headers === 'function') {
      leave(response)
      response = await ask(signal, asked, true)
    }
    const { statusCode: status, body, headers } = response
    if (status === 304 && asked.last !== undefined) {
      await letPass(response, signal)
      return { unchanged: true, status }
    }
    if (status !== 200) {
      leave(response)
      throw new StatusError(status, shown, readRetryAfter(one(headers['retry-after'])))
    }
    if (/^\s*text\/html\b/i.test(one(headers['content-type']) ?? '')) {
      leave(response)
      const message = `${shown} answered with a page of HTML, expected JSON: is there a portal or proxy in between?`
      throw new DynacodeError('ERR_DYNACODE_FETCH_CONTENT', message)
    }
    const { bytes, sha1 } = await readBody(body, only(headers), plugin_api_max_bytes, signal)
    hashed(bytes, sha1)
    return { bytes, tag: readTag(one(headers.etag)), status }
  }

  const close = () => own?.destroy()
  if (options.plugin_api_wait === 0)
    return Object.freeze<Source>({ fetch: (signal, last) => get(signal, { last }), close })
  const long_poll = createLongPoll({
    get: (signal, last) => get(signal, { last, wait: options.plugin_api_wait }),
    longest_ms: (options.plugin_api_wait + options.plugin_api_timeout) * 1000,
    pause_ms: options.plugin_api_polling_interval * 1000,
  })
  return Object.freeze({
    async fetch(signal, last) {
      const fetched = long_poll.take() ?? (await get(signal, { last }))
      long_poll.saw(fetched, last)
      return fetched
    },
    watch: long_poll.watch,
    close,
  } satisfies Source)
}

/** The headers that say how a body is to be read, each of them once. */
function only(headers: Dispatcher.ResponseData['headers']): BodyHeaders {
  return {
    'content-encoding': one(headers['content-encoding']),
    'content-length': one(headers['content-length']),
  }
}

/** What a request asks for. */
interface Asked {
  readonly last: string | undefined
  /** How long the API may wait for something newer, in seconds. */
  readonly wait?: number
}

function redirected(location: string, from: string): string {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined
  const downgraded = target?.protocol === 'http:' && from.startsWith('https:')
  if (target !== undefined && /^https?:$/.test(target.protocol) && !downgraded) return target.href
  // A redirect that keeps the query keeps the token in it.
  const shown = describeValue(location.replace(/\/\/[^/]*@/, '//…@').replace(/[?#].*$/s, '?…'))
  const message = `the plugin API redirects to ${shown}, expected an address as safe as its own`
  throw new DynacodeError('ERR_DYNACODE_FETCH', message)
}

/** An ETag, if it can be sent back: one that cannot would make every later request fail. */
function readTag(etag: string | undefined): string | undefined {
  return etag !== undefined && /^[\x20-\x7e]+$/.test(etag) ? etag : undefined
}
