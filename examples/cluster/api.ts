// A plugin API over a source: it answers at once, or holds its answer back until there is something new.
import type { RequestListener } from 'node:http'
import type { Source } from 'dynacode'
import { document_api } from 'dynacode/tools'

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
  const api = document_api()

  async function read(): Promise<void> {
    try {
      const fetched = await source.fetch(closing.signal, undefined)
      if (!fetched.unchanged) api.publish(fetched.bytes)
    } catch (error) {
      if (!closing.signal.aborted) failed(error as Error)
    }
  }

  const unwatch = source.watch?.(() => void read())
  void read()

  return {
    listener: api.listener,
    close() {
      unwatch?.()
      closing.abort()
    },
  }
}
