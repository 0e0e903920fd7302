import { DynacodeError } from '../errors.ts'
import type { Events } from '../events/emitter.ts'
import type { LivePlugin, RolloutWatch } from '../program.ts'
import { steadyNow } from '../time/steady-clock.ts'
import { isAnswerable, isDeliberate } from './deliberate.ts'
import { createExit, createFetch, createSay, createSignal } from './environment.ts'
import { type Failures, isAbortion } from './failures.ts'
import type { Guard } from './guard/containment.ts'
import { createKit } from './guard/kit.ts'
import type { Trampoline } from './guard/strict.ts'
import type { Observation } from './observation.ts'
import {
  beginChanges,
  clearSnapshot,
  createSnapshot,
  endChanges,
  type Snapshot,
  takeChangesBack,
} from './response/snapshot.ts'
import { toChunk } from './returned-chunk.ts'
import { EXIT } from './run/exit.ts'
import { createRun, killRun, leaveRequest, type Run, restartRun } from './run/record.ts'
import type { RequestState } from './run/state.ts'

/** Runs a plugin that may run, from its first line to its outcome. */
export type RunLive = (state: RequestState, plugin: LivePlugin, chunk: unknown, last: boolean | undefined) => unknown

/** Makes what runs the plugins of one instance. */
export function createLiveRuns({
  events,
  observation,
  failures,
  guard,
  trampoline,
}: {
  events: Events
  observation: Observation
  failures: Failures
  guard: Guard
  trampoline: Trampoline
}): RunLive {
  // Most runs are over before the next one begins: what each needs is made once. Where they overlap, one has its own.
  let idle: Run | null = null
  let snapshot: Snapshot | null = null

  function takeRun(state: RequestState, plugin: LivePlugin): Run {
    const run = idle
    if (run === null || !plugin.uses.leaves_nothing) return createRun(state, plugin, plugin.uses.leaves_nothing)
    idle = null
    restartRun(run, state, plugin)
    return run
  }

  /** The run is over, and its plugin has not failed. */
  function giveBack(run: Run): void {
    leaveRequest(run)
    if (run.is_reusable) idle = run
  }

  function giveBackSnapshot(run: Run): void {
    if (run.before === null) return
    clearSnapshot(run.before)
    snapshot = run.before
    run.before = null
  }

  function runLive(state: RequestState, plugin: LivePlugin, chunk: unknown, last: boolean | undefined): unknown {
    const run = takeRun(state, plugin)
    const { life, uses } = plugin
    const { breaker, rollout } = life
    if (breaker !== undefined) run.breaker_period = breaker.period()
    if (rollout?.isTimed()) run.rollout_started = steadyNow()
    if (state.observed) observation.begin(run)
    if (uses.kit) run.kit = createKit(run, guard.contain)
    if (uses.writes !== 'nothing' && state.refuse !== null) {
      run.before = snapshot ?? createSnapshot()
      snapshot = null
      beginChanges(run.before, state, plugin, uses)
    }
    try {
      const result =
        run.trace === null
          ? start(run, state, chunk, last)
          : observation.enter(run, () => start(run, state, chunk, last))
      if (isThenable(result)) return settle(run, result, chunk)
      return succeed(run, result, chunk)
    } catch (error) {
      return thrown(run, error)
    }
  }

  /** Enters the plugin's code, until that returns or awaits. */
  function start(run: Run, { ctx }: RequestState, chunk: unknown, last: boolean | undefined): unknown {
    const { run: code, spec, uses } = run.plugin
    if (uses.exit) run.exit ??= createExit(run)
    if (uses.say) run.say ??= createSay(run)
    const { exit, say } = run
    const signal = uses.signal || uses.fetch ? createSignal(run) : undefined
    const fetch = uses.fetch && signal !== undefined ? createFetch(run, signal, guard.track) : undefined
    if (spec.guard !== 'strict') return guard.begin(run, ctx, exit, say, fetch, signal, chunk, last)
    const call = () => code(run, ctx, spec.params, exit, say, fetch, signal, chunk, last)
    return guard.enter(run, () => callStrictly(run, call))
  }

  function callStrictly(run: Run, call: () => unknown): unknown {
    const { ended, value } = trampoline.call(call, run.budget_ms)
    if (!ended) return value
    killRun(run, guard.overrun(run))
    throw run.dead
  }

  /** Waits for an asynchronous run, until its deadline. */
  function settle(run: Run, result: PromiseLike<unknown>, chunk: unknown): Promise<unknown> {
    run.is_reusable = false
    if (run.started !== -1) observation.leave(run)
    return new Promise((resolve, reject) => {
      const { timeout_ms } = run.plugin.spec
      const finish = (outcome: () => unknown) => {
        clearTimeout(timer)
        // What comes after the deadline comes too late.
        if (run.finished) return
        try {
          resolve(outcome())
        } catch (error) {
          reject(error)
        }
      }
      const timer = setTimeout(() => killRun(run, timeoutError(run)), timeout_ms)
      timer.unref()
      run.give_up = () => finish(() => thrown(run, run.dead))
      if (run.dead !== null) run.give_up()
      const failed = (error: unknown) => finish(() => thrown(run, error))
      const settled = (value: unknown) =>
        finish(() => {
          try {
            return succeed(run, value, chunk)
          } catch (error) {
            return thrown(run, error)
          }
        })
      try {
        // A thenable of another making may call back with anything, or throw; a promise is taken as it is.
        Promise.resolve(result).then(settled, failed)
      } catch (error) {
        failed(error)
      }
    })
  }

  /** @throws TypeError when a body filter returned what cannot be sent */
  function succeed(run: Run, result: unknown, chunk: unknown, deliberate = false): unknown {
    const { plugin, state, dead } = run
    // Code that caught what stopped it has overrun all the same.
    if (dead !== null) return thrown(run, dead)
    const isChunk = plugin.phase === 'body_filter' && !deliberate && state?.shadow === undefined
    const value = isChunk ? toChunk(result, chunk) : result
    const refused = run.before === null ? undefined : endChanges(run.before)
    if (refused !== undefined) return thrown(run, refused)
    giveBackSnapshot(run)
    finish(run)
    const { breaker } = plugin.life
    if (breaker !== undefined && !breaker.quiet) breaker.succeeded(run.breaker_period)
    const outcome = deliberate || state?.ending ? 'exit' : 'done'
    if (run.started !== -1) observation.done(run, outcome)
    if (plugin.life.rollout !== null) countForRollout(run, plugin.life.rollout, outcome)
    giveBack(run)
    return value
  }

  function thrown(run: Run, error: unknown): undefined {
    const { plugin, state, dead } = run
    if (dead === null && error === EXIT) {
      succeed(run, undefined, undefined, true)
      return undefined
    }
    if (dead === null && state !== null && plugin.phase !== 'log' && isDeliberate(error)) {
      succeed(run, undefined, undefined, true)
      if (state.ending !== null) return undefined
      if (isAnswerable(error)) throw error
      // Whoever throws it wants nobody to get through, whatever is wrong with it.
      state.ending = { status: error.status, body: error.expose ? String(error.message) : undefined, plugin }
      events.emit('on_error', { section: 'request', error })
      return undefined
    }
    finish(run)
    if (run.before !== null) takeChangesBack(run.before)
    giveBackSnapshot(run)
    failures.fail(run, dead ?? error)
    const { rollout } = plugin.life
    // Or clients could have a rollout stopped by going away.
    if (rollout !== null && !isAbortion(dead ?? error)) countForRollout(run, rollout, 'failed')
    leaveRequest(run)
    return undefined
  }

  function finish(run: Run): void {
    guard.finish(run)
    run.release?.()
    if (run.kit !== undefined && (run.plugin.life.ended || run.dead !== null)) run.plugin.life.timers?.clear(run)
  }

  return runLive
}

/** Has the guard of the plugin's rollout count the run; what a shadow run did has not happened. */
function countForRollout(run: Run, rollout: RolloutWatch, outcome: 'done' | 'exit' | 'failed'): void {
  const { state, rollout_started, plugin } = run
  if (state === null || state.shadow !== undefined) return
  const duration_ms = rollout_started === -1 ? undefined : steadyNow() - rollout_started
  rollout.ran(state.ctx, outcome, duration_ms, plugin.life.breaker?.state() === 'open')
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function timeoutError({ plugin }: Run): DynacodeError {
  const message = `plugin ${JSON.stringify(plugin.info.name)} ran for more than ${plugin.spec.timeout_ms} ms (timeout_ms)`
  return new DynacodeError('ERR_DYNACODE_TIMEOUT', message)
}
