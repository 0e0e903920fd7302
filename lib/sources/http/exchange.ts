import { finished } from 'node:stream/promises'
import type { Dispatcher } from 'undici'
import { DynacodeError } from '../../errors.ts'
import { describeValue } from '../../validation/schema-error.ts'
import { createHttpClient, type HttpAnswer } from './client.ts'
import { type ApiHeaders, askHeaders, type HeadersFunction } from './request-headers.ts'

/** Where requests go, and what goes with each. */
export interface ExchangeOptions {
  readonly uri: string
  /** The option that the headers are from, for messages. */
  readonly option: string
  readonly headers: ApiHeaders | HeadersFunction
  /** The app's own; undefined: one that holds no process. */
  readonly dispatcher: Dispatcher | undefined
  /** How many redirects are followed. */
  readonly redirects: number
}

/** What is asked. */
export interface Asked {
  readonly method: 'GET' | 'POST'
  /** What the app's own headers may replace. */
  readonly defaults: Readonly<Record<string, string>>
  /** What they may not. */
  readonly conditions?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Asks one place over HTTP. */
export interface Exchange {
  /**
   * Asks, and once more where the answer is 401 and a function makes the headers. There is no deadline but the signal's.
   * Redirects lead on as far as is allowed; the app's own headers never go to another origin.
   */
  ask(asked: Asked, signal: AbortSignal): Promise<HttpAnswer>
  close(): Promise<void>
}

/** Statuses that send the client elsewhere. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** What nobody wants to read is let past up to this, so that the connection can be used again. */
const MAX_DUMPED_BYTES = 128 * 1024

export function createExchange({ uri, option, headers, dispatcher, redirects }: ExchangeOptions): Exchange {
  const client = createHttpClient(dispatcher)
  const { origin } = new URL(uri)

  async function askOnce(asked: Asked, signal: AbortSignal, renew: boolean): Promise<HttpAnswer> {
    const own_headers = await askHeaders(option, headers, renew)
    const { method, defaults, conditions, body = null } = asked
    let at = uri
    for (let left = redirects; ; left -= 1) {
      const is_home = new URL(at).origin === origin
      const answer = await client.request(at, {
        method,
        body,
        signal,
        headers: { ...defaults, ...(is_home ? own_headers : {}), ...conditions },
      })
      const location = one(answer.headers.location)
      if (!REDIRECTS.has(answer.statusCode) || left === 0 || location === undefined) return answer
      leave(answer)
      at = redirected(location, at)
    }
  }

  return Object.freeze({
    async ask(asked, signal) {
      const answer = await askOnce(asked, signal, false)
      if (answer.statusCode !== 401 || typeof headers !== 'function') return answer
      leave(answer)
      return askOnce(asked, signal, true)
    },
    close: client.close,
  } satisfies Exchange)
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

/** Lets go of an answer; whatever else it says is not waited for: it may come slowly, or never end. */
export function leave({ body }: Pick<HttpAnswer, 'body'>): void {
  body.on('error', () => undefined).destroy()
}

/** Lets a body past that is not expected to be long; what is, ends the connection. */
export async function letPass({ body }: HttpAnswer, signal: AbortSignal): Promise<void> {
  let left = MAX_DUMPED_BYTES
  body.on('data', (chunk: Uint8Array) => {
    left -= chunk.length
    if (left < 0) body.destroy()
  })
  // However it ends: what it would have said is of no interest.
  await finished(body, { signal, cleanup: true }).catch(() => leave({ body }))
  signal.throwIfAborted()
}

/** Retry-After, in seconds or as a date (RFC 9110, 10.2.3), as milliseconds from now. */
export function readRetryAfter({ headers }: HttpAnswer): number | undefined {
  const header = one(headers['retry-after'])
  if (header === undefined) return undefined
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now())
}

/** The first of a header's values. */
export function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}

/** The address for messages: user, password and query may be secrets. */
export function withoutSecrets(uri: string): string {
  const { origin, pathname } = new URL(uri)
  return origin + pathname
}
