import type { Activated } from '../../background/preparation.ts'
import { listPlugins, type PluginState, type PluginStatus, type Standing } from '../../control/status.ts'
import type { BreakerState } from '../../time/breaker.ts'
import { limitText } from '../plain-error.ts'
import { MAX_TEXT_LENGTH } from './error.ts'
import { fill } from './rows.ts'

/** The state of the live document's plugins. */
export interface ReportedPlugins {
  readonly total: number
  readonly states: Readonly<Record<PluginState, number>>
  readonly breakers: Readonly<Record<BreakerState, number>>
  /** Plugins that are not simply live, problems first. */
  readonly notable: readonly Omit<PluginStatus, 'rollout'>[]
  readonly notable_left_out: number
}

/** What the list may take of a report, in bytes. */
const NOTABLE_BYTES = 14 * 1024

const STATES = [
  'live',
  'last_good',
  'refused',
  'guarded',
  'quarantined',
  'disabled',
  'scheduled',
  'expired',
  'shadow',
  'stopped',
] as const

const TROUBLE: ReadonlySet<PluginState> = new Set(['last_good', 'refused', 'guarded', 'quarantined', 'stopped'])

/** Describes how the plugins of the live document fare. */
export function describePlugins(activated: Activated | null, now: number): ReportedPlugins {
  const states = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<PluginState, number>
  const breakers = { closed: 0, open: 0, half_open: 0 }
  const trouble: Standing[] = []
  const others: Standing[] = []
  let total = 0
  for (const plugin of activated === null ? [] : listPlugins(activated, now)) {
    const { state, breaker } = plugin
    total += 1
    states[state] += 1
    breakers[breaker] += 1
    if (breaker !== 'closed' || TROUBLE.has(state)) trouble.push(plugin)
    else if (state !== 'live') others.push(plugin)
  }
  const { rows, left_out } = fill([...trouble, ...others], NOTABLE_BYTES, ({ describe }) => {
    // Rollouts have a list of their own.
    const { rollout: _rollout, ...status } = describe()
    return { ...status, error: status.error && limitText(status.error, MAX_TEXT_LENGTH) }
  })
  return { total, states, breakers, notable: rows, notable_left_out: left_out }
}
