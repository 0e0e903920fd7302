import { performance } from 'node:perf_hooks'
import { DynacodeError } from '../errors.ts'
import { EXIT } from './exit.ts'
import { FIRST_BATCH, killRun, type Rejection, type Run } from './run.ts'
import type { Marker } from './watchdog.ts'

/** What instrumented code calls. */
export interface Guard {
  /** Called when a run's checks are used up: looks at the clock. */
  over(run: Run): void
  /** Sees to it that a promise nobody waits for cannot end the process. */
  track<T>(run: Run, value: T, quiet?: unknown): T
  /** Told what will be awaited: its rejection has somebody to handle it. With `each`, so have those of what it holds. */
  hold<T>(run: Run, value: T, each?: unknown): T
  /** Called after each await: a run whose time is over goes no further. */
  resume<T>(run: Run, value: T): T
  /** Contains the errors of an event listener; with null for the run, finds what a listener was replaced by. */
  listen<T>(run: Run | null, listener: T): T
  /** Calls a callback of a run's from outside of it; what it throws or rejects with is reported. */
  contain(run: Run, callback: () => unknown): unknown
  /** The error of a run that took more than its budget. */
  overrun(run: Run): DynacodeError
  /** Ends a run in good order: rejections that nobody has asked for by now are reported. */
  finish(run: Run): void
}

const LARGEST_BATCH = 1 << 20
/** Time between looks that the batches are fitted to, in milliseconds. */
const LOOK_EVERY_MS = 1
/** Where other code may have run since the last look, no more than this is charged, in milliseconds. */
const MOST_CHARGED_MS = 10

/**
 * Makes the guard of one instance.
 *
 * @param report told of errors that came when nobody was waiting for the plugin any more
 * @param marker told when a plugin's code goes on
 */
export function createGuard(report: (run: Run, error: unknown) => void, marker: Marker): Guard {
  const tracked = new WeakMap<Promise<unknown>, Rejection>()
  const replaced = new WeakMap<object, unknown>()
  const { then } = Promise.prototype

  function over(run: Run): void {
    if (run.dead !== null) {
      run.n = 0
      throw run.dead
    }
    const now = performance.now()
    const turn = performance.nodeTiming.uvMetricsInfo.loopCount
    const gap = now - run.last
    if (turn !== run.turn) {
      run.turn = turn
      run.spent = 0
      run.batch = FIRST_BATCH
    } else {
      run.spent += run.straight ? gap : Math.min(gap, MOST_CHARGED_MS)
      const fitting = (run.batch * LOOK_EVERY_MS) / Math.max(gap, 0.01)
      run.batch = Math.min(Math.max(Math.ceil(Math.min(fitting, run.batch * 8)), 1), LARGEST_BATCH)
      if (run.spent > run.budget_ms) {
        killRun(run, overrun(run))
        throw run.dead as unknown as Error
      }
    }
    run.last = now
    run.n = run.batch
    if (!run.straight) {
      run.straight = true
      queueMicrotask(() => {
        run.straight = false
      })
    }
  }

  function track<T>(run: Run, value: T, quiet?: unknown): T {
    if (typeof value !== 'object' || value === null) return value
    try {
      if (value instanceof Promise) watch(run, value, quiet !== undefined)
      else if (Array.isArray(value) && value[0] instanceof Promise) {
        for (const item of value) if (item instanceof Promise) watch(run, item, false)
      }
    } catch {
      // A proxy that throws on being looked at is no promise.
    }
    return value
  }

  function watch(run: Run, promise: Promise<unknown>, quiet: boolean): void {
    if (tracked.has(promise)) return
    const rejection: Rejection = { run, handled: quiet, reason: undefined }
    tracked.set(promise, rejection)
    // Whoever asks for the outcome does so through `then`, except for `await`, which `hold` sees.
    Reflect.defineProperty(promise, 'then', {
      configurable: true,
      writable: true,
      value(this: Promise<unknown>, ...handlers: Parameters<typeof then>) {
        rejection.handled = true
        return then.apply(this, handlers)
      },
    })
    then.call(promise, undefined, (reason: unknown) => {
      if (rejection.handled) return
      rejection.reason = reason
      if (run.finished) judgeSoon([rejection])
      else if (run.rejections === null) run.rejections = [rejection]
      else run.rejections.push(rejection)
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

  function hold<T>(_run: Run, value: T, each?: unknown): T {
    if (typeof value === 'object' && value !== null) {
      const rejection = tracked.get(value as unknown as Promise<unknown>)
      if (rejection !== undefined) rejection.handled = true
      else if (each !== undefined && Array.isArray(value)) for (const item of value) hold(_run, item)
    }
    return value
  }

  function resume<T>(run: Run, value: T): T {
    if (run.dead !== null) throw run.dead
    marker.resume(run.plugin.life)
    return value
  }

  function listen<T>(run: Run | null, listener: T): T {
    if (typeof listener !== 'function') return listener
    const known = replaced.get(listener) as T | undefined
    if (run === null || known !== undefined) return known ?? listener
    const guarded = function (this: unknown, ...given: unknown[]) {
      return contain(run, () => listener.apply(this, given))
    }
    // Node's emitters compare this, too, when a listener is taken off again.
    guarded.listener = listener
    replaced.set(listener, guarded)
    return guarded as T
  }

  function contain(run: Run, callback: () => unknown): unknown {
    marker.enter(run.plugin.life)
    try {
      return track(run, callback())
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

function overrun({ plugin, budget_ms }: Run): DynacodeError {
  const message = `plugin ${JSON.stringify(plugin.info.name)} kept the event loop for more than ${budget_ms} ms (budget_ms)`
  return new DynacodeError('ERR_DYNACODE_BUDGET', message)
}
