import type { Kysely } from 'kysely'
import type { PluginKey } from '../../shared/changes.ts'
import { describeLimit, describeStop, type Rollout, type RolloutChart } from '../../shared/rollouts.ts'
import { RINGS } from '../fleet/ring-tables.ts'
import { Problem } from '../problem.ts'
import type { Tables } from '../store/tables.ts'
import { toCounts } from './counted.ts'
import { dueAt, stepOf } from './plan.ts'
import type { RolloutRow } from './rows.ts'

/** As many are listed. */
const MOST_LISTED = 200

/** Those that run first, then the latest; of one plugin, where that is given. */
export async function listRollouts(db: Kysely<Tables>, plugin?: PluginKey): Promise<readonly Rollout[]> {
  const rows = await db
    .selectFrom('rollout')
    .selectAll()
    .$if(plugin !== undefined, (query) =>
      query
        .where('domain', '=', (plugin as PluginKey).domain)
        .where('name', '=', (plugin as PluginKey).name)
        .where('phase', '=', (plugin as PluginKey).phase),
    )
    .orderBy(({ eb }) => eb.case().when('state', '=', 'running').then(0).else(1).end())
    .orderBy('id', 'desc')
    .limit(MOST_LISTED)
    .execute()
  return rows.map(showRollout)
}

export async function findRollout(db: Kysely<Tables>, id: number): Promise<RolloutRow> {
  const row = await db.selectFrom('rollout').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw new Problem(404, 'there is no such rollout, or it was forgotten')
  return row
}

function showRollout(row: RolloutRow): Rollout {
  const { id, domain, name, phase, state, percent, first_version, version, steps, hold, paused_by } = row
  const { stopped_version, stop, stop_when } = row
  const is_running = state === 'running'
  return {
    id,
    domain,
    name,
    phase,
    state,
    percent,
    percent_since: row.percent_since.toISOString(),
    first_version,
    version,
    steps,
    step: stepOf(row),
    due_at: (is_running ? dueAt(row)?.toISOString() : null) ?? null,
    hold,
    paused_by,
    reason: stop === null ? null : describeStop(stop),
    stopped_version,
    counts: toCounts(row.counts),
    limits: describeLimits(stop_when),
    created_at: row.created_at.toISOString(),
    ended_at: row.ended_at?.toISOString() ?? null,
  }
}

function describeLimits(stop_when: RolloutRow['stop_when']): string[] {
  return Object.entries(stop_when).flatMap(([name, bound]) => {
    if (name === 'min_runs' || name === 'window') return []
    const above = (bound as { above_control?: unknown } | null)?.above_control
    return [describeLimit(name, Number(above ?? bound), above !== undefined)]
  })
}

/** How the two groups did over an hour or a day. */
export async function readRolloutChart(
  db: Kysely<Tables>,
  id: number,
  range: keyof typeof RINGS,
  now: number,
): Promise<RolloutChart> {
  const { domain, name, phase } = await findRollout(db, id)
  const { step, slots } = RINGS[range]
  // What is under way is shown as well: who watches a rollout has no minute to wait.
  const end = Math.floor(now / 1000 / step) + 1
  const from = end - slots
  const timeOf = (slot: number) => new Date(slot * step * 1000).toISOString()
  const [rows, marks] = await Promise.all([
    db
      .selectFrom('rollout_slot')
      .selectAll()
      .where('rollout_id', '=', id)
      .where('step', '=', step)
      .where('slot', '>=', from)
      .orderBy('slot')
      .execute(),
    db
      .selectFrom('version_plugin')
      .innerJoin('version', 'version.version', 'version_plugin.version')
      .select(['version.version', 'version.message', 'version.created_at'])
      .where('domain', '=', domain)
      .where('name', '=', name)
      .where('phase', '=', phase)
      .where('version.created_at', '>=', new Date(from * step * 1000))
      .orderBy('version.version', 'desc')
      .limit(50)
      .execute(),
  ])
  return {
    from: timeOf(from),
    until: timeOf(end),
    step_seconds: step,
    points: rows.map(({ slot, counts }) => ({ at: timeOf(slot), ...toShares(counts) })),
    marks: marks
      .map(({ version, message, created_at }) => ({
        version,
        message: message.slice(0, 200),
        at: created_at.toISOString(),
      }))
      .reverse(),
  }
}

function toShares(list: readonly number[]): Omit<RolloutChart['points'][number], 'at'> {
  const { inside, control } = toCounts(list)
  const share = (part: number, all: number) => (all === 0 ? null : Number(((part / all) * 100).toPrecision(4)))
  return {
    share: share(inside.requests, inside.requests + control.requests),
    errors: share(inside.errors, inside.runs),
    exits: share(inside.exits, inside.runs),
    slow_runs: share(inside.slow_runs, inside.runs),
    status_5xx: share(inside.status_5xx, inside.responses),
    control_status_5xx: share(control.status_5xx, control.responses),
    slow_responses: share(inside.slow_responses, inside.responses),
    control_slow_responses: share(control.slow_responses, control.responses),
  }
}
