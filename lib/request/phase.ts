import type { PathIndex } from '../matching/path-index.ts'
import type { LivePlugin } from '../program.ts'
import type { RequestState } from './run/state.ts'

/**
 * Runs the plugins of a phase in order until one ends the request (`state.ending`).
 *
 * @param index leaves out plugins for other paths
 * @returns a promise only when one of them is asynchronous
 * @throws http-errors that a plugin throws on purpose, as they are
 */
export type RunPhase = (
  state: RequestState,
  plugins: readonly LivePlugin[],
  index: PathIndex<LivePlugin> | undefined,
) => void | Promise<void>

/**
 * Makes what runs the phases of one instance.
 *
 * @param applies whether a plugin is for a request
 * @param runPlugin runs one; its promise resolves when it is over
 */
export function createPhaseRunner(
  applies: (state: RequestState, plugin: LivePlugin) => boolean,
  runPlugin: (state: RequestState, plugin: LivePlugin) => unknown,
): RunPhase {
  function runAfter(state: RequestState, plugins: readonly LivePlugin[], plugin: LivePlugin): void | Promise<void> {
    return state.ending === null ? runFrom(state, plugins, plugins.indexOf(plugin) + 1) : undefined
  }

  function runFrom(state: RequestState, plugins: readonly LivePlugin[], from: number): void | Promise<void> {
    for (let index = from; index < plugins.length; index += 1) {
      const plugin = plugins[index] as LivePlugin
      if (plugin.applies !== null && !applies(state, plugin)) {
        // Where that could not be told of one that fails closed, it has refused.
        if (state.ending !== null) return undefined
        continue
      }
      const result = runPlugin(state, plugin)
      if (result instanceof Promise) {
        return result.then(() => (state.ending === null ? runFrom(state, plugins, index + 1) : undefined))
      }
      if (state.ending !== null) return undefined
    }
    return undefined
  }

  return function runPhase(
    state: RequestState,
    plugins: readonly LivePlugin[],
    index: PathIndex<LivePlugin> | undefined,
  ): void | Promise<void> {
    if (index === undefined) return runFrom(state, plugins, 0)
    const { url } = state.ctx.req
    for (const plugin of index(state.ctx)) {
      if (plugin.applies !== null && !applies(state, plugin)) {
        // Where that could not be told of one that fails closed, it has refused.
        if (state.ending !== null) return undefined
        continue
      }
      const result = runPlugin(state, plugin)
      if (result instanceof Promise) return result.then(() => runAfter(state, plugins, plugin))
      if (state.ending !== null) return undefined
      // With another path, others may be next.
      if (state.ctx.req.url !== url) return runAfter(state, plugins, plugin)
    }
    return undefined
  }
}
