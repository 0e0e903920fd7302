import type { Kysely } from 'kysely'
import type { CountedActivity, LastError } from '../../shared/fleet.ts'
import type { Tables } from '../store/tables.ts'
import { estimateQuantile } from './deltas.ts'
import { FLEET_KEY, MOST_PLUGINS, RINGS } from './ring-tables.ts'
import { isTrouble } from './summary.ts'
import { type FleetView, pluginKey } from './view.ts'

/** Rates are those of so many whole minutes, and of the one that is under way. */
export const RATE_MINUTES = 3
/** From this share of its runs on that fail, a plugin is in trouble. */
const BAD_SHARE = 0.5

/** What was counted of a plugin. */
interface Sum {
  calls: number
  errors: number
  errors_closed: number
  exits: number
  buckets: number[]
}
/** What a plugin is known by. */
export type Named = { readonly domain: string; readonly name: string; readonly phase: string }

/** What every plugin does at this time, trouble first, then those that fail most, then the busiest. */
export async function listActivity(
  db: Kysely<Tables>,
  view: FleetView,
  now: number,
): Promise<readonly CountedActivity[]> {
  const slot = Math.floor(now / 60_000)
  const seconds = (now - (slot - RATE_MINUTES) * 60_000) / 1000
  const rows = await db
    .selectFrom('activity')
    .selectAll()
    .where('step', '=', RINGS.hour.step)
    .where('slot', '>=', slot - RATE_MINUTES)
    .where('name', '<>', FLEET_KEY.name)
    .execute()
  const plugins = new Map<string, Named & Sum>()
  for (const row of rows) {
    const before = plugins.get(pluginKey(row))
    if (before === undefined) plugins.set(pluginKey(row), { ...row, buckets: [...row.buckets] })
    else add(before, row)
  }
  const { live, plugins: notable } = view.notable()
  for (const [key, [first]] of notable) {
    if (first === undefined || plugins.has(key) || plugins.size >= 2 * MOST_PLUGINS) continue
    plugins.set(key, {
      ...first,
      phase: first.phase ?? '',
      calls: 0,
      errors: 0,
      errors_closed: 0,
      exits: 0,
      buckets: [],
    })
  }
  const errors = await db.selectFrom('plugin_error').selectAll().orderBy('at', 'desc').limit(MOST_PLUGINS).execute()
  const last_errors = new Map(errors.map((error) => [pluginKey(error), error]))
  return [...plugins.entries()]
    .map(([key, sum]) => {
      const { domain, name, phase } = sum
      const found = last_errors.get(key)
      const error = found?.error as unknown as Omit<LastError, 'at'> | undefined
      const of_processes = notable.get(key) ?? []
      return {
        domain,
        name,
        phase,
        ...judge(sum, of_processes, live),
        is_off: live > 0 && of_processes.filter(({ state }) => state === 'disabled').length === live,
        ...describe(sum, seconds),
        last_error:
          found === undefined || error === undefined
            ? null
            : { ...error, at: found.at.toISOString(), host: found.host, pid: found.pid },
      }
    })
    .sort(
      (a, b) =>
        RANK[a.condition] - RANK[b.condition] ||
        b.errors - a.errors ||
        b.calls - a.calls ||
        (pluginKey(a) < pluginKey(b) ? -1 : 1),
    )
}

const RANK = { bad: 0, warn: 1, good: 2 } as const

function add(sum: Sum, { calls, errors, errors_closed, exits, buckets }: Sum): void {
  sum.calls += calls
  sum.errors += errors
  sum.errors_closed += errors_closed
  sum.exits += exits
  for (const [at, count] of buckets.entries()) sum.buckets[at] = (sum.buckets[at] ?? 0) + count
}

/** Rates and percentiles of what was counted in a time. */
export function describe({ calls, errors, exits, buckets }: Sum, seconds: number) {
  const rate = (count: number) => round(count / seconds)
  return {
    calls: rate(calls),
    errors: rate(errors),
    exits: rate(exits),
    p50_ms: round(estimateQuantile(0.5, buckets)),
    p99_ms: round(estimateQuantile(0.99, buckets)),
  }
}

function round<T extends number | null>(value: T): T {
  return (value === null ? null : Number(value.toPrecision(4))) as T
}

function judge(
  { calls, errors, errors_closed }: Sum,
  notable: readonly { readonly state: string; readonly breaker: string }[],
  live: number,
): Pick<CountedActivity, 'condition' | 'text'> {
  const of_all = (count: number) => `in ${count} of ${live} ${live === 1 ? 'process' : 'processes'}`
  const share = (count: number) => `${Math.max(1, Math.round((count / calls) * 100))} %`
  if (errors_closed > 0 && errors_closed >= calls * BAD_SHARE) {
    return { condition: 'bad', text: `answers 503 to ${share(errors_closed)} of requests` }
  }
  if (errors > 0 && errors >= calls * BAD_SHARE) return { condition: 'bad', text: `${share(errors)} of runs fail` }
  const open = notable.filter(({ breaker }) => breaker !== 'closed').length
  if (open > 0) return { condition: 'bad', text: `breaker open ${of_all(open)}` }
  const [trouble] = notable.filter(isTrouble)
  if (trouble !== undefined) {
    const same = notable.filter(({ state }) => state === trouble.state).length
    return { condition: 'bad', text: `${trouble.state.replace('_', ' ')} ${of_all(same)}` }
  }
  const stopped = notable.filter(({ state }) => state === 'stopped').length
  if (stopped > 0) return { condition: 'warn', text: `rollout stopped ${of_all(stopped)}` }
  if (errors > 0) return { condition: 'warn', text: `${share(errors)} of runs fail` }
  return { condition: 'good', text: notable.some(({ state }) => state === 'disabled') ? 'switched off' : 'healthy' }
}
