// A plugin API that answers at once, or holds its answer back until there is something new (`Prefer: wait=…`, RFC 7240).
import { createHash } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'
import type { Source } from 'dynacode'

/** The document as it is now, and its ETag. */
interface Current {
  readonly bytes: Uint8Array
  readonly etag: string
}

/** Longest time that an answer is held back, in seconds. */
const LONGEST_WAIT = 60

/**
 * Serves what a source has.
 *
 * @param source one that can be watched
 * @param failed told when it cannot be read; what it had before is served meanwhile
 */
export function createApi(
  source: Source,
  failed: (error: Error) => void,
): { listener: RequestListener; close(): void } {
  const closing = new AbortController()
  const waiting = new Set<() => void>()
  let current: Current | undefined

  async function read(): Promise<void> {
    try {
      const fetched = await source.fetch(closing.signal, undefined)
      if (fetched.unchanged) return
      const etag = `"${createHash('sha256').update(fetched.bytes).digest('base64url')}"`
      if (etag === current?.etag) return
      current = { bytes: fetched.bytes, etag }
      for (const answer of [...waiting]) answer()
    } catch (error) {
      if (!closing.signal.aborted) failed(error as Error)
    }
  }

  function answer(response: ServerResponse, asked: string | undefined): void {
    if (current === undefined) response.writeHead(503, { 'Retry-After': '1' }).end()
    else if (current.etag === asked) response.writeHead(304, { ETag: current.etag }).end()
    else response.writeHead(200, { 'Content-Type': 'application/json', ETag: current.etag }).end(current.bytes)
  }

  const unwatch = source.watch?.(() => void read())
  void read()

  return {
    listener({ headers }, response) {
      const asked = headers['if-none-match']
      const wait = Math.min(Number(/\bwait=(\d+)/.exec(String(headers.prefer))?.[1] ?? 0), LONGEST_WAIT)
      if (wait === 0 || asked !== current?.etag) return answer(response, asked)
      const done = () => {
        clearTimeout(timer)
        waiting.delete(done)
        if (!response.destroyed) answer(response, asked)
      }
      const timer = setTimeout(done, wait * 1000).unref()
      waiting.add(done)
      response.once('close', () => {
        clearTimeout(timer)
        waiting.delete(done)
      })
    },
    close() {
      unwatch?.()
      closing.abort()
    },
  }
}
