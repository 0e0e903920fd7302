import { createBreaker } from '../breaker.ts'
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
): PluginLife {
  const breaker = createBreaker(failures, {
    opened: (details) => events.emit('rt_breaker_opened', { plugin, ...details }),
    closed: () => events.emit('rt_breaker_closed', { plugin }),
  })
  const life: PluginLife = { id, breaker, runs: new Set(), expiry: undefined, ended: false, quarantined: false }
  if (expires_at !== undefined)
    watchExpiry(life, expires_at, () => events.emit('bg_plugin_expired', { plugin, expires_at }))
  return life
}

/** Ends what the versions of plugins left behind that are no longer live. */
export function endReplaced(previous: Program | null, next: Program | null, runner: Runner): void {
  const alive = new Set(next?.plugins)
  for (const plugin of previous?.plugins ?? []) if (!alive.has(plugin)) runner.endPlugin(plugin)
}

const LONGEST_TIMER_MS = 2 ** 31 - 1

function watchExpiry(life: PluginLife, expires_at: number, expired: () => void): void {
  const check = () => {
    const left_ms = expires_at - Date.now()
    if (life.ended) return
    if (left_ms <= 0) return expired()
    life.expiry = setTimeout(check, Math.min(left_ms, LONGEST_TIMER_MS)).unref()
  }
  // Not before the program is live in which it has expired.
  life.expiry = setTimeout(check, 0).unref()
}
