import type { Events } from '../events/emitter.ts'
import type { PluginInfo } from '../events/table.ts'
import type { LivePlugin, PluginLife } from '../program.ts'
import { type Breaker, createBreaker } from '../time/breaker.ts'
import type { Clock } from '../time/clock.ts'

/**
 * Begins the life of a version of a plugin.
 *
 * @param id the number that the watchdog knows it by
 */
export function beginLife(id: number): PluginLife {
  return {
    id,
    breaker: undefined,
    timers: undefined,
    forgetExpiry: undefined,
    watch: undefined,
    ended: false,
    quarantined: false,
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
