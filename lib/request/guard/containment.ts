import { types } from 'node:util'
import { DynacodeError } from '../../errors.ts'
import { CALL_WEIGHT } from '../../program.ts'
import { EXIT } from '../run/exit.ts'
import { queue } from '../run/microtask.ts'
import { killRun, type Run } from '../run/record.ts'
import { createListening } from './listeners.ts'
import { createOwnTime } from './own-time.ts'
import { promiseOf, watchRejections } from './rejections.ts'
import { limitReports } from './reports.ts'
import { demandRoom } from './room.ts'
import type { Marker } from './watchdog.ts'

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
  /** The error of a run that took more than its budget. */
  overrun(run: Run): DynacodeError
  /** Ends a run in good order: rejections that nobody has asked for by now are reported. */
  finish(run: Run): void
}

// Replaced later, by plugins or the app, this is still what it was.
const { isArray } = Array

/**
 * Makes the guard of one instance.
 *
 * @param report told of errors that came when nobody was waiting for the plugin any more
 * @param marker told when a plugin's code goes on
 */
export function createGuard(report: (run: Run, error: unknown) => void, marker: Marker, time = createOwnTime()): Guard {
  const reportSome = limitReports(report)
  const rejections = watchRejections(reportSome)
  const missed: { readonly run: Run; readonly value: object; readonly how: 1 | 2 | undefined }[] = []
  const listening = createListening(contain, reportSome)

  function over(run: Run): void {
    look(run)
    stopDead(run)
  }

  function stopDead(run: Run): void {
    if (run.dead === null) return
    run.n = 0
    throw run.dead
  }

  /** Counts a run's time by now, and stops it when that is more than it may take. */
  function look(run: Run): void {
    if (run.dead !== null) return
    time.count(run)
    if (time.isOver(run)) kill(run)
  }

  function kill(run: Run): void {
    try {
      killRun(run, overrun(run))
    } catch {
      // No room is left for a stack trace.
      const { stackTraceLimit } = Error
      try {
        Error.stackTraceLimit = 0
        killRun(run, overrun(run))
      } finally {
        Error.stackTraceLimit = stackTraceLimit
      }
    }
  }

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

  function watch(run: Run, value: object, how?: 1 | 2): void {
    try {
      const promise = promiseOf(value, how === 2)
      if (promise !== undefined) rejections.claim(run, promise, how === 1)
    } catch {
      // For want of room on the stack; what throws on being looked at with all of its room, nobody can wait for.
      missed.push({ run, value, how })
      queue(watchMissed)
    }
  }

  function watchMissed(): void {
    for (const { run, value, how } of missed.splice(0)) {
      try {
        const promise = promiseOf(value, how === 2)
        if (promise !== undefined) rejections.claim(run, promise, how === 1)
      } catch {}
    }
  }

  function giveAway(run: Run, value: object, each: boolean): void {
    if (!each) watch(run, value, 1)
    else if (isArray(value) && !types.isProxy(value)) {
      for (const item of value) if (typeof item === 'object' && item !== null) watch(run, item, 1)
    }
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
    listen: listening.listen,
    contain,
    enter,
    overrun,
    finish(run) {
      if (missed.length > 0) watchMissed()
      rejections.finish(run)
    },
  } satisfies Guard)
}

function overrun({ plugin, budget_ms }: Run): DynacodeError {
  const message = `plugin ${JSON.stringify(plugin.info.name)} kept the event loop for more than ${budget_ms} ms (budget_ms)`
  return new DynacodeError('ERR_DYNACODE_BUDGET', message)
}
