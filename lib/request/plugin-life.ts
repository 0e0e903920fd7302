import { type Breaker, createBreaker } from '../breaker.ts'
import type { Clock } from '../clock.ts'
import type { Events, PluginInfo } from '../events.ts'
import type { PluginLife, Program } from '../program.ts'
import type { Runner } from './runner.ts'

/**
 * Begins the life of a version of a plugin.
 *
 * @param id the number that the watchdog knows it by
 * @param expires_at when it ends by itself, in milliseconds since 1970; told once, by an event
 */
export function beginLife(
  plugin: PluginInfo,
  id: number,
  expires_at: number | undefined,
  events: Events,
  clock: Clock,
): PluginLife {
  const life: PluginLife = {
    id,
    breaker: undefined,
    runs: undefined,
    forgetExpiry: undefined,
    ended: false,
    quarantined: false,
  }
  if (expires_at !== undefined) {
    // The clock does not call before the program is live in which it has expired.
    life.forgetExpiry = clock.at(expires_at, () => events.emit('bg_plugin_expired', { plugin, expires_at }))
  }
  return life
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

/** Ends what the versions of plugins left behind that are no longer live. */
export function endReplaced(previous: Program | null, next: Program | null, runner: Runner): void {
  const alive = new Set(next?.plugins)
  for (const plugin of previous?.plugins ?? []) if (!alive.has(plugin)) runner.endPlugin(plugin)
}
