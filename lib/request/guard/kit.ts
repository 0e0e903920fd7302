import { promisify } from 'node:util'
import type { Run } from '../run/record.ts'
import { timersOf } from './timers.ts'

type Callback = (...given: unknown[]) => unknown

/**
 * Makes the kit of one run: what its code finds under the names of the process's own (`KIT_NAMES`), the same but contained
 * and bound to the plugin. Timeouts and intervals do not keep the process alive.
 *
 * @param contain calls a callback, and keeps what it throws or rejects with from the process
 */
export function createKit(run: Run, contain: (run: Run, callback: () => unknown) => unknown): object {
  const { life } = run.plugin
  const timers = timersOf(life)

  const isOver = () => run.dead !== null || (run.finished && life.ended)
  const call = (callback: Callback, self: unknown, given: unknown[]) => {
    if (run.dead === null) contain(run, () => callback.apply(self, given))
  }

  const kit = {
    setTimeout(callback: Callback, delay_ms?: number, ...given: unknown[]): NodeJS.Timeout {
      // Node says best what is wrong with it.
      if (typeof callback !== 'function') return setTimeout(callback, delay_ms)
      // It may be started again when it has gone off, and then be that of a plugin which is not there any more.
      const timer: NodeJS.Timeout = setTimeout(() => {
        forget()
        if (!isOver()) call(callback, timer, given)
      }, delay_ms)
      const forget = timers.add(run, timer, clearTimeout)
      return timer.unref()
    },
    setInterval(callback: Callback, delay_ms?: number, ...given: unknown[]): NodeJS.Timeout {
      if (typeof callback !== 'function') return setInterval(callback, delay_ms)
      const timer: NodeJS.Timeout = setInterval(() => call(callback, timer, given), delay_ms)
      timers.add(run, timer, clearInterval)
      return timer.unref()
    },
    // Not unref'd as the others are: Node would run it only once something else wakes the process.
    setImmediate(callback: Callback, ...given: unknown[]): NodeJS.Immediate {
      if (typeof callback !== 'function') return setImmediate(callback)
      const timer: NodeJS.Immediate = setImmediate(() => {
        forget()
        call(callback, timer, given)
      })
      const forget = timers.add(run, timer, clearImmediate)
      return timer
    },
    queueMicrotask(callback: Callback): void {
      if (typeof callback !== 'function') return queueMicrotask(callback)
      queueMicrotask(() => call(callback, undefined, []))
    },
  }
  const nextTick = (callback: Callback, ...given: unknown[]): void => {
    if (typeof callback !== 'function') return process.nextTick(callback)
    process.nextTick(() => call(callback, undefined, given))
  }
  makePromisable(kit.setTimeout, (delay_ms: number, value) => {
    return new Promise((resolve) => kit.setTimeout(resolve as Callback, delay_ms, value))
  })
  makePromisable(kit.setImmediate, (value) => new Promise((resolve) => kit.setImmediate(resolve as Callback, value)))

  const names: Record<string, unknown> = { ...kit, process: substitute(process, { nextTick }) }
  names.globalThis = names.global = substitute(globalThis, names)
  return Object.freeze(names)
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
