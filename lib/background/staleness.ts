import type { EventTable } from '../events.ts'

/** Longest time a timer can wait for, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Knows whether the live document may be too old to rely on. */
export interface Staleness {
  isStale(): boolean
  /** The live document was what the source had at this time, in milliseconds since 1970. */
  validated(at: number): void
  /** A document went live. */
  activated(expires: number | undefined): void
  close(): void
}

/**
 * Makes the judge of one instance.
 *
 * @param max_stale_ms how long the document may go without being found current; Infinity: for ever
 * @param tell called when it becomes stale, once each time
 */
export function createStaleness(max_stale_ms: number, tell: (stale: EventTable['bg_stale']) => void): Staleness {
  // The process's own clock: the wall's may jump by a day.
  let fresh_until = Number.POSITIVE_INFINITY
  let expires: number | undefined
  let told: 'age' | 'expired' | null = null
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const now = () => performance.now()

  const reason = (): 'age' | 'expired' | null => {
    if (expires !== undefined && Date.now() >= expires) return 'expired'
    return now() >= fresh_until ? 'age' : null
  }

  function check(): void {
    clearTimeout(timer)
    if (closed) return
    const found = reason()
    if (found !== null && found !== told) tell({ reason: found })
    told = found
    const left = [fresh_until - now(), (expires ?? Number.POSITIVE_INFINITY) - Date.now()].filter((ms) => ms > 0)
    const next = Math.min(...left)
    if (next === Number.POSITIVE_INFINITY) return
    timer = setTimeout(check, Math.min(Math.max(next, 1), LONGEST_TIMER_MS)).unref()
  }

  return Object.freeze({
    isStale: () => reason() !== null,
    validated(at) {
      fresh_until = now() + max_stale_ms - Math.max(0, Date.now() - at)
      check()
    },
    activated(until) {
      expires = until
      // One that nobody has found current yet, such as a bootstrap document, counts from here.
      fresh_until = Math.min(fresh_until, now() + max_stale_ms)
      check()
    },
    close() {
      closed = true
      clearTimeout(timer)
    },
  } satisfies Staleness)
}
