import { promisify } from 'node:util'
import type { Run, RunKit } from '../run/record.ts'

type Callback = (...given: unknown[]) => unknown

/**
 * Makes the kit of one run: what its code finds under the names of the process's own (`KIT_NAMES`), the same but contained
 * and bound to the plugin. Timeouts and intervals do not keep the process alive.
 *
 * @param contain calls a callback, and keeps what it throws or rejects with from the process
 * @param createFunction compiles code under the guard
 */
export function createKit(
  run: Run,
  contain: (run: Run, callback: () => unknown) => unknown,
  createFunction: FunctionConstructor,
): RunKit {
  const timers = new Map<object, () => void>()
  let cleared = false

  const call = (callback: Callback, self: unknown, given: unknown[]) => {
    if (run.dead !== null) return
    // Others have had the thread since the callback was handed over; their time is not this run's.
    run.straight = false
    if (run.close > 0) run.n = 0
    contain(run, () => callback.apply(self, given))
  }
  const done = (timer: unknown) => {
    if (!timers.delete(timer as object)) return
    if (timers.size === 0 && run.finished) run.plugin.life.runs?.delete(kit)
  }
  const clear = () => {
    cleared = true
    for (const [timer, stop] of timers) {
      done(timer)
      stop()
    }
  }
  const keep = (timer: object, stop: () => void) => {
    timers.set(timer, stop)
    const { life } = run.plugin
    // What a run left to itself may start timers long after it: it ends with its version all the same.
    if (cleared || (run.finished && life.ended)) clear()
    else if (run.finished) {
      life.runs ??= new Set()
      life.runs.add(kit)
    }
  }
  const keepTimer = (timer: NodeJS.Timeout): NodeJS.Timeout => {
    keep(timer, () => clearTimeout(timer))
    return timer.unref()
  }

  function startTimeout(callback: Callback, delay_ms?: number, ...given: unknown[]): NodeJS.Timeout {
    // Node says best what is wrong with it.
    if (typeof callback !== 'function') return setTimeout(callback, delay_ms)
    const timer: NodeJS.Timeout = setTimeout(() => {
      call(callback, timer, given)
      done(timer)
    }, delay_ms)
    return keepTimer(timer)
  }
  function startInterval(callback: Callback, delay_ms?: number, ...given: unknown[]): NodeJS.Timeout {
    if (typeof callback !== 'function') return setInterval(callback, delay_ms)
    const timer: NodeJS.Timeout = setInterval(() => call(callback, timer, given), delay_ms)
    return keepTimer(timer)
  }
  // Not unref'd as the others are: Node would run it only once something else wakes the process.
  function startImmediate(callback: Callback, ...given: unknown[]): NodeJS.Immediate {
    if (typeof callback !== 'function') return setImmediate(callback)
    const timer: NodeJS.Immediate = setImmediate(() => {
      call(callback, timer, given)
      done(timer)
    })
    keep(timer, () => clearImmediate(timer))
    return timer
  }
  function stopTimer(timer: unknown): void {
    // Timers can be cleared by their number, too.
    const isObject = Object(timer) === timer
    const known = isObject ? timer : [...timers.keys()].find((each) => String(Number(each)) === String(timer))
    done(known)
    clearTimeout(timer as NodeJS.Timeout)
  }
  function stopImmediate(timer: unknown): void {
    done(timer)
    clearImmediate(timer as NodeJS.Immediate)
  }
  function callSoon(callback: Callback): void {
    if (typeof callback !== 'function') return queueMicrotask(callback)
    queueMicrotask(() => call(callback, undefined, []))
  }
  function nextTick(callback: Callback, ...given: unknown[]): void {
    if (typeof callback !== 'function') return process.nextTick(callback)
    process.nextTick(() => call(callback, undefined, given))
  }
  makePromisable(startTimeout, (delay_ms: number, value) => {
    return new Promise((resolve) => startTimeout(resolve as Callback, delay_ms, value))
  })
  makePromisable(startImmediate, (value) => new Promise((resolve) => startImmediate(resolve as Callback, value)))

  const names: Record<string, unknown> = {
    setTimeout: startTimeout,
    setInterval: startInterval,
    setImmediate: startImmediate,
    clearTimeout: stopTimer,
    clearInterval: stopTimer,
    clearImmediate: stopImmediate,
    queueMicrotask: callSoon,
    process: substitute(process, { nextTick }),
    Function: createFunction,
  }
  names.globalThis = names.global = substitute(globalThis, names)
  const kit = Object.freeze({
    ...names,
    pending: () => timers.size > 0,
    clear,
    end() {
      // A request under way may be waiting for one of them.
      if (run.finished) clear()
    },
  })
  return kit
}

/** What `util.promisify` makes of a timer's function. */
function makePromisable(start: object, promised: (...given: never[]) => Promise<unknown>): void {
  Object.defineProperty(start, promisify.custom, { value: promised })
}

/** An object like another, but for some of its properties. */
function substitute<T extends object>(target: T, replaced: Readonly<Record<PropertyKey, unknown>>): T {
  return new Proxy(target, {
    get: (_, key) => (Object.hasOwn(replaced, key) ? replaced[key] : Reflect.get(target, key)),
    set: (_, key, value) => Reflect.set(target, key, value),
  })
}
