import type { Kysely } from 'kysely'
import type { Chart } from '../../shared/fleet.ts'
import type { Tables } from '../store/tables.ts'
import { describe, type Named } from './activity.ts'
import { FLEET_KEY, RINGS } from './ring-tables.ts'
import type { FleetView } from './view.ts'

/** Versions that a chart marks: the newest. */
const MOST_MARKS = 50
/** Versions whose processes are counted in a slot. */
const MOST_VERSIONS = 8

/** What a plugin, or the fleet as a whole, did over an hour or a day; the slot that is under way is left out. */
export async function readChart(
  db: Kysely<Tables>,
  range: keyof typeof RINGS,
  plugin: Named | undefined,
  now: number,
): Promise<Chart> {
  const { step, slots } = RINGS[range]
  const end = Math.floor(now / 1000 / step)
  const from = end - slots
  const timeOf = (slot: number) => new Date(slot * step * 1000).toISOString()
  const { domain, name, phase } = plugin ?? FLEET_KEY
  const inRange = <T extends { slot: number }>(rows: readonly T[]) =>
    rows.filter(({ slot }) => slot >= from && slot < end)
  const [rows, lives, marks] = await Promise.all([
    db
      .selectFrom('activity')
      .select(['slot', 'calls', 'errors', 'errors_closed', 'exits', 'buckets'])
      .where('domain', '=', domain)
      .where('name', '=', name)
      .where('phase', '=', phase)
      .where('step', '=', step)
      .where('slot', '>=', from)
      .orderBy('slot')
      .execute(),
    plugin === undefined
      ? db
          .selectFrom('live_processes')
          .selectAll()
          .where('step', '=', step)
          .where('slot', '>=', from)
          .orderBy('slot')
          .execute()
      : [],
    db
      .selectFrom('version')
      .select(['version', 'message', 'created_at'])
      .where('created_at', '>=', new Date(from * step * 1000))
      .orderBy('version', 'desc')
      .limit(MOST_MARKS)
      .execute(),
  ])
  const by_slot = new Map<number, Record<string, number>>()
  for (const { slot, version, processes } of inRange(lives))
    by_slot.set(slot, { ...by_slot.get(slot), [version]: processes })
  return {
    from: timeOf(from),
    until: timeOf(end),
    step_seconds: step,
    points: inRange(rows).map((row) => ({ at: timeOf(row.slot), ...describe(row, step) })),
    processes: [...by_slot].map(([slot, versions]) => ({ at: timeOf(slot), versions })),
    marks: marks
      .map(({ version, message, created_at }) => ({
        version,
        message: message.slice(0, 100),
        at: created_at.toISOString(),
      }))
      .reverse(),
  }
}

/** Writes down how many processes run which version; every studio finds the same. */
export async function sampleVersions(db: Kysely<Tables>, view: FleetView, now: number): Promise<void> {
  const versions = [...view.versions()].sort((a, b) => b[1] - a[1]).slice(0, MOST_VERSIONS)
  if (versions.length === 0) return
  const values = Object.values(RINGS).flatMap(({ step }) =>
    versions.map(([version, processes]) => ({ step, slot: Math.floor(now / 1000 / step), version, processes })),
  )
  await db
    .insertInto('live_processes')
    .values(values)
    .onConflict((conflict) =>
      conflict
        .columns(['step', 'slot', 'version'])
        .doUpdateSet(({ ref }) => ({ processes: ref('excluded.processes') })),
    )
    .execute()
}
