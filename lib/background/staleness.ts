import type { EventTable } from '../events/table.ts'
import { LONGEST_TIMER_MS } from '../time/clock.ts'
import { steadyNow } from '../time/steady-clock.ts'

/** Knows whether the live document may be too old to rely on. */
export interface Staleness {
  isStale(): boolean
  /** When the live document was last known to be what the source has, in milliseconds since 1970; null: never. */
  validated_at(): number | null
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
 * @param emit called when it becomes stale, once each time
 */
export function createStaleness(max_stale_ms: number, emit: (stale: EventTable['bg_stale']) => void): Staleness {
  // The process's own clock: the wall's may jump by a day.
  let fresh_until = Number.POSITIVE_INFINITY
  let validated_at: number | null = null
  let expires: number | undefined
  let emitted: 'age' | 'expired' | null = null
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const now = () => steadyNow()

  /** Milliseconds until it is too old and until it has expired. */
  const timeLeft = () => ({ young: fresh_until - now(), valid: (expires ?? Number.POSITIVE_INFINITY) - Date.now() })

  const reasonOf = ({ young, valid }: ReturnType<typeof timeLeft>): 'age' | 'expired' | null => {
    if (valid <= 0) return 'expired'
    return young <= 0 ? 'age' : null
  }

  function check(): void {
    clearTimeout(timer)
    if (closed) return
    // Looked at once: what is still to come for the verdict must not be over for the timer.
    const left = timeLeft()
    const found = reasonOf(left)
    if (found !== null && found !== emitted) emit({ reason: found })
    emitted = found
    const next = Math.min(...[left.young, left.valid].filter((ms) => ms > 0))
    if (next === Number.POSITIVE_INFINITY) return
    timer = setTimeout(check, Math.min(Math.max(next, 1), LONGEST_TIMER_MS)).unref()
  }

  return Object.freeze({
    isStale: () => reasonOf(timeLeft()) !== null,
    validated_at: () => validated_at,
    validated(at) {
      validated_at = at
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
