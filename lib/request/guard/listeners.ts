import { types } from 'node:util'
import { EXIT } from '../run/exit.ts'
import type { Run } from '../run/record.ts'

/** Contains event listeners of plugins. */
export interface Listening {
  /** What is to listen in a listener's place; with null for the run, what does already. */
  listen<T>(run: Run | null, listener: T): T
  /** Tells what a promise rejects with that somebody else waits for, without a trace of it in the promise. */
  hear(promise: Promise<unknown>, rejected: (reason: unknown) => void): void
}

/** What an event target takes for a listener in place of a function. */
interface Handler {
  readonly handleEvent?: (event: unknown) => unknown
}

// Replaced or deleted later, by plugins or the app, these are still what they were.
const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect
const { prototype } = Promise
const { then } = prototype

/**
 * Makes what contains the listeners of one instance's plugins.
 *
 * @param contain calls a callback, and keeps what it throws or rejects with from the process
 * @param report called with what the promises of listeners reject with
 */
export function createListening(
  contain: (run: Run, callback: () => unknown) => unknown,
  report: (run: Run, error: unknown) => void,
): Listening {
  const replaced = new WeakMap<object, unknown>()

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

  return Object.freeze({
    listen(run, listener) {
      const isObject = typeof listener === 'object' && listener !== null
      if (!isObject && typeof listener !== 'function') return listener
      const known = replaced.get(listener) as typeof listener | undefined
      if (run === null || known !== undefined) return known ?? listener
      const guarded = isObject ? guardHandler(run, listener as Handler) : guardFunction(run, listener as never)
      replaced.set(listener, guarded)
      return guarded as typeof listener
    },
    hear(promise, rejected) {
      // `then` asks a promise of a class of its own what class the next one is to be.
      if (getPrototypeOf(promise) !== prototype || getOwnPropertyDescriptor(promise, 'constructor') !== undefined)
        return
      apply(then, promise, [undefined, rejected])
    },
  } satisfies Listening)
}
