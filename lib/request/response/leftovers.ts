import { validateHeaderValue } from 'node:http'
import { Stream } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import type { Phase } from '../../document.ts'
import { DynacodeError } from '../../errors.ts'
import { readHeader } from './head.ts'
import type { HeaderChange, HeaderValue, Writable, WrittenHead } from './header-changes.ts'

/** What a plugin may have changed, and how it was before. */
interface Before {
  readonly request: Writable
  readonly looks: boolean
  readonly plugin: { readonly phase: Phase }
  /** The last header that had been written. */
  readonly written: HeaderChange | null
  readonly status: number
  readonly message: string
  readonly body: unknown
}

/** Headers that are the connection's own: HTTP/2 forbids them (RFC 9113, 8.2.2). */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])
/** Headers that may be right by themselves, and wrong with the body or the protocol. */
const OF_THE_BODY: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'trailer'])
/** Phases that come before there can be a body of the app's. */
const BEFORE_THE_APP: ReadonlySet<Phase> = new Set(['rewrite', 'access', 'balancer'])

/**
 * Looks at what a plugin left in status, message, headers and body: Node would find fault with it only when it is sent, where
 * nobody can tell whose it was, and often nobody catches what is thrown. What a protocol does not know is left out.
 *
 * @returns why it cannot be sent; undefined when it can
 */
export function checkLeftovers(before: Before, body: unknown): DynacodeError | undefined {
  const { res } = before.request.ctx
  try {
    if (body !== before.body) checkBody(body)
    if (res.headersSent) return undefined
    if (res.statusCode !== before.status) checkStatus(res.statusCode)
    if (!isHttp2(res) && res.statusMessage !== before.message) checkMessage(res.statusMessage)
  } catch (error) {
    return toRefusal(error)
  }
  return checkHeaders(before, body)
}

/** As `checkLeftovers`, where nothing but headers can have been changed. */
export function checkHeaders(before: Before, body: unknown): DynacodeError | undefined {
  const { request, written } = before
  const { head } = request
  if (head === null || head.res.headersSent) return undefined
  try {
    for (let change = head.newest; change !== null && change !== written; change = change.earlier) {
      checkHeader(before, head, body, change.name)
    }
    return undefined
  } catch (error) {
    return toRefusal(error)
  }
}

function toRefusal(error: unknown): DynacodeError {
  if (error instanceof DynacodeError) return error
  return refusal(error instanceof Error ? error.message : 'a header has no text', error)
}

function refusal(message: string, cause?: unknown): DynacodeError {
  return new DynacodeError(
    'ERR_DYNACODE_RESPONSE',
    `this cannot be sent: ${message}`,
    cause === undefined ? {} : { cause },
  )
}

/** 1xx are no answer: the client would go on to wait for one. */
function checkStatus(status: unknown): void {
  const code = typeof status === 'string' ? Number(status) : status
  if (!Number.isInteger(code) || (code as number) < 200 || (code as number) > 999) {
    throw refusal(`status ${String(status)}`)
  }
}

function checkMessage(message: unknown): void {
  if (message === undefined || message === null) return
  if (typeof message !== 'string') throw refusal(`a status message of type ${typeof message}`)
  validateHeaderValue('status message', message)
}

function checkHeader({ plugin, looks }: Before, head: WrittenHead, body: unknown, name: string): void {
  const { res, methods, http2 } = head
  const value = readHeader(head, looks, name)
  if (value === undefined) return
  if (!http2 && isChecked(name, value)) return
  if (http2 ? OF_THE_CONNECTION.has(name) : name === 'transfer-encoding' && isOld(res)) {
    methods.removeHeader.call(res, name)
    return
  }
  const text = toText(value)
  for (const each of [text].flat()) validateHeaderValue(name, each)
  // Objects are made text of once, here, and not again when they are sent.
  if (typeof value === 'object' && (!Array.isArray(value) || value.some((each) => typeof each !== 'string'))) {
    methods.setHeader.call(res, name, text)
  }
  if (name === 'content-length') checkLength(plugin.phase, res.req.method, String(text), body)
  const length = readHeader(head, looks, 'content-length')
  if (name === 'transfer-encoding' && (String(text).toLowerCase() !== 'chunked' || length !== undefined)) {
    throw refusal(`Transfer-Encoding: ${text}`)
  }
  if (name === 'trailer' && !http2 && (isOld(res) || length !== undefined)) {
    throw refusal('the header Trailer, with a body that is not sent in chunks')
  }
}

function isHttp2({ req }: WrittenHead['res']): boolean {
  return req.httpVersionMajor >= 2
}

function isOld({ req }: WrittenHead['res']): boolean {
  return req.httpVersionMajor === 1 && req.httpVersionMinor === 0
}

/** Whether Node has looked at a header when it was set, and has nothing to find fault with later. */
function isChecked(name: string, value: HeaderValue): boolean {
  return (typeof value === 'string' || typeof value === 'number') && !OF_THE_BODY.has(name)
}

function toText(value: HeaderValue): string | string[] {
  return Array.isArray(value) ? value.map((each) => `${each}`) : `${value}`
}

function checkLength(phase: Phase, method: string | undefined, text: string, body: unknown): void {
  const length = Number(text)
  const known = typeof body === 'string' || Buffer.isBuffer(body) ? Buffer.byteLength(body) : undefined
  const isUseless = body == null && BEFORE_THE_APP.has(phase) && method !== 'HEAD'
  if (!/^\d+$/.test(text) || isUseless || (known !== undefined && known !== length)) {
    throw refusal(`Content-Length: ${text}${known === undefined ? '' : `, with a body of ${known} bytes`}`)
  }
}

function checkBody(body: unknown): void {
  if (typeof body === 'function' || typeof body === 'symbol' || typeof body === 'bigint') {
    throw refusal(`a ${typeof body} as the body`)
  }
  if (typeof body !== 'object' || body === null) return
  if (isUnreadable(body)) throw refusal('a stream that cannot be read as the body')
  const isUsed = (body instanceof ReadableStream && body.locked) || (body instanceof Response && body.bodyUsed)
  if (isUsed) throw refusal('a body that somebody else has read')
}

/** Streams of old need not say that they can be read. */
function isUnreadable(body: object): boolean {
  const { readable, write } = body as { readable?: boolean; write?: unknown }
  return body instanceof Stream && !(readable ?? typeof write !== 'function')
}
