import type { PluginLife } from '../../program.ts'
import type { Run } from '../run/record.ts'

/**
 * The timers of one version of a plugin. It keeps none of them alive: whoever clears or closes a timer, by whatever way,
 * and forgets it, has forgotten all that hangs on it.
 */
export interface Timers {
  /**
   * A run has started a timer; returns what to call when that has gone off.
   *
   * @param stop clears it
   */
  add<T extends object>(run: Run, timer: T, stop: (timer: T) => void): () => void
  /** Clears those of one run, or of all that are over. */
  clear(run?: Run): void
}

interface Entry {
  readonly run: Run
  readonly timer: WeakRef<object>
  readonly stop: (timer: never) => void
}

/** So many more entries than were left over, and it is looked which of their timers are gone. */
const SWEEP_AFTER = 256

/** The timers of a version. */
export function timersOf(life: PluginLife): Timers {
  life.timers ??= createTimers(life)
  return life.timers as Timers
}

function createTimers(life: PluginLife): Timers {
  const entries = new Set<Entry>()
  let sweep_at = SWEEP_AFTER

  return Object.freeze({
    add(run, timer, stop) {
      // What a run left to itself may start timers long after it: they end with its version all the same.
      if (run.dead !== null || (run.finished && life.ended)) {
        stop(timer)
        return () => undefined
      }
      const entry = { run, timer: new WeakRef(timer), stop }
      entries.add(entry)
      if (entries.size >= sweep_at) {
        for (const each of entries) if (each.timer.deref() === undefined) entries.delete(each)
        sweep_at = entries.size * 2 + SWEEP_AFTER
      }
      return () => entries.delete(entry)
    },
    clear(run) {
      for (const entry of entries) {
        // A request under way may be waiting for one of its own.
        if (run === undefined ? !entry.run.finished : entry.run !== run) continue
        entries.delete(entry)
        const timer = entry.timer.deref()
        if (timer !== undefined) entry.stop(timer as never)
      }
    },
  } satisfies Timers)
}
