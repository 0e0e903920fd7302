import { steadyNow } from './steady-clock.ts'

/** What time it is: starts and ends of plugins go by the time of day, pauses of breakers by how long the process has run. */
export interface Clock {
  /** In milliseconds since 1970. */
  now(): number
  /** Milliseconds since some moment: what no setting of the machine's clock moves. */
  steady(): number
  /**
   * Calls back once this time has come. Does not keep the process alive.
   *
   * @returns calls it off
   */
  at(time: number, callback: () => void): () => void
}

/** Longest time that a timer can wait for, in milliseconds: with a longer one setTimeout fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The clock of the machine. */
export const SYSTEM_CLOCK: Clock = Object.freeze({
  now: () => Date.now(),
  steady: () => steadyNow(),
  at(time, callback) {
    let timer: NodeJS.Timeout
    const check = () => {
      const left_ms = time - Date.now()
      if (left_ms <= 0) callback()
      else timer = setTimeout(check, Math.min(left_ms, LONGEST_TIMER_MS)).unref()
    }
    // Not before the caller has what this belongs to.
    timer = setTimeout(check, 0).unref()
    return () => clearTimeout(timer)
  },
} satisfies Clock)
