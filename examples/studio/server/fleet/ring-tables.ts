import { type Kysely, sql } from 'kysely'
import type { LastError } from '../../shared/fleet.ts'
import type { Tables } from '../store/tables.ts'
import type { Delta } from './deltas.ts'

/** The two rings: an hour of minutes, and a day of quarters of an hour; each a little longer than what is shown of it. */
export const RINGS = Object.freeze({
  hour: { step: 60, slots: 60 },
  day: { step: 900, slots: 96 },
} as const)
/** Slots that are kept beyond those that are shown. */
const SPARE_SLOTS = 5
/**
 * Plugins that a slot has room for, beside the fleet as a whole. So the rings are at most
 * (65 + 101) × 1001 rows: some 50 MB, whatever is reported.
 */
export const MOST_PLUGINS = 1000
/** How the fleet as a whole is called. */
export const FLEET_KEY = Object.freeze({ domain: '', name: '', phase: '' })
/** An error is kept for a day. In milliseconds. */
const ERRORS_KEPT_MS = 24 * 3_600_000

/** What one plugin did in one slot. */
export type Row = Omit<Delta, 'buckets'> & {
  readonly step: number
  readonly slot: number
  readonly buckets: readonly number[]
}
/** An error that a process has reported. */
export interface SeenError {
  readonly domain: string
  readonly name: string
  readonly phase: string
  readonly at: Date
  readonly host: string
  readonly pid: number
  readonly error: Omit<LastError, 'at'>
}

/** Always in the same order: two studios that add to the same rows must not wait for each other. */
const inOrder = (a: Row, b: Row) => (keyOf(a) < keyOf(b) ? -1 : 1)
const keyOf = ({ domain, name, phase, step, slot }: Row) => JSON.stringify([domain, name, phase, step, slot])

/** Adds to the rings, in this order whoever does. */
export async function writeRows(db: Kysely<Tables>, rows: readonly Row[]): Promise<void> {
  const counted = await db
    .selectFrom('activity')
    .select(['step', 'slot', sql<number>`count(*)`.as('plugins')])
    .where(({ eb, or, and }) =>
      or(
        Object.values(RINGS).map(({ step }) =>
          and([
            eb('step', '=', step),
            eb('slot', 'in', [-1, ...new Set(rows.filter((row) => row.step === step).map(({ slot }) => slot))]),
          ]),
        ),
      ),
    )
    .groupBy(['step', 'slot'])
    .execute()
  const room = new Map(
    counted.map(({ step, slot, plugins }) => [`${step} ${slot}`, MOST_PLUGINS + 1 - Number(plugins)]),
  )
  const is_full = (row: Row) => (room.get(`${row.step} ${row.slot}`) ?? MOST_PLUGINS) <= 0 && row.name !== ''
  await insertRows(db, rows.filter((row) => !is_full(row)).sort(inOrder), sql`true`)
  // A slot that is full goes on with the plugins that it has.
  await insertRows(
    db,
    rows.filter(is_full).sort(inOrder),
    sql`exists (select 1 from activity a where (a.domain, a.name, a.phase, a.step, a.slot) = (r.domain, r.name, r.phase, r.step, r.slot))`,
  )
}

async function insertRows(db: Kysely<Tables>, rows: readonly Row[], condition: ReturnType<typeof sql>): Promise<void> {
  if (rows.length === 0) return
  await sql`
    insert into activity (domain, name, phase, step, slot, calls, errors, errors_closed, exits, buckets)
    select r.* from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r (
      domain text, name text, phase text, step integer, slot integer,
      calls float8, errors float8, errors_closed float8, exits float8, buckets float8[]
    ) where ${condition}
    on conflict (domain, name, phase, step, slot) do update set
      calls = activity.calls + excluded.calls,
      errors = activity.errors + excluded.errors,
      errors_closed = activity.errors_closed + excluded.errors_closed,
      exits = activity.exits + excluded.exits,
      buckets = array(
        select coalesce(a, 0) + coalesce(b, 0)
        from unnest(activity.buckets, excluded.buckets) with ordinality as t (a, b, n) order by n
      )`.execute(db)
}

/** Puts errors in place of earlier ones. */
export async function writeErrors(db: Kysely<Tables>, errors: readonly SeenError[]): Promise<void> {
  await sql`
    insert into plugin_error (domain, name, phase, at, host, pid, error)
    select r.* from jsonb_to_recordset(${JSON.stringify(errors)}::text::jsonb) as r (
      domain text, name text, phase text, at timestamptz, host text, pid integer, error json
    ) order by domain, name, phase
    on conflict (domain, name, phase) do update
      set at = excluded.at, host = excluded.host, pid = excluded.pid, error = excluded.error
      where excluded.at >= plugin_error.at`.execute(db)
}

/** Forgets what is older than the rings show. */
export async function turnRings(db: Kysely<Tables>, now: number): Promise<void> {
  for (const { step, slots } of Object.values(RINGS)) {
    const oldest = Math.floor(now / 1000 / step) - slots - SPARE_SLOTS
    await db.deleteFrom('activity').where('step', '=', step).where('slot', '<', oldest).execute()
    await db.deleteFrom('live_processes').where('step', '=', step).where('slot', '<', oldest).execute()
  }
  await db
    .deleteFrom('plugin_error')
    .where(({ eb, or, selectFrom }) =>
      or([
        eb('at', '<', new Date(now - ERRORS_KEPT_MS)),
        eb('at', '<', selectFrom('plugin_error').select('at').orderBy('at', 'desc').offset(MOST_PLUGINS).limit(1)),
      ]),
    )
    .execute()
}
