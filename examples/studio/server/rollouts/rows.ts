import { type Kysely, type Selectable, sql } from 'kysely'
import type { PluginKey } from '../../shared/changes.ts'
import type { RolloutStep } from '../../shared/rollouts.ts'
import { RINGS } from '../fleet/ring-tables.ts'
import type { RolloutTables } from '../store/rollout-tables.ts'
import type { Tables } from '../store/tables.ts'
import { NO_COUNTS } from './counted.ts'

/** A rollout as the database has it. */
export type RolloutRow = Selectable<RolloutTables['rollout']>

/** Rollouts that run at one time; of further ones nothing is kept, and each process stops them by itself. */
const MOST_RUNNING = 500
/** Of those that are over, the latest are kept, for this long at most, in milliseconds. */
const MOST_ENDED = 200
const KEPT_MS = 30 * 86_400_000
/** Slots that are kept beyond those that are shown. */
const SPARE_SLOTS = 2

/** How a rollout begins. */
export interface Begun extends PluginKey {
  /** The version that begins it. */
  readonly version: number
  readonly percent: number
  readonly stop_when: object
  readonly steps: readonly RolloutStep[] | null
}

/** Begins a rollout, at the time of its version; nothing where it has begun, or where there are too many. */
export async function beginRollout(db: Kysely<Tables>, begun: Begun, at: Date): Promise<void> {
  const { domain, name, phase, version, percent } = begun
  const { running } = await db
    .selectFrom('rollout')
    .select(({ fn, cast }) => cast<number>(fn.countAll(), 'integer').as('running'))
    .where('state', '=', 'running')
    .executeTakeFirstOrThrow()
  if (running >= MOST_RUNNING) return
  await db
    .insertInto('rollout')
    .values({
      domain,
      name,
      phase,
      first_version: version,
      version,
      percent,
      percent_since: at,
      stop_when: JSON.stringify(begun.stop_when),
      steps: begun.steps === null ? null : JSON.stringify(begun.steps),
      counts: [...NO_COUNTS],
      evidence: null,
      stop: null,
      stopped_version: null,
      hold: null,
      paused_by: null,
      created_at: at,
      ended_at: null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** The rollout that a version of a plugin belongs to, for this transaction alone. */
export function takeRollout(
  db: Kysely<Tables>,
  { domain, name, phase }: PluginKey,
  origin: number,
): Promise<RolloutRow | undefined> {
  return db
    .selectFrom('rollout')
    .selectAll()
    .where('domain', '=', domain)
    .where('name', '=', name)
    .where('phase', '=', phase)
    .where('first_version', '<=', origin)
    .where('version', '>=', origin)
    .orderBy('id', 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst()
}

/** Adds to the charts of a rollout. */
export async function addToSlots(db: Kysely<Tables>, rollout_id: number, counts: readonly number[], now: number) {
  for (const { step } of Object.values(RINGS)) {
    const slot = Math.floor(now / 1000 / step)
    await db
      .insertInto('rollout_slot')
      .values({ rollout_id, step, slot, counts: [...counts] })
      .onConflict((conflict) =>
        conflict.columns(['rollout_id', 'step', 'slot']).doUpdateSet({
          counts: sql<number[]>`array(
            select a + b from unnest(rollout_slot.counts, excluded.counts) with ordinality as t (a, b, n) order by n
          )`,
        }),
      )
      .execute()
  }
}

/** Forgets what is old. */
export async function forgetRollouts(db: Kysely<Tables>, now: number): Promise<void> {
  const oldest = db
    .selectFrom('rollout')
    .select('id')
    .where('state', '<>', 'running')
    .orderBy('ended_at', 'desc')
    .offset(MOST_ENDED)
  await db
    .deleteFrom('rollout')
    .where('state', '<>', 'running')
    .where(({ eb, or }) => or([eb('ended_at', '<', new Date(now - KEPT_MS)), eb('id', 'in', oldest)]))
    .execute()
  for (const { step, slots } of Object.values(RINGS)) {
    const first = Math.floor(now / 1000 / step) - slots - SPARE_SLOTS
    await db.deleteFrom('rollout_slot').where('step', '=', step).where('slot', '<', first).execute()
  }
}
