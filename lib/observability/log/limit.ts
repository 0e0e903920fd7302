import { LRUCache } from 'lru-cache'
import type { PluginInfo } from '../../events/table.ts'
import { createTokenBucket, type TokenBucket } from '../../time/token-bucket.ts'

/** Keeps a log from being flooded. */
export interface LogLimit {
  /**
   * Asks whether one more line of this kind may be written.
   *
   * @returns how many like it were not written since the last one that was; undefined: this one is not, either
   */
  admit(kind: string, plugin: PluginInfo | undefined): number | undefined
}

/** So many lines of one kind about one plugin at once, and so many a second after that. */
const OF_PLUGIN = { burst: 10, per_second: 1 }
/** The same for all plugins together: where everything fails, a sample says as much. */
const OF_KIND = { burst: 100, per_second: 20 }
/** How many plugins are told apart. Beyond that the limit of the kind holds. */
const MAX_KEYS = 1000

interface Entry {
  readonly bucket: TokenBucket
  suppressed: number
}

/**
 * Makes the limit of one instance. Its memory does not grow with what is logged.
 *
 * @param of_plugin how many lines of one kind about one plugin at once, and how many a second after that
 */
export function createLogLimit(of_plugin = OF_PLUGIN): LogLimit {
  const kinds = new Map<string, TokenBucket>()
  // `max` would set room for all of them aside at once.
  const entries = new LRUCache<string, Entry>({ maxSize: MAX_KEYS, sizeCalculation: () => 1 })

  function bucketOf(kind: string): TokenBucket {
    const bucket = kinds.get(kind) ?? createTokenBucket(OF_KIND.burst, OF_KIND.per_second)
    kinds.set(kind, bucket)
    return bucket
  }

  function entryOf(key: string): Entry {
    const entry = entries.get(key) ?? {
      bucket: createTokenBucket(of_plugin.burst, of_plugin.per_second),
      suppressed: 0,
    }
    entries.set(key, entry)
    return entry
  }

  return Object.freeze({
    admit(kind, plugin) {
      const entry = entryOf(
        plugin === undefined ? kind : JSON.stringify([kind, plugin.domain, plugin.name, plugin.phase]),
      )
      const all = bucketOf(kind)
      if (entry.bucket.peek() > 0 || all.peek() > 0) {
        entry.suppressed += 1
        return undefined
      }
      entry.bucket.take()
      all.take()
      const { suppressed } = entry
      entry.suppressed = 0
      return suppressed
    },
  } satisfies LogLimit)
}
