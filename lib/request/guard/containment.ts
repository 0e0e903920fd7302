import { types } from 'node:util'
import type { DynacodeError } from '../../errors.ts'
import { CALL_WEIGHT, type PluginFunction } from '../../program.ts'
import { EXIT } from '../run/exit.ts'
import type { Run } from '../run/record.ts'
import { createListening } from './listeners.ts'
import { createOwnTime } from './own-time.ts'
import { watchPromises } from './promise-watch.ts'
import { watchRejections } from './rejections.ts'
import { limitReports } from './reports.ts'
import { demandRoom } from './room.ts'
import { createStopping, overrun } from './stopping.ts'
import type { Marker } from './watchdog.ts'

type Given = Parameters<PluginFunction> extends [object, infer Ctx, unknown, ...infer Others] ? [Ctx, ...Others] : never

/** What instrumented code calls. */
export interface Guard {
  /** Called when a run's checks are used up: looks at the clock. */
  over(run: Run): void
  /**
   * Sees to it that a promise nobody waits for cannot end the process.
   *
   * @param how 1: it was handed to somebody who may wait for it; 2: it is the value's `promise`
   */
  track<T>(run: Run, value: T, how?: 1 | 2): T
  /** Asks for room on the stack before something is done with promises. */
  room(): void
  /** Told what an async function returns: what that rejects with, the function's own promise will. */
  give<T>(run: Run, value: T): T
  /** Told what an async function throws, and so rejects with. */
  fail<T>(run: Run, reason: T): T
  /** Told that an async function has come to its end. */
  end(run: Run): void
  /**
   * Told what is about to be awaited.
   *
   * @param given 1: it is not, but handed to whoever asks a generator for it; 2: each of what it holds will be
   */
  hold<T>(run: Run, value: T, given?: 1 | 2): T
  /** Told that the code has async functions that may throw before they begin. */
  suspect(): void
  /**
   * Called after each await: a run whose time is over goes no further.
   *
   * @param how 1: an asynchronous generator goes on, wherever on the stack somebody has asked it to; 2: a callback of a
   *   promise begins
   */
  resume<T>(run: Run, value?: T, how?: 1 | 2): T | undefined
  /** Contains the errors of an event listener; with null for the run, finds what a listener was replaced by. */
  listen<T>(run: Run | null, listener: T): T
  /** Calls a callback of a run's from outside of it; what it throws or rejects with is reported. */
  contain(run: Run, callback: () => unknown): unknown
  /** Enters a run's code from outside of it, by a call that is part of the run itself. */
  enter<T>(run: Run, call: () => T): T
  /** The same where the call is that of the plugin's own function, with these. */
  begin(run: Run, ...given: Given): unknown
  /** The error of a run that took more than its budget. */
  overrun(run: Run): DynacodeError
  /** Ends a run in good order: rejections that nobody has asked for by now are reported. */
  finish(run: Run): void
}

/**
 * Makes the guard of one instance.
 *
 * @param report called with errors that came when nobody was waiting for the plugin any more
 * @param marker called when a plugin's code goes on
 */
export function createGuard(report: (run: Run, error: unknown) => void, marker: Marker, time = createOwnTime()): Guard {
  const reportSome = limitReports(report)
  const rejections = watchRejections(reportSome)
  const { watch, giveAway, catchUp } = watchPromises(rejections)
  const { over, look } = createStopping(time)
  const listening = createListening(contain, reportSome)

  function room(): void {
    try {
      demandRoom()
    } catch (error) {
      rejections.exhaust()
      throw error
    }
  }

  function track<T>(run: Run, value: T, how?: 1 | 2): T {
    if (typeof value === 'object' && value !== null) watch(run, value, how)
    run.n -= CALL_WEIGHT
    if (run.n < 0) over(run)
    return value
  }

  function give<T>(run: Run, value: T): T {
    if (types.isPromise(value)) listening.hear(value, (reason) => rejections.expect(run, reason))
    run.n -= CALL_WEIGHT
    if (run.n < 0) over(run)
    return value
  }

  function fail<T>(run: Run, reason: T): T {
    rejections.expect(run, reason)
    return reason
  }

  function hold<T>(run: Run, value: T, given?: 1 | 2): T {
    if (given !== undefined && typeof value === 'object' && value !== null) giveAway(run, value, given === 2)
    run.n -= CALL_WEIGHT
    if (!run.is_timed && run.n >= 0) return value
    try {
      if (run.n < 0 || run.turn !== -1) look(run)
      time.pause(run)
    } catch {
      // Nothing is thrown here, not even for want of room on the stack: what is to be awaited would be left to itself.
    }
    return value
  }

  function resume<T>(run: Run, value?: T, how?: 1 | 2): T | undefined {
    if (how === 1) room()
    if (how === undefined) time.goOn(run)
    // Others had the thread until now, unless somebody has called what goes on.
    else if (run.is_timed || run.n < 0) look(run)
    run.n -= CALL_WEIGHT
    if (run.dead !== null || run.n < 0 || run.spent > run.budget_ms) over(run)
    marker.resume(run.plugin.life)
    return value
  }

  function contain(run: Run, callback: () => unknown): unknown {
    try {
      const value = enter(run, callback)
      if (typeof value === 'object' && value !== null) watch(run, value)
      return value
    } catch (error) {
      if (error !== EXIT) reportSome(run, error)
      return undefined
    }
  }

  function enter<T>(run: Run, call: () => T): T {
    const marked = marker.enter(run.plugin.life)
    const outer = time.enter(run)
    try {
      return call()
    } finally {
      time.leave(run, outer)
      marker.leave(marked)
    }
  }

  // Apart from `enter`: a function for each run would cost as much as all that is done here.
  function begin(run: Run, ...[ctx, exit, say, fetch, signal, chunk, last]: Given): unknown {
    const { life, run: code, spec } = run.plugin
    const marked = marker.enter(life)
    const outer = time.enter(run)
    try {
      return code(run, ctx, spec.params, exit, say, fetch, signal, chunk, last)
    } finally {
      time.leave(run, outer)
      marker.leave(marked)
    }
  }

  return Object.freeze({
    over,
    track,
    room,
    give,
    fail,
    end: time.pause,
    hold,
    suspect: rejections.suspect,
    resume,
    listen(run, listener) {
      if (run !== null) run.is_reusable = false
      return listening.listen(run, listener)
    },
    contain,
    enter,
    begin,
    overrun,
    finish(run) {
      catchUp()
      rejections.finish(run)
    },
  } satisfies Guard)
}
