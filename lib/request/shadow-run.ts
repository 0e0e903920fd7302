import type { LivePlugin } from '../program.ts'
import { steadyNow } from '../time/steady-clock.ts'
import type { Failures } from './failures.ts'
import type { RunLive } from './live-run.ts'
import type { RequestState } from './run/state.ts'
import { describeBody, describeThrown } from './shadow/effects.ts'
import { createShadowView, type ShadowView } from './shadow/view.ts'

/** Makes what runs plugins on a view of the request, and tells what they did to it. Nobody waits for them. */
export function createShadowRuns(runLive: RunLive, tellShadow: Failures['tellShadow']) {
  return function runShadow(
    state: RequestState,
    plugin: LivePlugin,
    chunk: unknown,
    last: boolean | undefined,
  ): undefined {
    const started = steadyNow()
    let view: ShadowView
    try {
      view = createShadowView(state)
    } catch (error) {
      // What the app has hung on the context cannot be looked at: no reason for the request to fail, nor for the plugin.
      plugin.life.breaker?.abandoned()
      tellShadow(state, plugin, [describeThrown(error)], steadyNow() - started)
      return undefined
    }
    // What it does to the bytes must not be done to those that are sent.
    const copy = chunk instanceof Uint8Array ? Buffer.from(chunk) : chunk
    const done = (result: unknown) => {
      const effects = view.effects()
      const is = result === undefined ? copy : result
      if (plugin.phase === 'body_filter' && !isSame(chunk, is)) effects.push(describeBody(chunk, is))
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
}

function isSame(was: unknown, is: unknown): boolean {
  return was instanceof Uint8Array && is instanceof Uint8Array ? Buffer.compare(was, is) === 0 : was === is
}
