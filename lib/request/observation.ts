import type { Context } from 'koa'
import type { Events } from '../events/emitter.ts'
import type { Outcome, RunObservers } from '../events/run-observers.ts'
import { openPluginRunChannel, type PluginRunMessage } from '../events/tracing.ts'
import { createHostReader, hostOfAuthority } from '../matching/request-host.ts'
import type { LivePlugin } from '../program.ts'
import { steadyNow } from '../time/steady-clock.ts'
import { noteRun } from './debug/run-record.ts'
import type { Run } from './run/record.ts'
import type { RequestState } from './run/state.ts'

/** Tells of the runs of plugins to whoever wants to hear of them. */
export interface Observation {
  /** Whether anybody does. Asked once for each request; the rest is for requests where somebody did. */
  isWanted(): boolean
  /** A run is about to begin. */
  begin(run: Run): void
  /**
   * Enters the code of a run that is traced.
   *
   * @throws what the code throws
   */
  enter(run: Run, start: () => unknown): unknown
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
  /** A run has failed that is over, and so is its request. */
  failedLate(run: Run, error: unknown): void
  /** The host under which events tell of a request. */
  readHost(ctx: Context): string
}

/** Makes what tells of the runs of one instance. */
export function createObservation(events: Events, observers: RunObservers): Observation {
  const channel = openPluginRunChannel()
  const readHost = createHostReader()

  function tellEnd(run: Run, outcome: Outcome, duration_ms: number, sync_ms: number): void {
    const { plugin, trace, is_asynchronous } = run
    const { record } = stateOf(run)
    if (record !== null) noteRun(record, plugin, outcome, duration_ms)
    if (trace === null) return
    Object.assign(trace, { outcome, duration_ms, sync_ms })
    if (!is_asynchronous) return channel.end.publish(trace)
    channel.asyncStart.publish(trace)
    channel.asyncEnd.publish(trace)
  }

  function tellFailure(
    host: () => string,
    { info, phase }: LivePlugin,
    error: unknown,
    outcome: 'open' | 'closed',
    duration_ms: number,
    sync_ms: number,
  ): void {
    for (const observe of observers.all()) observe(info, phase, outcome, duration_ms, sync_ms)
    if (!events.reaches('rt_plugins_error')) return
    events.emit('rt_plugins_error', { plugin: info, phase, host: host(), error, duration_ms, sync_ms, outcome })
  }

  const hostIn = (state: RequestState) => () => readHost(state.ctx)

  /** Most who want to hear of runs want to hear of those that fail. */
  const isEndHeard = (run: Run): boolean =>
    run.trace !== null || stateOf(run).record !== null || observers.all().length > 0 || events.has('rt_plugins_done')

  return Object.freeze({
    isWanted: () =>
      observers.all().length > 0 ||
      events.has('rt_plugins_starting') ||
      events.has('rt_plugins_done') ||
      events.has('rt_plugins_error') ||
      channel.hasSubscribers,

    begin(run) {
      const { plugin } = run
      const { info, phase } = plugin
      const state = stateOf(run)
      const ended = state.run_ended
      state.run_ended = -1
      // What a shadow run did is told by an event of its own.
      const isToldOf = state.shadow === undefined && events.has('rt_plugins_starting')
      if (isToldOf) events.emit('rt_plugins_starting', { plugin: info, phase, host: readHost(state.ctx) })
      if (channel.hasSubscribers) run.trace = describeRun(run, readHost(state.ctx))
      if (state.record !== null) noteRun(state.record, plugin, 'running', 0)
      // Code that is over when it returns has held the event loop for as long as it took.
      if (!plugin.uses.leaves_nothing) run.is_timed = true
      run.started = ended === -1 || isToldOf ? steadyNow() : ended
    },

    enter(run, start) {
      return channel.start.runStores(run.trace as PluginRunMessage, () => {
        // What subscribers took is not the plugin's.
        run.started = steadyNow()
        return start()
      })
    },

    leave(run) {
      run.is_asynchronous = true
      if (run.plugin.uses.leaves_nothing) run.own_ms = steadyNow() - run.started
      if (run.trace !== null) channel.end.publish(run.trace)
    },

    done(run, outcome) {
      if (!isEndHeard(run)) return
      const { plugin } = run
      const state = stateOf(run)
      const now = steadyNow()
      const duration_ms = now - run.started
      const sync_ms = readSyncTime(run, duration_ms)
      tellEnd(run, outcome, duration_ms, sync_ms)
      if (state.shadow !== undefined) return
      const { info, phase } = plugin
      for (const observe of observers.all()) observe(info, phase, outcome, duration_ms, sync_ms)
      if (!events.has('rt_plugins_done')) {
        // Those that trace it have had the thread, too.
        if (!run.is_asynchronous && run.trace === null) state.run_ended = now
        return
      }
      events.emit('rt_plugins_done', { plugin: info, phase, host: readHost(state.ctx), duration_ms, sync_ms, outcome })
    },

    failed(run, error, outcome, told) {
      const { plugin, trace } = run
      const state = stateOf(run)
      const duration_ms = readDuration(run)
      const sync_ms = readSyncTime(run, duration_ms)
      if (trace !== null) {
        trace.error = error
        channel.error.publish(trace)
      }
      tellEnd(run, outcome, duration_ms, sync_ms)
      if (!told && state.shadow === undefined) tellFailure(hostIn(state), plugin, error, outcome, duration_ms, sync_ms)
    },

    failedOutside(state, plugin, error, outcome) {
      if (state.record !== null) noteRun(state.record, plugin, outcome, 0)
      tellFailure(hostIn(state), plugin, error, outcome, 0, 0)
    },

    failedLate({ plugin, host }, error) {
      tellFailure(() => hostOfAuthority(host), plugin, error, 'open', 0, 0)
    },
    readHost,
  } satisfies Observation)
}

/** The request of a run that is under way. */
function stateOf({ state }: Run): RequestState {
  return state as RequestState
}

function readDuration({ started }: Run): number {
  return started === -1 ? 0 : steadyNow() - started
}

/** How much of its time a run held the event loop; all of it, unless it has returned a promise. */
function readSyncTime({ is_asynchronous, own_ms }: Run, duration_ms: number): number {
  return is_asynchronous ? own_ms : duration_ms
}

function describeRun(run: Run, host: string): PluginRunMessage {
  const { plugin } = run
  const state = stateOf(run)
  return {
    plugin: plugin.info,
    phase: plugin.phase,
    host,
    ctx: state.ctx,
    shadow: state.shadow !== undefined,
    outcome: undefined,
    duration_ms: undefined,
    sync_ms: undefined,
    error: undefined,
  }
}
