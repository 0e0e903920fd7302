import type { PluginSpec } from '../document.ts'
import type { Events } from '../events/emitter.ts'
import type { PluginInfo } from '../events/table.ts'
import type { LivePlugin, PluginLife, RolloutWatch, UnitLife } from '../program.ts'
import { type Breaker, createBreaker } from '../time/breaker.ts'
import type { Clock } from '../time/clock.ts'
import { createRolloutWatch } from './rollout/watch.ts'

/**
 * Begins the life of a version of a plugin.
 *
 * @param id the number that the watchdog knows it by
 * @param rollout what guards its rollout
 * @param unit the version of the unit that it belongs to
 */
export function beginLife(id: number, rollout: RolloutWatch | null, unit: UnitLife | null): PluginLife {
  const life: PluginLife = {
    id,
    breaker: undefined,
    rollout,
    unit,
    timers: undefined,
    forgetExpiry: undefined,
    ended: false,
    quarantined: false,
  }
  unit?.join(life)
  return life
}

/** A plugin cannot go on as it is: its unit, if it is in one, goes back. */
export type UnitFailed = (plugin: PluginInfo, why: string) => void

/** Makes what makes the guard of a plugin's rollout; null where the document asks for none. */
export function createRolloutGuard(
  events: Events,
  clock: Clock,
  failed: UnitFailed,
): (info: PluginInfo, spec: PluginSpec, unit: UnitLife | null) => RolloutWatch | null {
  return (plugin, { scope, shadow, unit: of }, unit) => {
    if (scope.stop_when === undefined || shadow) return null
    return createRolloutWatch(
      scope.stop_when,
      clock,
      (stop, counts) => {
        unit?.stop(stop)
        const { condition, limit, above_control } = stop
        events.emit('rt_rollout_stopped', { plugin, condition, limit, above_control, ...counts })
        if (unit !== null) failed(plugin, `its rollout stopped itself (${condition})`)
      },
      of?.size,
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
  failed: UnitFailed,
): (plugin: Pick<LivePlugin, 'info' | 'life'>) => Breaker {
  return ({ info: plugin, life }) =>
    createBreaker(
      failures,
      {
        opened(details) {
          events.emit('rt_breaker_opened', { plugin, ...details })
          if (life.unit !== null) failed(plugin, `its breaker opened after ${details.failures} failures`)
        },
        closed: () => events.emit('rt_breaker_closed', { plugin }),
      },
      clock,
    )
}
