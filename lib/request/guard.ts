import { performance } from 'node:perf_hooks'
import { types } from 'node:util'
import { DynacodeError } from '../errors.ts'
import { EXIT } from './exit.ts'
import { FIRST_BATCH, killRun, type Rejection, type Run } from './run.ts'
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
  /** Told what will be awaited: its rejection has somebody to handle it. With `each`, so have those of what it holds. */
  hold<T>(run: Run, value: T, each?: unknown): T
  /** Called after each await: a run whose time is over goes no further. */
  resume<T>(run: Run, value?: T): T | undefined
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

const LARGEST_BATCH = 1 << 20
/** Time between looks that the batches are fitted to, in milliseconds. */
const LOOK_EVERY_MS = 1
/**
 * What a check may cost a run that does nothing but keep the queue of microtasks filled, in milliseconds. Where other code
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
const now = performance.now.bind(performance)
const { nodeTiming } = performance
const { queueMicrotask, setImmediate, Promise: NativePromise } = globalThis
const { defineProperty, deleteProperty, getOwnPropertyDescriptor } = Reflect

/**
 * Makes the guard of one instance.
 *
 * @param report told of errors that came when nobody was waiting for the plugin any more
 * @param marker told when a plugin's code goes on
 */
export function createGuard(report: (run: Run, error: unknown) => void, marker: Marker): Guard {
  const tracked = new WeakMap<Promise<unknown>, Rejection>()
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
    const at = now()
    const turn = nodeTiming.uvMetricsInfo.loopCount
    const gap = at - run.last
    run.last = at
    if (turn === run.turn) charge(run, gap)
    else startTurn(run, turn)
    run.n = run.batch
    if (run.spent > run.budget_ms || run.doubted > run.budget_ms * MOST_DOUBTED) killRun(run, overrun(run))
    if (run.straight) return
    run.straight = true
    queueMicrotask(() => {
      run.straight = false
    })
  }

  function track<T>(run: Run, value: T, how?: 1 | 2): T {
    findPromises(run, how === 2 ? (value as { promise?: unknown })?.promise : value, how === 1)
    run.n -= 1
    if (run.n < 0) over(run)
    return value
  }

  function findPromises(run: Run, value: unknown, quiet: boolean): void {
    if (typeof value === 'object' && value !== null) {
      try {
        if (types.isPromise(value)) watch(run, value, quiet)
        else if (Array.isArray(value) && !types.isProxy(value) && types.isPromise(value[0])) {
          for (const item of value) if (types.isPromise(item)) watch(run, item, false)
        }
      } catch {
        // What throws on being looked at is nothing that anybody could wait for.
      }
    }
  }

  function watch(run: Run, promise: Promise<unknown>, quiet: boolean): void {
    const known = tracked.get(promise)
    if (known !== undefined) {
      known.handled ||= quiet
      return
    }
    const rejection: Rejection = { run, handled: quiet, reason: undefined }
    tracked.set(promise, rejection)
    observe(promise, (reason) => {
      if (rejection.handled) return
      rejection.reason = reason
      if (run.finished) judgeSoon([rejection])
      else if (run.rejections === null) run.rejections = [rejection]
      else run.rejections.push(rejection)
    })
    const asked = promise.then
    // Whoever asks for the outcome does so through `then`, except for `await`, which `hold` sees.
    defineProperty(promise, 'then', {
      configurable: true,
      writable: true,
      value(this: Promise<unknown>, ...handlers: Parameters<typeof asked>) {
        rejection.handled = true
        return asked.apply(this, handlers)
      },
    })
  }

  /** As Node does it: a rejection counts once the microtasks are done and nobody has asked for it. */
  function judgeSoon(rejections: readonly Rejection[]): void {
    setImmediate(() => {
      for (const { run, handled, reason } of rejections) {
        if (!handled && reason !== EXIT) report(run, reason)
      }
    })
  }

  function hold<T>(run: Run, value: T, each?: unknown): T {
    if (typeof value === 'object' && value !== null) {
      const rejection = tracked.get(value as unknown as Promise<unknown>)
      if (rejection !== undefined) rejection.handled = true
      else if (each !== undefined && Array.isArray(value)) for (const item of value) hold(run, item)
    }
    run.n -= 1
    // Nothing is thrown here: what is to be awaited would be left to itself.
    if (run.n < 0 || run.batch > FIRST_BATCH) look(run)
    return value
  }

  function resume<T>(run: Run, value?: T): T | undefined {
    run.n -= 1
    // Others had the thread until now. A run that takes its time is asked for it before and after.
    if (run.n < 0 || run.batch > FIRST_BATCH) over(run)
    marker.resume(run.plugin.life)
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
      if (error !== EXIT) report(run, error)
    })
  }

  function contain(run: Run, callback: () => unknown): unknown {
    marker.enter(run.plugin.life)
    try {
      const value = callback()
      findPromises(run, value, false)
      return value
    } catch (error) {
      if (error !== EXIT) report(run, error)
      return undefined
    } finally {
      marker.leave()
    }
  }

  return Object.freeze({
    over,
    track,
    hold,
    resume,
    listen,
    contain,
    overrun,
    finish(run) {
      run.finished = true
      if (run.rejections !== null) judgeSoon(run.rejections)
      run.rejections = null
    },
  } satisfies Guard)
}

/** Begins to count anew: nothing can have been held up over the turns of the event loop. */
function startTurn(run: Run, turn: number): void {
  run.turn = turn
  run.spent = 0
  run.doubted = 0
  run.close = 0
  run.batch = FIRST_BATCH
}

function charge(run: Run, gap: number): void {
  const checks = run.batch - run.n
  const usual = checks * MOST_CHARGED_MS
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

/**
 * Handles a promise's rejection, without a trace of it in the promise's own class: an `await` asks neither for its `then`
 * nor for its species, as long as it takes the promise for one of the language's own.
 */
function observe(promise: Promise<unknown>, rejected: (reason: unknown) => void): void {
  const wait = async () => {
    try {
      await promise
    } catch (reason) {
      rejected(reason)
    }
  }
  if (promise.constructor === NativePromise) {
    void wait()
    return
  }
  const own = getOwnPropertyDescriptor(promise, 'constructor')
  defineProperty(promise, 'constructor', { configurable: true, value: NativePromise })
  void wait()
  deleteProperty(promise, 'constructor')
  if (own !== undefined) defineProperty(promise, 'constructor', own)
}

function overrun({ plugin, budget_ms }: Run): DynacodeError {
  const message = `plugin ${JSON.stringify(plugin.info.name)} kept the event loop for more than ${budget_ms} ms (budget_ms)`
  return new DynacodeError('ERR_DYNACODE_BUDGET', message)
}
