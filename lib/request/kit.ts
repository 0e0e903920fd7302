import type { Run, RunKit } from './run.ts'

type Callback = (...given: unknown[]) => unknown

/** What plugin code finds under the names of the process's own: the same, but contained and bound to the plugin. */
export interface Kit extends RunKit {
  readonly setTimeout: (callback: Callback, delay_ms?: number, ...given: unknown[]) => NodeJS.Timeout
  readonly setInterval: (callback: Callback, delay_ms?: number, ...given: unknown[]) => NodeJS.Timeout
  readonly setImmediate: (callback: Callback, ...given: unknown[]) => NodeJS.Immediate
  readonly clearTimeout: (timer: unknown) => void
  readonly clearInterval: (timer: unknown) => void
  readonly clearImmediate: (timer: unknown) => void
  readonly queueMicrotask: (callback: Callback) => void
  readonly process: NodeJS.Process
  readonly Function: FunctionConstructor
}

/**
 * Makes the kit of one run. Its timers do not keep the process alive.
 *
 * @param contain calls a callback, and keeps what it throws or rejects with from the process
 * @param createFunction compiles code under the guard
 */
export function createKit(
  run: Run,
  contain: (run: Run, callback: () => unknown) => unknown,
  createFunction: FunctionConstructor,
): Kit {
  const timers = new Set<NodeJS.Timeout | NodeJS.Immediate>()
  let cleared = false

  const call = (callback: Callback, given: unknown[]) => {
    if (run.dead === null) contain(run, () => callback(...given))
  }
  const done = (timer: NodeJS.Timeout | NodeJS.Immediate) => {
    timers.delete(timer)
    if (timers.size === 0 && run.finished) run.plugin.life.runs.delete(kit)
  }
  const keep = <T extends NodeJS.Timeout | NodeJS.Immediate>(timer: T): T => {
    timers.add(timer)
    timer.unref()
    if (cleared) forget(timer)
    return timer
  }
  const forget = (timer: unknown) => {
    done(timer as NodeJS.Timeout)
    // One function clears timeouts and intervals alike; an immediate is an object of another kind.
    clearTimeout(timer as NodeJS.Timeout)
    clearImmediate(timer as NodeJS.Immediate)
  }
  const clear = () => {
    cleared = true
    for (const timer of timers) forget(timer)
  }
  const nextTick = (callback: Callback, ...given: unknown[]) => process.nextTick(() => call(callback, given))

  const kit: Kit = Object.freeze<Kit>({
    setTimeout(callback, delay_ms, ...given) {
      const timer: NodeJS.Timeout = setTimeout(() => {
        call(callback, given)
        done(timer)
      }, delay_ms)
      return keep(timer)
    },
    setInterval: (callback, delay_ms, ...given) => keep(setInterval(() => call(callback, given), delay_ms)),
    setImmediate(callback, ...given) {
      const timer: NodeJS.Immediate = setImmediate(() => {
        call(callback, given)
        done(timer)
      })
      return keep(timer)
    },
    clearTimeout: forget,
    clearInterval: forget,
    clearImmediate: forget,
    queueMicrotask: (callback) => queueMicrotask(() => call(callback, [])),
    process: new Proxy(process, {
      get: (target, key) => (key === 'nextTick' ? nextTick : Reflect.get(target, key)),
    }),
    Function: createFunction,
    pending: () => timers.size > 0,
    clear,
    end() {
      // A request under way may be waiting for one of them.
      if (run.finished) clear()
    },
  })
  return kit
}
