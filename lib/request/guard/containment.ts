import { performance } from 'node:perf_hooks'
import { types } from 'node:util'
import { DynacodeError } from '../../errors.ts'
import { CALL_WEIGHT } from '../../program.ts'
import { steadyNow } from '../../time/steady-clock.ts'
import { EXIT } from '../run/exit.ts'
import { queue } from '../run/microtask.ts'
import { FIRST_BATCH, killRun, type Run } from '../run/record.ts'
import { countStretch, enterStretch, measureCallback, type Stopwatch } from '../run/stopwatch.ts'
import { watchPromises } from './promises.ts'
import { demandRoom } from './room.ts'
import type { Marker } from './watchdog.ts'

/** What instrumented code calls. */
export interface Guard {
  /** Called when a run's checks are used up: looks at the clock. */
  over(run: Run): void
  /**
   * Sees to it that a promise nobody waits for cannot end the process.
   *
   * @param how 1: it was handed to a function, which may wait for it; 2: it is the value's `promise`
   */
  track<T>(run: Run, value: T, how?: 1 | 2): T
  /** Asks for room on the stack before something is done with promises. */
  room(): void
  /** Starts an async function, and keeps an eye on its promise. */
  begin<T>(run: Run, start: (...given: unknown[]) => Promise<T>, given: unknown[]): Promise<T>
  /**
   * Told what is about to be awaited: its rejection has somebody to handle it.
   *
   * @param later it is handed to somebody who will await it: 1: each of what it holds; 2: itself
   */
  hold<T>(run: Run, value: T, later?: 1 | 2): T
  /**
   * Called after each await: a run whose time is over goes no further.
   *
   * @param anywhere 1: it is an asynchronous generator that goes on, wherever on the stack somebody has asked it to
   */
  resume<T>(run: Run, value?: T, anywhere?: 1): T | undefined
  /** Contains the errors of an event listener; with null for the run, finds what a listener was replaced by. */
  listen<T>(run: Run | null, listener: T): T
  /** Calls a callback of a run's from outside of it; what it throws or rejects with is reported. */
  contain(run: Run, callback: () => unknown): unknown
  /** The error of a run that took more than its budget. */
  overrun(run: Run): DynacodeError
  /** Ends a run in good order: rejections that nobody has asked for by now are reported. */
  finish(run: Run): void
}

/** What an event target takes for a listener in place of a function. */
interface Handler {
  readonly handleEvent?: (event: unknown) => unknown
}

/** A plugin that has been quick so far may still come to slow calls: no more than so many go unnoticed. */
const LARGEST_BATCH = 64 * CALL_WEIGHT
/** Time between looks that the batches are fitted to, in milliseconds. */
const LOOK_EVERY_MS = 1
/**
 * What a call may cost a run that does nothing but keep the queue of microtasks filled, in milliseconds. Where other code
 * may have run since the last look, what goes beyond that may be another's time.
 */
const MOST_CHARGED_MS = 0.005
/** No more than this is charged then, in milliseconds, */
const MOST_CHARGED_AT_ONCE_MS = 10
/** and nothing of it in the next so many looks of that kind. */
const CLOSE_LOOKS = 64
/** A run that was there for so many budgets' time, in one turn, is the likeliest to have caused that turn's length. */
const MOST_DOUBTED = 20

// What plugins or the app put in place of these later is not asked for the time.
const { nodeTiming } = performance

/** No more errors of one run are told, */
const MOST_TOLD = 10
/** within so many milliseconds: each costs time that other requests could use. */
const TOLD_WITHIN_MS = 1000

/**
 * Makes the guard of one instance.
 *
 * @param report told of errors that came when nobody was waiting for the plugin any more
 * @param marker told when a plugin's code goes on
 */
