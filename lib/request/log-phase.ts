import type { Context } from 'koa'
import onFinished from 'on-finished'
import type { Chain, LivePlugin } from '../program.ts'
import type { Observation } from './observation.ts'
import { createState, type RequestState } from './run/state.ts'
import type { Runner } from './runner.ts'

/** Makes what runs the `log` plugins of a request when its response is finished, or its client gone. */
export function createLogPhase(
  observation: Observation,
  runner: Pick<Runner, 'applies' | 'runPlugin'>,
): (ctx: Context, chain: Chain) => void {
  /** Every plugin runs, however the request or the plugins before it ended. */
  function runFrom(state: RequestState, plugins: readonly LivePlugin[], from: number): unknown {
    for (let index = from; index < plugins.length; index += 1) {
      const plugin = plugins[index] as LivePlugin
      state.ending = null
      if (plugin.applies !== null && !runner.applies(state, plugin)) continue
      const pending = runner.runPlugin(state, plugin)
      if (pending instanceof Promise) return pending.then(() => runFrom(state, plugins, index + 1))
    }
    return undefined
  }

  return (ctx, chain) => {
    // Node knows the address of a socket that is gone if it was asked in time.
    void ctx.req.socket.remoteAddress
    onFinished(ctx.res, () => {
      const state = createState(ctx, chain, observation.isWanted())
      return runFrom(state, chain.by_path.log?.(ctx) ?? chain.log, 0)
    })
  }
}
