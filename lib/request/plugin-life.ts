import type { Events } from '../events/emitter.ts'
import type { PluginInfo } from '../events/table.ts'
import type { Scope } from '../matching/scope.ts'
import type { LivePlugin, PluginLife, RolloutWatch } from '../program.ts'
import { type Breaker, createBreaker } from '../time/breaker.ts'
import type { Clock } from '../time/clock.ts'
import { createRolloutWatch } from './rollout/watch.ts'

/**
 * Begins the life of a version of a plugin.
 *
 * @param id the number that the watchdog knows it by
 * @param rollout what guards its rollout
 */
export function beginLife(id: number, rollout: RolloutWatch | null): PluginLife {
  return {
    id,
    breaker: undefined,
    rollout,
    timers: undefined,
    forgetExpiry: undefined,
    ended: false,
    quarantined: false,
  }
}

/** Makes what makes the guard of a plugin's rollout; null where the document asks for none. */
export function createRolloutGuard(
  events: Events,
  clock: Clock,
): (info: PluginInfo, scope: Scope, is_shadow: boolean) => RolloutWatch | null {
  return (plugin, { stop_when }, is_shadow) => {
    if (stop_when === undefined || is_shadow) return null
    return createRolloutWatch(stop_when, clock, ({ condition, limit, above_control }, counts) =>
      events.emit('rt_rollout_stopped', { plugin, condition, limit, above_control, ...counts }),
    )
  }
}

/** Has it told, once, when a plugin ends by itself. Not before it is live: there would be nothing to tell of. */
export function watchExpiry({ info: plugin, spec, life }: LivePlugin, events: Events, clock: Clock): void {
  const { expires_at } = spec.scope
  if (expires_at === undefined) return
  life.forgetExpiry = clock.at(expires_at, () => events.emit('bg_plugin_expired', { plugin, expires_at }))
}

/** Makes what makes the breaker of a version of a plugin, which most never need. */
export function createBreakerMaker(
  failures: number,
  events: Events,
  clock: Clock,
): (plugin: { readonly info: PluginInfo }) => Breaker {
  return ({ info: plugin }) =>
    createBreaker(
      failures,
      {
        opened: (details) => events.emit('rt_breaker_opened', { plugin, ...details }),
        closed: () => events.emit('rt_breaker_closed', { plugin }),
      },
      clock,
    )
}
