import { retryAfterOf } from '../sources/http/status-error.ts'
import { createFailureWait } from '../time/failure-wait.ts'
import type { Refresh } from './refresh.ts'

/** Tells how long to wait after a cycle; undefined: as usual. */
export type Backoff = (refresh: Refresh) => number | undefined

/**
 * Makes the backoff of one instance.
 *
 * @param interval_ms the usual time between polls; the first wait is random up to twice that, which keeps the load what
 *   it was
 * @param max_ms the longest wait
 */
export function createBackoff(interval_ms: number, max_ms: number): Backoff {
  const waits = createFailureWait(interval_ms, max_ms)

  return (refresh) => {
    if (refresh.updated || refresh.reason !== 'fetch') {
      // An outage leaves its mark on who polls when; without this, every later interval would show it.
      return waits.succeeded() ? Math.random() * 1.5 * interval_ms : undefined
    }
    return waits.failed(retryAfterOf(refresh.error))
  }
}
