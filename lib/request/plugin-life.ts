import { createBreaker } from '../breaker.ts'
import type { Events, PluginInfo } from '../events.ts'
import type { PluginLife, Program } from '../program.ts'
import type { Runner } from './runner.ts'

/**
 * Begins the life of a version of a plugin.
 *
 * @param id the number that the watchdog knows it by
 * @param failures after how many its breaker opens
 */
export function beginLife(plugin: PluginInfo, id: number, failures: number, events: Events): PluginLife {
  const breaker = createBreaker(failures, {
    opened: (details) => events.emit('rt_breaker_opened', { plugin, ...details }),
    closed: () => events.emit('rt_breaker_closed', { plugin }),
  })
  return { id, breaker, runs: new Set(), ended: false, quarantined: false }
}

/** Ends what the versions of plugins left behind that are no longer live. */
export function endReplaced(previous: Program | null, next: Program | null, runner: Runner): void {
  const alive = new Set(next?.plugins)
  for (const plugin of previous?.plugins ?? []) if (!alive.has(plugin)) runner.endPlugin(plugin)
}
