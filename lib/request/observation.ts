import type { Events } from '../events.ts'
import type { LivePlugin } from '../program.ts'
import type { Run } from './run.ts'
import { type RequestState, readHost } from './state.ts'
import { leaveFirstStretch, readStopwatch, readSyncTime, startStopwatch } from './stopwatch.ts'

/** Tells of the runs of plugins to whoever wants to hear of them. */
export interface Observation {
  /** Whether anybody does. Asked once for each request; the rest is for requests where somebody did. */
  isWanted(): boolean
  /** A run is about to begin. */
  begin(run: Run): void
  /** The run has returned a promise, and goes on later. */
  leave(run: Run): void
  /** The run is over, and the plugin has not failed. */
  done(run: Run, outcome: 'done' | 'exit'): void
  /**
   * The run has failed.
   *
   * @param told whether the error is known already: it came up while the run was under way
   */
  failed(run: Run, error: unknown, outcome: 'open' | 'closed', told: boolean): void
  /** A plugin has failed that did not run, or whose run is over. */
  failedOutside(state: RequestState, plugin: LivePlugin, error: unknown, outcome: 'open' | 'closed'): void
}

/** Makes what tells of the runs of one instance. */
export function createObservation(events: Events): Observation {
  function tellFailure(
    state: RequestState,
    { info, phase }: LivePlugin,
    error: unknown,
    outcome: 'open' | 'closed',
    duration_ms: number,
    sync_ms: number,
  ): void {
    if (!events.has('rt_plugins_error')) return
    const host = readHost(state)
    events.emit('rt_plugins_error', { plugin: info, phase, host, error, duration_ms, sync_ms, outcome })
  }

  return Object.freeze({
    isWanted: () =>
      events.has('rt_plugins_starting') || events.has('rt_plugins_done') || events.has('rt_plugins_error'),

    begin(run) {
      const { plugin, state } = run
      if (events.has('rt_plugins_starting')) {
        events.emit('rt_plugins_starting', { plugin: plugin.info, phase: plugin.phase, host: readHost(state) })
      }
      run.watch = startStopwatch()
    },

    leave({ watch }) {
      if (watch !== null) leaveFirstStretch(watch)
    },

    done({ plugin, state, watch }, outcome) {
      if (watch === null || !events.has('rt_plugins_done')) return
      const duration_ms = readStopwatch(watch)
      const sync_ms = readSyncTime(watch, duration_ms)
      const { info, phase } = plugin
      const host = readHost(state)
      events.emit('rt_plugins_done', { plugin: info, phase, host, duration_ms, sync_ms, outcome })
    },

    failed({ plugin, state, watch }, error, outcome, told) {
      if (told || state.shadow !== undefined) return
      const duration_ms = watch === null ? 0 : readStopwatch(watch)
      tellFailure(state, plugin, error, outcome, duration_ms, watch === null ? 0 : readSyncTime(watch, duration_ms))
    },

    failedOutside: (state, plugin, error, outcome) => tellFailure(state, plugin, error, outcome, 0, 0),
  } satisfies Observation)
}
