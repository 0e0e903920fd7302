import type { Strike } from '../breaker.ts'
import { DynacodeError } from '../errors.ts'
import type { Events } from '../events.ts'
import type { LivePlugin } from '../program.ts'
import type { Run } from './run.ts'
import { describeThrown } from './shadow.ts'
import { hostOf, type RequestState } from './state.ts'

/** What a plugin's failure means for its request, its breaker, and those who listen. */
export interface Failures {
  /** A run failed. */
  fail(run: Run, error: unknown, duration_ms: number): void
  /** Something that a run left behind went wrong: the request does not depend on it. */
  failDetached(run: Run, error: unknown): void
  /** A plugin could not be run at all. */
  failPlugin(state: RequestState, plugin: LivePlugin, error: unknown, duration_ms?: number): void
  /** Tells what a shadow run would have done. */
  tellShadow(state: RequestState, plugin: LivePlugin, effects: readonly string[], duration_ms: number): void
}

/**
 * Makes the judge of one instance.
 *
 * @param rewriteStack puts the places in an error's stack where the plugin's author knows them
 */
export function createFailures(events: Events, rewriteStack: (plugin: LivePlugin, error: unknown) => void): Failures {
  function tellShadow(state: RequestState, plugin: LivePlugin, effects: readonly string[], duration_ms: number): void {
    const { info, phase } = plugin
    const host = hostOf(state.ctx)
    events.emit('rt_plugins_shadow', { plugin: info, phase, host, effects: Object.freeze(effects), duration_ms })
  }

  function fail(run: Run, error: unknown, duration_ms: number): void {
    const { plugin, state } = run
    refuseIfClosed(state, plugin)
    if (strike(run, error)) tell(state, plugin, error, duration_ms, state.ending === null ? 'open' : 'closed')
  }

  function failDetached(run: Run, error: unknown): void {
    if (strike(run, error)) tell(run.state, run.plugin, error, 0, 'open')
  }

  /** Counts an error against the plugin; false when it was counted already. */
  function strike(run: Run, error: unknown): boolean {
    if (run.dead !== null) run.kit?.clear()
    if (error === run.dead) {
      if (run.told) return false
      run.told = true
    }
    const { breaker } = run.plugin.life
    // A client that goes away is no fault of the plugin's, or clients could have any plugin left out. Only a try has to have
    // an outcome.
    if (!isAbortion(error) || breaker.state() === 'half_open') breaker.failed(strikeOf(run, error))
    try {
      rewriteStack(run.plugin, error)
    } catch {
      // What a plugin throws may be a proxy that throws on being looked at.
    }
    return true
  }

  function failPlugin(state: RequestState, plugin: LivePlugin, error: unknown, duration_ms = 0): void {
    if (plugin.spec.shadow) return tellShadow(state, plugin, [describeThrown(error)], duration_ms)
    refuseIfClosed(state, plugin)
    tell(state, plugin, error, duration_ms, state.ending === null ? 'open' : 'closed')
  }

  function tell(
    state: RequestState,
    plugin: LivePlugin,
    error: unknown,
    duration_ms: number,
    outcome: 'open' | 'closed',
  ): void {
    if (state.shadow !== undefined) {
      state.shadow.push(error)
      return
    }
    if (!events.has('rt_plugins_error')) return
    const { info, phase } = plugin
    events.emit('rt_plugins_error', { plugin: info, phase, host: hostOf(state.ctx), error, duration_ms, outcome })
  }

  return Object.freeze({ fail, failDetached, failPlugin, tellShadow } satisfies Failures)
}

/** Where a plugin that fails closed does not run, nobody gets through. */
export function refuseIfClosed(state: RequestState, plugin: LivePlugin): void {
  if (plugin.spec.on_failure === 'closed') state.ending ??= { status: 503 }
}

function isAbortion(error: unknown): boolean {
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