export function createGuard(report: (run: Run, error: unknown) => void, marker: Marker): Guard {
  const told = new WeakMap<Run, { since: number; count: number }>()
  const promises = watchPromises(reportSome)
  const replaced = new WeakMap<object, unknown>()

  function over(run: Run): void {
    look(run)
    if (run.dead === null) return
    run.n = 0
    throw run.dead
  }

  /** Charges a run for its time since the last look, and sees to the next one. */
  function look(run: Run): void {
    if (run.dead !== null) return
    const at = steadyNow()
    const turn = nodeTiming.uvMetricsInfo.loopCount
    const gap = at - run.last
    run.last = at
    if (turn === run.turn) charge(run, gap)
    else startTurn(run, turn)
    run.n = run.batch
    if (run.spent > run.budget_ms || run.doubted > run.budget_ms * MOST_DOUBTED) kill(run)
    if (run.straight) return
    run.straight = true
    queue(() => {
      run.straight = false
      promises.observe()
    })
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

  function track<T>(run: Run, value: T, how?: 1 | 2): T {
    if (typeof value === 'object' && value !== null) {
      watch(run, how === 2 ? (value as { promise?: unknown }).promise : value, how === 1)
    }
    run.n -= CALL_WEIGHT
    if (run.n < 0) over(run)
    return value
  }

  function watch(run: Run, value: unknown, handled: boolean): void {
    try {
      promises.find(run, value, handled)
    } catch {
      promises.missed.push({ run, value, handled })
      queue(promises.observe)
    }
  }

  function begin<T>(run: Run, start: (...given: unknown[]) => Promise<T>, given: unknown[]): Promise<T> {
    demandRoom()
    const promise = start(...given)
    watch(run, promise, false)
    return promise
  }

  function hold<T>(run: Run, value: T, later?: 1 | 2): T {
    if (typeof value === 'object' && value !== null) {
      if (later === undefined) promises.handle(value)
      else promises.handleLater(value, later === 1)
    }
    run.n -= CALL_WEIGHT
    const isMeasured = later === undefined && run.watch !== null
    const isLooked = run.n < 0 || run.batch > FIRST_BATCH
    if (!isMeasured && !isLooked) return value
    try {
      if (isMeasured) countStretch(run.watch as Stopwatch)
      if (isLooked) look(run)
    } catch {
      // Nothing is thrown here, not even for want of room on the stack: what is to be awaited would be left to itself.
    }
    return value
  }

  function resume<T>(run: Run, value?: T, anywhere?: 1): T | undefined {
    if (anywhere !== undefined) demandRoom()
    run.n -= CALL_WEIGHT
    // Others had the thread until now. A run that takes its time is asked for it before and after.
    if (run.n < 0 || run.batch > FIRST_BATCH) over(run)
    marker.resume(run.plugin.life)
    if (run.watch !== null) enterStretch(run.watch)
    return value
  }

  function listen<T>(run: Run | null, listener: T): T {
    const isObject = typeof listener === 'object' && listener !== null
    if (!isObject && typeof listener !== 'function') return listener
    const known = replaced.get(listener) as T | undefined
    if (run === null || known !== undefined) return known ?? listener
    const guarded = isObject ? guardHandler(run, listener as Handler) : guardFunction(run, listener)
    replaced.set(listener, guarded)
    return guarded as T
  }

  function guardFunction(run: Run, listener: (...given: unknown[]) => unknown) {
    const guarded = function (this: unknown, ...given: unknown[]) {
      return settle(
        run,
        contain(run, () => listener.apply(this, given)),
      )
    }
    // Node's emitters compare this, too, when a listener is taken off again.
    guarded.listener = listener
    return guarded
  }

  /** Event targets take objects for listeners, too; whatever else an object may be here is left as it is. */
  function guardHandler(run: Run, listener: Handler) {
    if (typeof listener.handleEvent !== 'function') return listener
    return {
      handleEvent: (event: unknown) =>
        settle(
          run,
          contain(run, () => listener.handleEvent?.(event)),
        ),
    }
  }

  /** Makes of a promise one that cannot reject: event targets end the process when their listeners' promises do. */
  function settle(run: Run, value: unknown): unknown {
    if (!types.isPromise(value)) return value
    return value.then(undefined, (error) => {
      if (error !== EXIT) reportSome(run, error)
    })
  }

  function contain(run: Run, callback: () => unknown): unknown {
    marker.enter(run.plugin.life)
    try {
      const value = run.watch === null ? callback() : measureCallback(run.watch, callback)
      watch(run, value, false)
      return value
    } catch (error) {
      if (error !== EXIT) reportSome(run, error)
      return undefined
    } finally {
      marker.leave()
    }
  }

  function reportSome(run: Run, error: unknown): void {
    const at = steadyNow()
    let sum = told.get(run)
    if (sum === undefined || at - sum.since > TOLD_WITHIN_MS) {
      sum = { since: at, count: 0 }
      told.set(run, sum)
    }
    sum.count += 1
    if (sum.count <= MOST_TOLD) report(run, error)
  }

  return Object.freeze({
    over,
    track,
    room: demandRoom,
    begin,
    hold,
    resume,
    listen,
    contain,
    overrun,
    finish: promises.finish,
  } satisfies Guard)
}

/** Begins to count anew: nothing can have been held up over the turns of the event loop. */
function startTurn(run: Run, turn: number): void {
  run.turn = turn
  run.spent = 0
  run.doubted = 0
  run.close = 0
  // What was before is not known; what comes now is looked at closely, until it has turned out to be quick.
  run.batch = FIRST_BATCH / 8
}

function charge(run: Run, gap: number): void {
  const checks = run.batch - run.n
  const usual = (checks / CALL_WEIGHT) * MOST_CHARGED_MS
  const charged = run.straight ? gap : Math.min(gap, run.close > 0 ? usual : MOST_CHARGED_AT_ONCE_MS)
  run.spent += charged
  run.doubted += gap - charged
  const fitting = (checks * LOOK_EVERY_MS) / Math.max(gap, 0.01)
  run.batch = Math.min(Math.max(Math.ceil(Math.min(fitting, run.batch * 8)), 1), LARGEST_BATCH)
  if (run.straight) return
  if (gap > usual) run.close = CLOSE_LOOKS
  else if (run.close > 0) run.close -= 1
  if (run.close > 0) run.batch = 1
}

function overrun({ plugin, budget_ms }: Run): DynacodeError {
  const message = `plugin ${JSON.stringify(plugin.info.name)} kept the event loop for more than ${budget_ms} ms (budget_ms)`
  return new DynacodeError('ERR_DYNACODE_BUDGET', message)
}
