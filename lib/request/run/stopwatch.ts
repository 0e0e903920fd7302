import { steadyNow } from '../../time/steady-clock.ts'

/** Measures one run: how long it took. */
export interface Stopwatch {
  /** When the run began, in milliseconds of `steadyNow()`. */
  started: number
  /** Whether the run has returned a promise, so that others have the event loop in between. */
  is_asynchronous: boolean
}

/** Begins to measure a run. */
export function startStopwatch(): Stopwatch {
  return { started: steadyNow(), is_asynchronous: false }
}

/** How long the run has taken by now, in milliseconds. */
export function readStopwatch({ started }: Stopwatch): number {
  return steadyNow() - started
}
