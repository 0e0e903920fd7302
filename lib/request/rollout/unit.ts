import type { Context } from 'koa'
import type { PluginLife, RolloutStop, UnitLife } from '../../program.ts'

/** Begins what the plugins of one version of a unit have in common. */
export function beginUnit(): UnitLife {
  const lives: PluginLife[] = []
  const chosen = new WeakMap<Context, { readonly is_inside: boolean | undefined }>()
  const allowed = new WeakMap<Context, boolean>()
  let is_stopped = false
  let is_trying = false

  /** One request at a time tries a unit of which a plugin has failed: while that is under way, there is nothing to tell. */
  function tryOnce({ res }: Context): boolean {
    if (is_trying) return false
    // A plugin of the phase `log` has missed the end.
    if (res.writableFinished || res.destroyed) return true
    is_trying = true
    res.once('close', () => {
      is_trying = false
    })
    return true
  }

  return {
    join: (life) => void lives.push(life),
    choose(ctx, decide) {
      const known = chosen.get(ctx)
      if (known !== undefined) return known.is_inside
      const is_inside = is_stopped ? undefined : decide(ctx)
      chosen.set(ctx, { is_inside })
      return is_inside
    },
    mayRun(ctx) {
      const known = allowed.get(ctx)
      if (known !== undefined) return known
      let may = true
      let is_try = false
      for (const { breaker } of lives) {
        if (breaker === undefined || breaker.state() === 'closed') continue
        is_try = true
        may &&= breaker.isDue()
      }
      if (is_try && may) may = tryOnce(ctx)
      allowed.set(ctx, may)
      return may
    },
    stop(stop: RolloutStop) {
      is_stopped = true
      for (const { rollout } of lives) rollout?.halt(stop)
    },
  }
}
