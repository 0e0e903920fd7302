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
  /** @param listed those of the phase that may be for the request's path */
  function runListed(
    state: RequestState,
    plugins: readonly LivePlugin[],
    listed: readonly LivePlugin[],
    from: number,
  ): void | Promise<void> {
    const { url } = state.ctx.req
    for (let index = from; index < listed.length; index += 1) {
      const plugin = listed[index] as LivePlugin
      if (plugin.applies !== null && !applies(state, plugin)) {
        state.run_ended = -1
        // Where that could not be told of one that fails closed, it has refused.
        if (state.ending !== null) return undefined
        continue
      }
      const result = runPlugin(state, plugin)
      if (result instanceof Promise) return result.then(() => runAfter(state, plugins, plugin))
      if (state.ending !== null) return undefined
      // With another path, others may be next.
      if (listed !== plugins && state.ctx.req.url !== url) return runAfter(state, plugins, plugin)
    }
    return undefined
  }

  function runAfter(state: RequestState, plugins: readonly LivePlugin[], plugin: LivePlugin): void | Promise<void> {
    return state.ending === null ? runListed(state, plugins, plugins, plugins.indexOf(plugin) + 1) : undefined
  }

  return (state, plugins, index) => runListed(state, plugins, index?.(state.ctx) ?? plugins, 0)
}
