import type { Phase } from '../document.ts'
import type { PluginInfo } from './table.ts'

/** How a run ends: to its end, with a response, or failed, with the request going on (`open`) or refused (`closed`). */
export type Outcome = 'done' | 'exit' | 'open' | 'closed'

/**
 * Told of each run when it is over, in place of `rt_plugins_done` and `rt_plugins_error`, by who counts every one of them:
 * an event, with an object for it, the time of day and Node's emitter, costs as much as a small plugin. Must not throw.
 */
export type RunObserver = (
  plugin: PluginInfo,
  phase: Phase,
  outcome: Outcome,
  duration_ms: number,
  sync_ms: number,
) => void

/** Who counts the runs of an instance. */
export interface RunObservers {
  all(): readonly RunObserver[]
  /** Returns what takes it away again. */
  add(observer: RunObserver): () => void
  /** Nothing is emitted any more. */
  close(): void
}

/** Under this the instance carries `add`, for the other entries of this package. */
export const OBSERVE_RUNS: unique symbol = Symbol('observe runs')

/** Makes the list of one instance. */
export function createRunObservers(): RunObservers {
  let observers: readonly RunObserver[] = []
  let closed = false
  return Object.freeze({
    all: () => observers,
    add(observer) {
      if (!closed) observers = [...observers, observer]
      return () => {
        observers = observers.filter((each) => each !== observer)
      }
    },
    close() {
      closed = true
      observers = []
    },
  } satisfies RunObservers)
}
