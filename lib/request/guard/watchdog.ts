import { Worker } from 'node:worker_threads'
import type { PluginLife } from '../../program.ts'
import { queue } from '../run/microtask.ts'
import type { QuarantineEntry } from './quarantine.ts'
import { WATCHDOG_SOURCE } from './watchdog-source.ts'

/** The slot in which the plugin that is running is marked, for whoever watches from outside. */
export interface Marker {
  /** A plugin's code is about to be called; returns what is to be marked again when that is over. */
  enter(life: PluginLife): number
  leave(marked: number): void
  /** A run goes on after an await; its end is not seen, so that the end of the microtask has to do. */
  resume(life: PluginLife): void
}

/** Watches the main thread from another one. */
export interface Watchdog extends Marker {
  /** Makes a version of a plugin known; returns the number that it is marked by. */
  know(plugin: string, sha1: string): number
  close(): void
}

/** The watchdog's option. */
export interface WatchdogOptions {
  readonly quarantine_path: string
  readonly limit_ms: number
  readonly exit: boolean
  /** Whether it may write to the folder. */
  readonly writes: boolean
}

/** Where no watchdog is wanted. */
export const NO_WATCHDOG: Watchdog = Object.freeze({
  enter: () => 0,
  leave() {},
  resume() {},
  know: () => 0,
  close() {},
})

/** Times between signs of life of the main thread, in milliseconds. */
const HEARTBEAT_MS = 50

/**
 * Starts a thread that sees when a plugin keeps the main thread past the limit, and when the process dies inside of one.
 *
 * @param convicted called when a plugin was put into quarantine and the process goes on
 */
export function startWatchdog(options: WatchdogOptions, convicted: (entry: QuarantineEntry) => void): Watchdog {
  // 0: the plugin that runs, or 0; 1: counts runs; 2: counts heartbeats.
  const slot = new Int32Array(new SharedArrayBuffer(12))
  const worker = new Worker(WATCHDOG_SOURCE, {
    eval: true,
    name: 'dynacode watchdog',
    workerData: { slot, pid: process.pid, heartbeat_ms: HEARTBEAT_MS, ...options },
    execArgv: [],
    stdin: false,
  })
  worker.unref()
  worker.on('message', convicted)
  // A watchdog that fails must not take anything down with it.
  worker.on('error', () => undefined)
  let last = 0
  let clearing = false
  const beat = () => {
    slot[0] = 0
    slot[2] = ((slot[2] as number) + 1) | 0
  }
  const heart = setInterval(beat, HEARTBEAT_MS)
  heart.unref()

  const mark = (id: number) => {
    slot[0] = id
    slot[1] = ((slot[1] as number) + 1) | 0
  }
  const enter = ({ id }: PluginLife) => {
    const marked = slot[0] as number
    mark(id)
    return marked
  }

  return Object.freeze({
    enter,
    // What goes on now has as long as what begins.
    leave: mark,
    resume(life) {
      mark(life.id)
      if (clearing) return
      clearing = true
      queue(() => {
        clearing = false
        mark(0)
      })
    },
    know(plugin, sha1) {
      last += 1
      worker.postMessage({ id: last, plugin, sha1 })
      return last
    },
    close() {
      clearInterval(heart)
      mark(0)
      void worker.terminate()
    },
  } satisfies Watchdog)
}
