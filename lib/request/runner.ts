import { DynacodeError } from '../errors.ts'
import type { Events } from '../events/table.ts'
import type { LivePlugin } from '../program.ts'
import type { Breaker } from '../time/breaker.ts'
import { steadyNow } from '../time/steady-clock.ts'
import { whyNot } from './debug/run-record.ts'
import { isAnswerable, isDeliberate } from './deliberate.ts'
import { createExit, createFetch, createSay, createSignal } from './environment.ts'
import { createFailures, refuseIfClosed } from './failures.ts'
import { createGuard, type Guard } from './guard/containment.ts'
import { createKit } from './guard/kit.ts'
import { createTrampoline } from './guard/strict.ts'
import type { Marker } from './guard/watchdog.ts'
import type { Observation } from './observation.ts'
import { createPhaseRunner, type RunPhase } from './phase.ts'
import { beginChanges, endChanges, takeChangesBack } from './response/changes.ts'
import { EXIT } from './run/exit.ts'
import { createRun, killRun, type Run, type RunKit } from './run/record.ts'
import type { RequestState } from './run/state.ts'
import { createShadowView, describeBody, describeThrown, type ShadowView } from './shadow.ts'

/** Runs plugins, one or a phase of them. A plugin that fails never harms the caller. */
export interface Runner {
  /** What instrumented code calls. */
  readonly guard: Guard
  readonly runPhase: RunPhase
  /**
   * Runs one plugin, and returns what it returned; undefined when it failed or ended the request.
   *
   * @throws as `runPhase`
   */
  runPlugin(state: RequestState, plugin: LivePlugin, chunk?: unknown, last?: boolean): unknown
  /** Whether a plugin is for this request. */
  applies(state: RequestState, plugin: LivePlugin): boolean
  /** Treats a plugin as failed that could not be run at all. */
  failPlugin(state: RequestState, plugin: LivePlugin, error: unknown): void
  /** Ends a version of a plugin: its timers are cleared, those of a run under way when that is over. */
  endPlugin(plugin: LivePlugin): void
  close(): void
}

/** What the runner is made of. */
export interface RunnerParts {
  readonly events: Events
  readonly observation: Observation
  readonly isClosed: () => boolean
  readonly now: () => number
  readonly marker: Marker
  readonly createFunction: (guard: Guard, run: Run) => FunctionConstructor
  readonly makeBreaker: (plugin: LivePlugin) => Breaker
  readonly rewriteStack: (plugin: LivePlugin, error: unknown) => void
}

/**
 * Makes the runner of one instance.
 *
 * @param isClosed whether `close()` was called: nothing runs after it, and what fails closed refuses
 * @param createFunction makes the `Function` that a run finds
 * @param makeBreaker makes the breaker of a version of a plugin
 * @param rewriteStack puts the places in an error's stack where the plugin's author knows them
 */
