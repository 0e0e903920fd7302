import { LONGEST_TIMER_MS } from '../../time/clock.ts'

/** How long something may take. */
export interface Deadline {
  readonly signal: AbortSignal
  /** Whether it was the time that was over. */
  isLate(): boolean
  /** Calls it off. */
  clear(): void
}

/**
 * A signal that aborts when the time is over, or dynacode is closed. It does not keep the process alive, and can be called
 * off. (AbortSignal.any() would leave something behind in `closing` for every fetch.)
 */
export function createDeadline(timeout_ms: number, closing: AbortSignal): Deadline {
  const controller = new AbortController()
  const { signal } = controller
  const abort = () => controller.abort()
  let late = false
  const timer = setTimeout(
    () => {
      late = !signal.aborted
      abort()
    },
    Math.min(timeout_ms, LONGEST_TIMER_MS),
  ).unref()
  closing.addEventListener('abort', abort, { once: true })
  if (closing.aborted) abort()
  return {
    signal,
    isLate: () => late,
    clear() {
      clearTimeout(timer)
      closing.removeEventListener('abort', abort)
    },
  }
}
