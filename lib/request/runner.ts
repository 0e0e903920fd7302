import { performance } from 'node:perf_hooks'
import { isHttpError } from 'http-errors'
import type { Events } from '../events.ts'
import type { LivePlugin } from '../program.ts'
import { createRunEnvironment, EXIT, type RunEnvironment } from './environment.ts'
import { hostOf, type RequestState } from './state.ts'

/** How long `signal` stays quiet, in milliseconds. */
const TIMEOUT_MS = 5000

/** Runs plugins, one or a phase of them. A plugin that fails never harms the caller. */
export interface Runner {
  /**
   * Runs the plugins in order until one ends the request (`state.ending`).
   *
   * @returns a promise only when one of them is asynchronous
   * @throws http-errors that a plugin throws on purpose, as they are
   */
  runPhase(state: RequestState, plugins: readonly LivePlugin[], from?: number): void | Promise<void>
  /**
   * Runs one plugin, and returns what it returned; undefined when it failed or ended the request.
   *
   * @throws as `runPhase`
   */
  runPlugin(state: RequestState, plugin: LivePlugin, chunk?: unknown, last?: boolean): unknown
  /** Treats a plugin as failed that could not be run at all. */
  failPlugin(state: RequestState, plugin: LivePlugin, error: unknown): void
}

/**
 * Makes the runner of one instance.
 *
 * @param isClosed whether `close()` was called: nothing runs after it, and what fails closed refuses
 */
export function createRunner({ events, isClosed }: { events: Events; isClosed: () => boolean }): Runner {
  function runPlugin(state: RequestState, plugin: LivePlugin, chunk?: unknown, last?: boolean): unknown {
    if (isClosed()) {
      refuseIfClosed(state, plugin)
      return undefined
    }
    if (events.has('rt_plugins_starting')) {
      events.emit('rt_plugins_starting', { plugin: plugin.info, phase: plugin.phase, host: hostOf(state.ctx) })
    }
    const started = events.has('rt_plugins_done') || events.has('rt_plugins_error') ? performance.now() : 0
    const scope = createRunEnvironment(state, plugin, TIMEOUT_MS)
    try {
      const { exit, say, fetch, signal } = scope
      const result = plugin.run(state.ctx, plugin.spec.params, exit, say, fetch, signal, chunk, last)
      if (isThenable(result)) return settle(state, plugin, scope, result, started)
      return succeed(state, plugin, scope, result, started)
    } catch (error) {
      return thrown(state, plugin, scope, error, started)
    }
  }

  async function settle(
    state: RequestState,
    plugin: LivePlugin,
    scope: RunEnvironment,
    result: PromiseLike<unknown>,
    started: number,
  ): Promise<unknown> {
    let value: unknown
    try {
      value = await result
    } catch (error) {
      return thrown(state, plugin, scope, error, started)
    }
    return succeed(state, plugin, scope, value, started)
  }

  function succeed(
    state: RequestState,
    plugin: LivePlugin,
    scope: RunEnvironment,
    result: unknown,
    started: number,
  ): unknown {
    scope.finish()
    if (events.has('rt_plugins_done')) {
      const duration_ms = performance.now() - started
      events.emit('rt_plugins_done', { plugin: plugin.info, phase: plugin.phase, host: hostOf(state.ctx), duration_ms })
    }
    return result
  }

  function thrown(
    state: RequestState,
    plugin: LivePlugin,
    scope: RunEnvironment,
    error: unknown,
    started: number,
  ): undefined {
    if (error === EXIT) {
      succeed(state, plugin, scope, undefined, started)
      return undefined
    }
    if (isHttpError(error) && plugin.phase !== 'log') {
      succeed(state, plugin, scope, undefined, started)
      if (state.ending === null) throw error
      return undefined
    }
    scope.finish()
    failPlugin(state, plugin, error, started === 0 ? 0 : performance.now() - started)
    return undefined
  }

  function failPlugin(state: RequestState, plugin: LivePlugin, error: unknown, duration_ms = 0): void {
    refuseIfClosed(state, plugin)
    if (events.has('rt_plugins_error')) {
      const outcome = state.ending === null ? 'open' : 'closed'
      const { info, phase } = plugin
      events.emit('rt_plugins_error', { plugin: info, phase, host: hostOf(state.ctx), error, duration_ms, outcome })
    }
  }

  function runPhase(state: RequestState, plugins: readonly LivePlugin[], from = 0): void | Promise<void> {
    for (let index = from; index < plugins.length; index += 1) {
      const result = runPlugin(state, plugins[index] as LivePlugin)
      if (result instanceof Promise) {
        return result.then(() => (state.ending === null ? runPhase(state, plugins, index + 1) : undefined))
      }
      if (state.ending !== null) return undefined
    }
    return undefined
  }

  return Object.freeze({ runPhase, runPlugin, failPlugin })
}

function refuseIfClosed(state: RequestState, plugin: LivePlugin): void {
  if (plugin.spec.on_failure === 'closed') state.ending ??= { status: 503 }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