export function createRunner({
  events,
  observation,
  isClosed,
  now,
  marker,
  createFunction,
  makeBreaker,
  rewriteStack,
}: RunnerParts): Runner {
  const { fail, failDetached, failPlugin, tellShadow } = createFailures(events, observation, makeBreaker, rewriteStack)
  const guard = createGuard(failDetached, marker)
  const trampoline = createTrampoline()

  /** Where it cannot be told whether a plugin is for a request, that plugin has failed. */
  function applies(state: RequestState, plugin: LivePlugin): boolean {
    try {
      const holds = plugin.applies === null || plugin.applies(state.ctx)
      if (!holds && state.record !== null) {
        state.record.skipped.set(plugin, whyNot(plugin, state.ctx, now()) ?? 'rollout')
      }
      return holds
    } catch (error) {
      failPlugin(state, plugin, error)
      return false
    }
  }

  function runPlugin(state: RequestState, plugin: LivePlugin, chunk?: unknown, last?: boolean): unknown {
    const { shadow } = plugin.spec
    // Asked once: the answer may be the one try that an open breaker grants.
    if (isClosed() || !mayRun(plugin)) {
      state.record?.skipped.set(plugin, plugin.life.quarantined ? 'quarantined' : 'breaker')
      if (!shadow) refuseIfClosed(state, plugin)
      return undefined
    }
    return shadow ? runShadow(state, plugin, chunk, last) : runLive(state, plugin, chunk, last)
  }

  /** Runs a plugin on a view of the request, and tells what it did to it. Nobody waits for it. */
  function runShadow(state: RequestState, plugin: LivePlugin, chunk: unknown, last: boolean | undefined): undefined {
    const started = steadyNow()
    let view: ShadowView
    try {
      view = createShadowView(state)
    } catch (error) {
      // What the app has hung on the context cannot be looked at: no reason for the request to fail.
      tellShadow(state, plugin, [describeThrown(error)], steadyNow() - started)
      return undefined
    }
    // What it does to the bytes must not be done to those that are sent.
    const copy = chunk instanceof Uint8Array ? Buffer.from(chunk) : chunk
    const done = (result: unknown) => {
      const effects = view.effects()
      if (plugin.phase === 'body_filter' && result !== undefined) effects.push(describeBody(chunk, result))
      tellShadow(state, plugin, effects, steadyNow() - started)
    }
    const failed = (error: unknown) => {
      view.state.shadow?.push(error)
      done(undefined)
    }
    try {
      const result = runLive(view.state, plugin, copy, last)
      if (result instanceof Promise) result.then(done, failed)
      else done(result)
    } catch (error) {
      failed(error)
    }
    return undefined
  }

  function runLive(state: RequestState, plugin: LivePlugin, chunk: unknown, last: boolean | undefined): unknown {
    const run = createRun(state, plugin)
    if (state.observed) observation.begin(run)
    if (plugin.uses.kit) equip(run)
    if (state.changes !== null) beginChanges(state.changes, plugin)
    try {
      const result =
        run.trace === null ? start(run, chunk, last) : observation.enter(run, () => start(run, chunk, last))
      if (isThenable(result)) return settle(run, result)
      return succeed(run, result)
    } catch (error) {
      return thrown(run, error)
    }
  }

  function mayRun({ life }: LivePlugin): boolean {
    return !life.quarantined && (life.breaker === undefined || life.breaker.quiet || life.breaker.allows())
  }

  function equip(run: Run): void {
    const kit: RunKit = createKit(run, guard.contain, createFunction(guard, run))
    run.kit = kit
    const { life } = run.plugin
    life.runs ??= new Set()
    life.runs.add(kit)
  }

  /** Enters the plugin's code, until that returns or awaits. */
  function start(run: Run, chunk: unknown, last: boolean | undefined): unknown {
    const { plugin, state } = run
    const { run: enter, spec, uses } = plugin
    const exit = uses.exit ? createExit(run) : undefined
    const say = uses.say ? createSay(run) : undefined
    const signal = uses.signal || uses.fetch ? createSignal(run) : undefined
    const fetch = uses.fetch && signal !== undefined ? createFetch(run, signal, guard.track) : undefined
    marker.enter(plugin.life)
    try {
      if (spec.guard !== 'strict') return enter(run, state.ctx, spec.params, exit, say, fetch, signal, chunk, last)
      const call = () => enter(run, state.ctx, spec.params, exit, say, fetch, signal, chunk, last)
      const { ended, value } = trampoline.call(call, run.budget_ms)
      if (!ended) return value
      killRun(run, guard.overrun(run))
      throw run.dead
    } finally {
      marker.leave()
    }
  }

  /** Waits for an asynchronous run, until its deadline. */
  function settle(run: Run, result: PromiseLike<unknown>): Promise<unknown> {
    if (run.watch !== null) observation.leave(run)
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
      try {
        // A thenable of another making may call back with anything, or throw; a promise is taken as it is.
        Promise.resolve(result).then((value) => finish(() => succeed(run, value)), failed)
      } catch (error) {
        failed(error)
      }
    })
  }

  function succeed(run: Run, result: unknown, deliberate = false): unknown {
    const { plugin, state, dead } = run
    // Code that caught what stopped it has overrun all the same.
    if (dead !== null) return thrown(run, dead)
    const refused = state.changes === null ? undefined : endChanges(state.changes)
    if (refused !== undefined) return thrown(run, refused)
    finish(run)
    const { breaker } = plugin.life
    if (breaker !== undefined && !breaker.quiet) breaker.succeeded()
    if (run.watch !== null) observation.done(run, deliberate || state.ending !== null ? 'exit' : 'done')
    return result
  }

  function thrown(run: Run, error: unknown): undefined {
    const { plugin, state, dead } = run
    if (dead === null && error === EXIT) {
      succeed(run, undefined, true)
      return undefined
    }
    if (dead === null && plugin.phase !== 'log' && isDeliberate(error)) {
      succeed(run, undefined, true)
      if (state.ending !== null) return undefined
      if (isAnswerable(error)) throw error
      // Whoever throws it wants nobody to get through, whatever is wrong with it.
      state.ending = { status: error.status, body: error.expose ? String(error.message) : undefined, plugin }
      events.emit('on_error', { section: 'request', error })
      return undefined
    }
    finish(run)
    if (state.changes !== null) takeChangesBack(state.changes)
    fail(run, dead ?? error)
    return undefined
  }

  function finish(run: Run): void {
    guard.finish(run)
    run.release?.()
    const { kit, plugin } = run
    if (kit === undefined) return
    if (plugin.life.ended || run.dead !== null) kit.clear()
    if (!kit.pending() || plugin.life.ended) plugin.life.runs?.delete(kit)
  }

  return Object.freeze({
    guard,
    runPhase: createPhaseRunner(applies, runPlugin),
    runPlugin,
    applies,
    failPlugin,
    endPlugin({ life }) {
      life.ended = true
      life.forgetExpiry?.()
      for (const kit of life.runs ?? []) kit.end()
    },
    close: () => trampoline.close(),
  } satisfies Runner)
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function timeoutError({ plugin }: Run): DynacodeError {
  const message = `plugin ${JSON.stringify(plugin.info.name)} ran for more than ${plugin.spec.timeout_ms} ms (timeout_ms)`
  return new DynacodeError('ERR_DYNACODE_TIMEOUT', message)
}
