import { createHash } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'

/** A plugin API for one document at a time. */
export interface DocumentApi {
  readonly listener: RequestListener
  /** Serves these bytes from now on, and sends them to all waiting clients at once. */
  publish(bytes: Uint8Array): void
}

/** Longest time that an answer is held back, in seconds. */
const LONGEST_WAIT = 60

/**
 * Creates an API with ETags, 304 for an unchanged document, and long polling (`Prefer: wait=…`, RFC 7240). It answers 503
 * before there is a document.
 */
export function createDocumentApi(): DocumentApi {
  const waiting = new Set<() => void>()
  let current: { readonly bytes: Uint8Array; readonly etag: string } | undefined

  function answer(response: ServerResponse, asked: string | undefined): void {
    if (current === undefined) return void response.writeHead(503, { 'Retry-After': '1' }).end()
    const { bytes, etag } = current
    if (etag === asked) return void response.writeHead(304, { ETag: etag }).end()
    response.writeHead(200, { 'Content-Type': 'application/json', ETag: etag, 'Cache-Control': 'no-cache' }).end(bytes)
  }

  return Object.freeze({
    listener({ method, headers }, response) {
      if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405, { Allow: 'GET, HEAD' }).end()
      const asked = headers['if-none-match']
      const wait = Math.min(Number(/\bwait=(\d+)/.exec(String(headers.prefer))?.[1] ?? 0), LONGEST_WAIT)
      if (wait === 0 || asked !== current?.etag) return answer(response, asked)
      const stop = () => {
        clearTimeout(timer)
        waiting.delete(done)
      }
      const done = () => {
        stop()
        if (!response.destroyed) answer(response, asked)
      }
      const timer = setTimeout(done, wait * 1000).unref()
      waiting.add(done)
      response.once('close', stop)
    },
    publish(bytes) {
      const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`
      if (etag === current?.etag) return
      current = { bytes, etag }
      for (const done of [...waiting]) done()
    },
  } satisfies DocumentApi)
}
