import type { Refresh } from './refresher.ts'
import { StatusError } from './status-error.ts'

/** Never sooner than this after a failure, in milliseconds. */
const SHORTEST_MS = 100
/** Longest time that a Retry-After header is taken at its word, in milliseconds: an hour. */
const LONGEST_RETRY_AFTER_MS = 3_600_000

/** Tells how long to wait after a cycle; undefined: as usual. */
export type Backoff = (refresh: Refresh) => number | undefined

/**
 * Makes the backoff of one instance: exponential, with full jitter, so that many processes neither press a failing API
 * nor come back to it together.
 *
 * @param interval_ms the usual time between polls; the first wait is random up to twice that, which keeps the load what
 *   it was, and each later one up to twice the one before
 * @param max_ms the longest wait
 */
export function createBackoff(interval_ms: number, max_ms: number): Backoff {
  let failures = 0

  return (refresh) => {
    if (refresh.updated || refresh.reason !== 'fetch') {
      const recovered = failures > 0
      failures = 0
      // An outage leaves its mark on who polls when; without this, every later interval would show it.
      return recovered ? Math.random() * 1.5 * interval_ms : undefined
    }
    failures += 1
    const ceiling_ms = Math.min(max_ms, interval_ms * 2 ** Math.min(failures, 30))
    const wait_ms = Math.max(Math.random() * ceiling_ms, Math.min(SHORTEST_MS, ceiling_ms))
    const { error } = refresh
    const asked_ms = error instanceof StatusError ? error.retry_after_ms : undefined
    if (asked_ms === undefined) return wait_ms
    // Everybody was told the same moment.
    const until_ms = Math.min(asked_ms, LONGEST_RETRY_AFTER_MS) + Math.random() * interval_ms
    // An API that fails and asks for no pause gets the usual one.
    return Math.max(until_ms, wait_ms)
  }
}
