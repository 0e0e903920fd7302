import { DynacodeError } from '../errors.ts'
import type { Events } from '../events/emitter.ts'
import type { LivePlugin } from '../program.ts'
import type { Breaker, Strike } from '../time/breaker.ts'
import type { Observation } from './observation.ts'
import type { Run } from './run/record.ts'
import type { RequestState } from './run/state.ts'
import { describeThrown } from './shadow/effects.ts'

/** What a plugin's failure means for its request, its breaker, and those who listen. */
export interface Failures {
  /** A run failed. */
  fail(run: Run, error: unknown): void
  /** Something that a run left behind went wrong: the request does not depend on it. */
  failDetached(run: Run, error: unknown): void
  /** A plugin could not be run at all. */
  failPlugin(state: RequestState, plugin: LivePlugin, error: unknown): void
  /** Tells what a shadow run would have done. */
  tellShadow(state: RequestState, plugin: LivePlugin, effects: readonly string[], duration_ms: number): void
}

/**
 * Makes the judge of one instance.
 *
 * @param makeBreaker makes the breaker of a version of a plugin
 * @param rewriteStack puts the places in an error's stack where the plugin's author knows them
 */
export function createFailures(
  events: Events,
  observation: Observation,
  makeBreaker: (plugin: LivePlugin) => Breaker,
  rewriteStack: (plugin: LivePlugin, error: unknown) => void,
): Failures {
  function tellShadow(state: RequestState, plugin: LivePlugin, effects: readonly string[], duration_ms: number): void {
    const { info, phase } = plugin
    const host = observation.readHost(state.ctx)
    events.emit('rt_plugins_shadow', { plugin: info, phase, host, effects: Object.freeze(effects), duration_ms })
  }

  function fail(run: Run, error: unknown): void {
    const { plugin, state } = run
    if (state === null) return failDetached(run, error)
    refuseIfClosed(state, plugin)
    const told = !strike(run, error)
    if (!told) state.shadow?.push(error)
    observation.failed(run, error, outcomeOf(state), told)
  }

  function failDetached(run: Run, error: unknown): void {
    const { plugin, state } = run
    if (!strike(run, error)) return
    if (state === null) observation.failedLate(run, error)
    else if (state.shadow === undefined) observation.failedOutside(state, plugin, error, 'open')
    else state.shadow.push(error)
  }

  /** Counts an error against the plugin; false when it was counted already. */
  function strike(run: Run, error: unknown): boolean {
    if (run.dead !== null) run.plugin.life.timers?.clear(run)
    if (error === run.dead) {
      if (run.told) return false
      run.told = true
    }
    const { plugin } = run
    const { life } = plugin
    // A client that goes away is no fault of the plugin's, or clients could have any plugin left out. Only a try has to have
    // an outcome.
    if (!isAbortion(error) || life.breaker?.state() === 'half_open') {
      life.breaker ??= makeBreaker(plugin)
      life.breaker.failed(strikeOf(run, error), run.breaker_period)
    }
    try {
      rewriteStack(plugin, error)
    } catch {
      // What a plugin throws may be a proxy that throws on being looked at.
    }
    return true
  }

  function failPlugin(state: RequestState, plugin: LivePlugin, error: unknown): void {
    if (plugin.spec.shadow) return tellShadow(state, plugin, [describeThrown(error)], 0)
    refuseIfClosed(state, plugin)
    observation.failedOutside(state, plugin, error, outcomeOf(state))
  }

  return Object.freeze({ fail, failDetached, failPlugin, tellShadow } satisfies Failures)
}

/** Where a plugin that fails closed does not run, nobody gets through. */
export function refuseIfClosed(state: RequestState, plugin: LivePlugin): void {
  if (plugin.spec.on_failure === 'closed') state.ending ??= { status: 503 }
}

/** What a failure has meant for its request, once that is settled. */
function outcomeOf({ ending }: RequestState): 'open' | 'closed' {
  return ending === null ? 'open' : 'closed'
}

/** Whether a run failed since its client went away, which is no fault of the plugin's. */
export function isAbortion(error: unknown): boolean {
  try {
    return error instanceof DynacodeError && error.code === 'ERR_DYNACODE_ABORTED'
  } catch {
    // A proxy that throws on being looked at is none of ours.
    return false
  }
}

function strikeOf({ dead }: Run, error: unknown): Strike {
  return dead !== null && error === dead ? 'overrun' : 'failure'
}
