import { createHash } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'
import { DELTA } from '../sources/http/delta.ts'
import { createDelta } from './create-delta.ts'

/** A plugin API for one document at a time. */
export interface DocumentApi {
  readonly listener: RequestListener
  /** Serves these bytes from now on, and sends them to all waiting clients at once. Do not change them afterwards. */
  publish(bytes: Uint8Array): void
}

/** Longest time that an answer is held back, in seconds. */
const LONGEST_WAIT = 60

/** Earlier documents against which changes are served. */
const EARLIER = 4

/** A document that is served, or was. */
interface Served {
  readonly bytes: Uint8Array
  readonly etag: string
}

/**
 * Creates an API with ETags, 304 for an unchanged document, long polling (`Prefer: wait=…`, RFC 7240), and deltas against the
 * last few documents (`A-IM`, RFC 3229). It answers 503 before there is a document.
 */
export function createDocumentApi(): DocumentApi {
  const waiting = new Set<() => void>()
  let current: Served | undefined
  let earlier: readonly Served[] = []
  /** What changed since each of the earlier ones, by their ETags: it is found out when somebody asks. */
  const deltas = new Map<string, string | undefined>()

  function deltaFrom({ bytes, etag }: Served, now: Served): string | undefined {
    if (!deltas.has(etag)) deltas.set(etag, createDelta(bytes, now.bytes))
    return deltas.get(etag)
  }

  function answer(response: ServerResponse, asked: string | undefined, isDelta: boolean): void {
    if (current === undefined) return void response.writeHead(503, { 'Retry-After': '1' }).end()
    const { bytes, etag } = current
    if (etag === asked) return void response.writeHead(304, { ETag: etag }).end()
    const type = { 'Content-Type': 'application/json', ETag: etag }
    const before = isDelta ? earlier.find((each) => each.etag === asked) : undefined
    const delta = before && deltaFrom(before, current)
    if (before !== undefined && delta !== undefined) {
      // No cache on the way may take it for the document.
      const manipulated = { IM: DELTA, 'Delta-Base': before.etag, 'Cache-Control': 'no-store' }
      response.writeHead(226, 'IM Used', { ...type, ...manipulated }).end(delta)
    } else response.writeHead(200, { ...type, 'Cache-Control': 'no-cache' }).end(bytes)
  }

  return Object.freeze({
    listener({ method, headers }, response) {
      if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405, { Allow: 'GET, HEAD' }).end()
      const asked = headers['if-none-match']
      const isDelta = method === 'GET' && takesDelta(headers['a-im'])
      const wait = Math.min(Number(/\bwait=(\d+)/.exec(String(headers.prefer))?.[1] ?? 0), LONGEST_WAIT)
      if (wait === 0 || asked !== current?.etag) return answer(response, asked, isDelta)
      const stop = () => {
        clearTimeout(timer)
        waiting.delete(done)
      }
      const done = () => {
        stop()
        if (!response.destroyed) answer(response, asked, isDelta)
      }
      const timer = setTimeout(done, wait * 1000).unref()
      waiting.add(done)
      response.once('close', stop)
    },
    publish(bytes) {
      const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`
      if (etag === current?.etag) return
      if (current !== undefined) earlier = [current, ...earlier.filter((each) => each.etag !== etag)].slice(0, EARLIER)
      deltas.clear()
      current = { bytes, etag }
      for (const done of [...waiting]) done()
    },
  } satisfies DocumentApi)
}

/** Whether a client takes deltas, by its header `A-IM`. */
function takesDelta(header: string | string[] | undefined): boolean {
  return String(header ?? '')
    .split(',')
    .some((each) => each.trim() === DELTA)
}
