import { type Clock, SYSTEM_CLOCK } from './clock.ts'

/** What a breaker lets through: everything, nothing, or one try. */
export type BreakerState = 'closed' | 'open' | 'half_open'

/** Why a run counts against a plugin: it threw, or it took more time than it may. */
export type Strike = 'failure' | 'overrun'

/** Keeps a plugin that fails again and again from being run, for a while. */
export interface Breaker {
  /** Whether nothing speaks against running the plugin: all that is asked where every plugin of every request passes. */
  readonly quiet: boolean
  state(): BreakerState
  /** Whether it is open, and its pause is over. */
  isDue(): boolean
  /** When an open breaker lets a try through, in milliseconds since 1970 as the clock was when it opened; null unless it is open. */
  retry_at(): number | null
  /** Whether the plugin may run now; when the pause is over, this grants the one try. */
  allows(): boolean
  /** Which time between two changes of its state this is: what began in an earlier one decides nothing in this one. */
  period(): number
  /** @param period the one in which began what has succeeded */
  succeeded(period?: number): void
  /** @param period the one in which began what has failed */
  failed(strike: Strike, period?: number): void
  /** What was let through was not tried after all: the next may be. */
  abandoned(): void
}

/** Where a breaker's life is reported. */
export interface BreakerEvents {
  opened(details: { readonly failures: number; readonly retry_at: number }): void
  closed(): void
}

const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 60_000
/** Overruns this far apart are not again and again, in milliseconds. */
const OVERRUN_WINDOW_MS = 60_000

/**
 * Makes the breaker of one version of a plugin. It opens after `limit` failures in a row, or after `limit` overruns
 * within a minute, whatever happened in between: each of those has held up every other request.
 *
 * @param limit 0: the breaker never opens
 */
export function createBreaker(limit: number, events: BreakerEvents, clock: Clock = SYSTEM_CLOCK): Breaker {
  let state: BreakerState = 'closed'
  let failures = 0
  let overruns: number[] = []
  let pauses = 0
  let period = 0
  let retry_at = 0
  /** The same by the process's own clock: that of the machine may be set back by a day. */
  let paused_until = 0

  function open(count: number): void {
    // Half of the pause is chance, so that the processes of a site do not all try again at once.
    const pause_ms = Math.min(FIRST_PAUSE_MS * 2 ** pauses, LONGEST_PAUSE_MS) * (0.75 + Math.random() / 2)
    state = 'open'
    period += 1
    pauses += 1
    retry_at = clock.now() + pause_ms
    paused_until = clock.steady() + pause_ms
    events.opened({ failures: count, retry_at })
  }

  // A field, not a getter: it is read for every plugin of every request.
  const breaker: Omit<Breaker, 'quiet'> & { quiet: boolean } = {
    quiet: true,
    state: () => state,
    retry_at: () => (state === 'open' ? retry_at : null),
    isDue: () => state === 'open' && clock.steady() >= paused_until,
    allows() {
      if (state === 'closed') return true
      // The one try is under way; its outcome decides.
      if (state === 'half_open' || clock.steady() < paused_until) return false
      state = 'half_open'
      period += 1
      return true
    },
    period: () => period,
    succeeded(began = period) {
      if (began !== period) return
      failures = 0
      breaker.quiet = state !== 'open'
      if (state !== 'half_open') return
      state = 'closed'
      pauses = 0
      overruns = []
      events.closed()
    },
    abandoned() {
      if (state === 'half_open') state = 'open'
    },
    failed(strike, began = period) {
      if (began !== period) return
      failures += 1
      breaker.quiet = false
      if (strike === 'overrun') {
        const now = clock.steady()
        overruns = [...overruns.filter((at) => now - at < OVERRUN_WINDOW_MS), now]
      }
      const count = Math.max(failures, overruns.length)
      if (limit > 0 && (state === 'half_open' || (state === 'closed' && count >= limit))) open(count)
    },
  }
  return breaker
}
