import { LRUCache } from 'lru-cache'
import type { Clock } from '../time/clock.ts'

/** Entries the store holds at most; the least recently used go first. */
const MAX_ENTRIES = 10_000

/**
 * A place for plugins to keep things between requests: one per instance and process, shared by all plugins, outliving
 * every change of them. Bounded: what was not used for longest goes when 10 000 keys are held.
 */
export interface Store {
  /** The value, or undefined when there is none or its time is over. */
  get(key: string): unknown
  /**
   * Keeps a value.
   *
   * @param ttl_seconds how long; without it until it is displaced
   */
  set(key: string, value: unknown, ttl_seconds?: number): void
  /** Keeps a value if there is none under the key; returns whether it did. */
  add(key: string, value: unknown, ttl_seconds?: number): boolean
  /**
   * Adds to a number, and returns the sum. A key without a value begins at `initial`.
   *
   * @param ttl_seconds for a new key; one that is there keeps its end
   * @throws TypeError when there is a value that is no number
   */
  incr(key: string, by?: number, initial?: number, ttl_seconds?: number): number
  /** Forgets a key; returns whether there was one. */
  delete(key: string): boolean
}

/**
 * Makes the store of one instance.
 *
 * @param clock by which values end; without one by how long the process has run, which no setting of the clock can change
 */
export function createStore(clock?: Clock): Store {
  // lru-cache takes 0 for no time at all, and by itself remembers for a moment what time it is.
  const time = clock && { perf: { now: () => clock.now() || 1 }, ttlResolution: 0 }
  // `max` would set room for all of them aside at once.
  const entries = new LRUCache<string, { value: unknown }>({ maxSize: MAX_ENTRIES, sizeCalculation: () => 1, ...time })
  const keep = (key: string, value: unknown, ttl_seconds: number | undefined) => {
    entries.set(key, { value }, ttl_seconds === undefined ? {} : { ttl: toMilliseconds(ttl_seconds) })
  }

  return Object.freeze({
    get: (key) => entries.get(key)?.value,
    set: keep,
    add(key, value, ttl_seconds) {
      if (entries.get(key) !== undefined) return false
      keep(key, value, ttl_seconds)
      return true
    },
    incr(key, by = 1, initial = 0, ttl_seconds) {
      const entry = entries.get(key)
      const sum = toNumber(key, entry === undefined ? initial : entry.value) + toNumber('by', by)
      if (entry === undefined) keep(key, sum, ttl_seconds)
      else entry.value = sum
      return sum
    },
    delete: (key) => entries.delete(key),
  } satisfies Store)
}

function toMilliseconds(ttl_seconds: number): number {
  if (typeof ttl_seconds === 'number' && ttl_seconds > 0 && Number.isFinite(ttl_seconds))
    return Math.ceil(ttl_seconds * 1000)
  throw new TypeError(`store: expected ttl_seconds above 0, got ${String(ttl_seconds)}`)
}

function toNumber(what: string, value: unknown): number {
  if (typeof value === 'number') return value
  throw new TypeError(`store.incr: expected a number for ${JSON.stringify(what)}, got ${typeof value}`)
}
