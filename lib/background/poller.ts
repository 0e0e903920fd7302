import createDebug from 'debug'
import { LONGEST_TIMER_MS } from '../time/clock.ts'

const debug = createDebug('dynacode:poller')

/** When polls happen. Times in milliseconds. */
export interface Schedule {
  readonly interval_ms: number
  /** Longest random time added to a wait. */
  readonly jitter_ms: number
  readonly at_init: boolean
}

/** Calls a function again and again, never twice at once. */
export interface Poller {
  /** When the next poll begins, in milliseconds since 1970; null while one is under way, and after `stop()`. */
  next_at(): number | null
  stop(): void
}

/** Polls never. */
export const NO_POLLER: Poller = Object.freeze({ next_at: () => null, stop: () => undefined })

/**
 * Starts to poll: at once, if so asked, then after every wait. The second wait is spread over the whole interval, so
 * that processes started together do not stay together.
 *
 * @param poll one cycle; the next wait begins when it has settled. It resolves to how long that is, in milliseconds, or
 *   with undefined where it is as usual
 */
export function startPoller(
  poll: () => Promise<number | undefined>,
  { interval_ms, jitter_ms, at_init }: Schedule,
): Poller {
  let timer: NodeJS.Timeout | undefined
  let next: number | null = null
  let stopped = false

  const wait = (asked_ms: number) => {
    if (stopped) return
    const wait_ms = Math.min(asked_ms, LONGEST_TIMER_MS)
    next = Date.now() + wait_ms
    debug('next poll in %d ms', Math.round(wait_ms))
    timer = setTimeout(cycle, wait_ms, usual)
    timer.unref()
  }
  const usual = () => interval_ms + Math.random() * jitter_ms
  const spread = () => Math.random() * interval_ms
  const cycle = (pause: () => number) => {
    if (stopped) return
    next = null
    poll().then(
      (wait_ms) => wait(wait_ms ?? pause()),
      () => wait(pause()),
    )
  }

  // Not before the caller has what this belongs to: a poll calls listeners.
  if (at_init) queueMicrotask(() => cycle(spread))
  else wait(usual())

  return Object.freeze({
    next_at: () => next,
    stop() {
      stopped = true
      next = null
      clearTimeout(timer)
    },
  })
}
