import { steadyNow } from '../../time/steady-clock.ts'
import { queue } from './microtask.ts'

/** Measures one run: how long it took, and for how much of that it held the event loop. */
export interface Stopwatch {
  /** When the run began, in milliseconds of `steadyNow()`. */
  started: number
  /** Whether the run has returned a promise, so that others have the event loop in between. */
  is_asynchronous: boolean
  /** How long the synchronous stretches took that are over, in milliseconds. */
  sync_ms: number
  /** Until when the stretch under way is counted; 0 when the plugin's code is not known to run. */
  since: number
  /** Whether that was an await: whatever came after it may have been another's. */
  is_held: boolean
}

/** Begins to measure a run. */
export function startStopwatch(): Stopwatch {
  return { started: steadyNow(), is_asynchronous: false, sync_ms: 0, since: 0, is_held: false }
}

/** Forgets what was before the plugin's code is entered. */
export function restartStopwatch(watch: Stopwatch): void {
  watch.started = steadyNow()
}

/** How long the run has taken by now, in milliseconds. */
export function readStopwatch({ started }: Stopwatch): number {
  return steadyNow() - started
}

/** How much of that it held the event loop, as far as can be told; all of it, unless it has returned a promise. */
export function readSyncTime({ is_asynchronous, sync_ms }: Stopwatch, duration_ms: number): number {
  return is_asynchronous ? sync_ms : duration_ms
}

/** The run has returned a promise: until then, all of the time was its own. */
export function leaveFirstStretch(watch: Stopwatch): void {
  watch.is_asynchronous = true
  watch.sync_ms = steadyNow() - watch.started
}

/** The run goes on after an await, until the microtask that it goes on in is over. */
export function enterStretch(watch: Stopwatch): void {
  if (!watch.is_asynchronous || watch.since !== 0) return
  watch.since = steadyNow()
  watch.is_held = false
  // Whatever the stretch leads to, be it the next one of this run or its end, is queued after this.
  queue(() => leaveStretch(watch))
}

/** Counts what a callback of the run's takes, unless it is part of a stretch. */
export function measureCallback<T>(watch: Stopwatch, callback: () => T): T {
  if (!watch.is_asynchronous || watch.since !== 0) return callback()
  watch.since = steadyNow()
  try {
    return callback()
  } finally {
    watch.is_held = false
    leaveStretch(watch)
  }
}

/** Something is awaited; the rest of the code may go on all the same, when it was in a function of its own. */
export function countStretch(watch: Stopwatch): void {
  if (watch.since === 0) return
  const at = steadyNow()
  watch.sync_ms += at - watch.since
  watch.since = at
  watch.is_held = true
}

function leaveStretch(watch: Stopwatch): void {
  if (!watch.is_held) countStretch(watch)
  watch.since = 0
}
