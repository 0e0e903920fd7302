import { types } from 'node:util'
import { EXIT } from '../run/exit.ts'
import { queue } from '../run/microtask.ts'
import type { Rejection, Run } from '../run/record.ts'

/** Keeps an eye on promises of plugins, so that none of them can end the process. */
export interface Promises {
  /**
   * Watches whatever promises a value is, or holds; `handled` says that somebody else may wait for them.
   *
   * @throws RangeError where the stack has no room left, and what looking at the value throws
   */
  find(run: Run, value: unknown, handled: boolean): void
  /** What `find` could not look at; it is looked at again when promises are observed. */
  readonly missed: Missed[]
  /** Told that a promise is about to be awaited. */
  handle(promise: unknown): void
  /** Told that somebody will ask for the outcome of a promise or, with `each`, of those in an array. */
  handleLater(value: unknown, each: boolean): void
  /** Begins to observe what was found by now; done by itself before Node looks for rejections that nobody handles. */
  observe(): void
  /** Ends a run in good order: rejections that nobody has asked for by now are reported. */
  finish(run: Run): void
}

/** A promise that was found, and is not yet observed. */
interface Found {
  readonly promise: Promise<unknown>
  readonly rejection: Rejection
}

interface Missed {
  readonly run: Run
  readonly value: unknown
  readonly handled: boolean
}

/** So many promises of a stretch of code are looked through for one; of more there is an index. */
const FEW = 16

// Replaced or deleted later, by plugins or the app, these are still what they were.
const { setImmediate, Promise: NativePromise } = globalThis
const { isArray } = Array
const { defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf } = Reflect

/**
 * Makes the watch over the promises of one instance's plugins.
 *
 * @param report told of rejections that nobody handles
 */
export function watchPromises(report: (run: Run, error: unknown) => void): Promises {
  const tracked = new WeakMap<object, Rejection>()
  const missed: Missed[] = []
  const unobserved: Found[] = []
  let recent: Found[] = []

  // Whoever asks for an outcome does so through `then`, as all do but `await`, which is told of by itself. Another prototype
  // costs a fraction of what a property of the promise's own does.
  const watched = Object.create(NativePromise.prototype, {
    // biome-ignore lint/suspicious/noThenProperty: it stands in for the one of promises
    then: {
      configurable: true,
      writable: true,
      value(this: Promise<unknown>, ...handlers: Parameters<Promise<unknown>['then']>) {
        asked(this)
        return NativePromise.prototype.then.apply(this, handlers)
      },
    },
  }) as object

  function find(run: Run, value: unknown, handled: boolean): void {
    if (types.isPromise(value)) add(run, value, handled)
    else if (isArray(value) && !types.isProxy(value) && types.isPromise(value[0])) {
      for (const item of value) if (types.isPromise(item)) add(run, item, false)
    }
  }

  function add(run: Run, promise: Promise<unknown>, handled: boolean): void {
    const known = rejectionOf(promise)
    if (known !== undefined) {
      known.handled ||= handled
      return
    }
    const isPlain = getPrototypeOf(promise) === NativePromise.prototype
    // It was awaited as soon as it was made, and is in no list.
    if (!isPlain && getPrototypeOf(promise) === watched) return
    // Not observed at once: with the stack used up, Node would not get to know that the promise has a handler now.
    if (recent.length === 0 && unobserved.length === 0) queue(observe)
    recent.push({ promise, rejection: { run, handled, reason: undefined } })
    if (recent.length > FEW) index()
    if (isPlain && setPrototypeOf(promise, watched)) return
    try {
      intercept(promise, () => asked(promise))
    } catch {
      // It cannot be told who asks for the outcome; at least it ends nothing.
    }
  }

  function rejectionOf(promise: unknown): Rejection | undefined {
    for (let at = recent.length - 1; at >= 0; at -= 1) {
      if (recent[at]?.promise === promise) return recent[at]?.rejection
    }
    return tracked.get(promise as object)
  }

  function index(): void {
    for (const { promise, rejection } of recent) tracked.set(promise, rejection)
    unobserved.push(...recent)
    recent = []
  }

  function asked(promise: unknown): void {
    const rejection = rejectionOf(promise)
    if (rejection !== undefined) rejection.handled = true
  }

  function observe(): void {
    for (const { run, value, handled } of missed.splice(0)) {
      try {
        find(run, value, handled)
      } catch {
        // What throws on being looked at, with all of the stack's room, is nothing that anybody could wait for.
      }
    }
    index()
    for (const { promise, rejection } of unobserved.splice(0)) waitFor(promise, (reason) => reject(rejection, reason))
  }

  function reject(rejection: Rejection, reason: unknown): void {
    if (rejection.handled) return
    const { run } = rejection
    rejection.reason = reason
    if (run.finished) judgeSoon([rejection])
    else if (run.rejections === null) run.rejections = [rejection]
    else run.rejections.push(rejection)
  }

  /** As Node does it: a rejection counts once the microtasks are done and nobody has asked for it. */
  function judgeSoon(rejections: readonly Rejection[]): void {
    setImmediate(() => {
      for (const { run, handled, reason } of rejections) {
        if (!handled && reason !== EXIT) report(run, reason)
      }
    })
  }

  return Object.freeze({
    find,
    missed,
    handle(promise) {
      const last = recent.at(-1)
      if (last === undefined || last.promise !== promise) asked(promise)
      // Nothing more is needed, as long as it can be told from a promise that nobody has seen yet.
      else if (getPrototypeOf(last.promise) === watched) recent.pop()
      else last.rejection.handled = true
    },
    handleLater(value, each) {
      asked(value)
      if (each && isArray(value) && !types.isProxy(value)) for (const item of value) asked(item)
    },
    observe,
    finish(run) {
      // Where the stack had no room even for a microtask to be queued.
      if (missed.length > 0) observe()
      run.finished = true
      if (run.rejections !== null) judgeSoon(run.rejections)
      run.rejections = null
    },
  } satisfies Promises)
}

/** Sees who asks for the outcome of a promise that has a class of its own. */
function intercept(promise: Promise<unknown>, asked: () => void): void {
  const { then } = promise
  defineProperty(promise, 'then', {
    configurable: true,
    writable: true,
    value(this: Promise<unknown>, ...handlers: Parameters<typeof then>) {
      asked()
      return then.apply(this, handlers)
    },
  })
}

/**
 * Handles a promise's rejection, without a trace of it in the promise's own class: an `await` asks neither for its `then`
 * nor for its species, as long as it takes the promise for one of the language's own.
 */
function waitFor(promise: Promise<unknown>, rejected: (reason: unknown) => void): void {
  const wait = async () => {
    try {
      await promise
    } catch (reason) {
      rejected(reason)
    }
  }
  const own = getOwnPropertyDescriptor(promise, 'constructor')
  const isPlain = own === undefined && hasPlainClass(promise)
  if (!isPlain) defineProperty(promise, 'constructor', { configurable: true, value: NativePromise })
  void wait()
  if (isPlain) return
  deleteProperty(promise, 'constructor')
  if (own !== undefined) defineProperty(promise, 'constructor', own)
}

function hasPlainClass(promise: Promise<unknown>): boolean {
  try {
    return promise.constructor === NativePromise
  } catch {
    return false
  }
}
