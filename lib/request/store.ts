import { LRUCache } from 'lru-cache'
import type { Clock } from '../time/clock.ts'

/** Entries the store holds at most; the least recently used go first. */
const MAX_ENTRIES = 10_000

/**
 * Keeps values between requests. There is one store per instance and process. All plugins share it, and it survives every
 * change of the document. It holds 10 000 keys; beyond that, the least recently used one is removed.
 */
export interface Store {
  /** Returns the value, or undefined if there is none or it has expired. */
  get(key: string): unknown
  /**
   * Stores a value.
   *
   * @param ttl_seconds how long the value is kept. Without it, until it is evicted
   */
  set(key: string, value: unknown, ttl_seconds?: number): void
  /** Stores a value if the key has none. Returns whether it did. */
  add(key: string, value: unknown, ttl_seconds?: number): boolean
  /**
   * Adds to a number, and returns the sum. A key without a value starts at `initial`.
   *
   * @param ttl_seconds applies to a new key only. An existing key expires as before
   * @throws TypeError if the value is not a number
   */
  incr(key: string, by?: number, initial?: number, ttl_seconds?: number): number
  /** Removes a key. Returns whether it existed. */
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
