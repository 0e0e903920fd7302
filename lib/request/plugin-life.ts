import { type BreakerEvents, createBreaker } from '../breaker.ts'
import type { Clock } from '../clock.ts'
import type { Events, PluginInfo } from '../events.ts'
import type { PluginLife, Program } from '../program.ts'
import type { Runner } from './runner.ts'

/**
 * Begins the life of a version of a plugin.
 *
 * @param id the number that the watchdog knows it by
 * @param failures after how many its breaker opens
 * @param expires_at when it ends by itself, in milliseconds since 1970; told once, by an event
 */
export function beginLife(
  plugin: PluginInfo,
  id: number,
  failures: number,
  expires_at: number | undefined,
  events: Events,
  clock: Clock,
): PluginLife {
  const told: BreakerEvents = {
    opened: (details) => events.emit('rt_breaker_opened', { plugin, ...details }),
    closed: () => events.emit('rt_breaker_closed', { plugin }),
  }
  const breaker = createBreaker(failures, told, clock)
  const life: PluginLife = { id, breaker, runs: new Set(), forgetExpiry: undefined, ended: false, quarantined: false }
  if (expires_at !== undefined) {
    // The clock does not call before the program is live in which it has expired.
    life.forgetExpiry = clock.at(expires_at, () => events.emit('bg_plugin_expired', { plugin, expires_at }))
  }
  return life
}

/** Ends what the versions of plugins left behind that are no longer live. */
export function endReplaced(previous: Program | null, next: Program | null, runner: Runner): void {
  const alive = new Set(next?.plugins)
  for (const plugin of previous?.plugins ?? []) if (!alive.has(plugin)) runner.endPlugin(plugin)
}
