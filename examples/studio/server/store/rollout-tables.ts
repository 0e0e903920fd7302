import type { ColumnType, Generated, JSONColumnType } from 'kysely'
import { type Kysely, sql } from 'kysely'
import type { RolloutState, RolloutStep, RolloutStop } from '../../shared/rollouts.ts'

type Fields = Record<string, unknown>

export interface RolloutTables {
  /** A guarded rollout of a plugin, from the version that began it until somebody changes the plugin. */
  rollout: {
    id: Generated<number>
    domain: string
    name: string
    phase: string
    /** The versions of the plugin that are this rollout: each step of it is one. */
    first_version: number
    version: number
    state: Generated<RolloutState>
    percent: number
    percent_since: Date
    /** `stop_when` of the first version. */
    stop_when: JSONColumnType<Fields>
    steps: JSONColumnType<RolloutStep[]> | null
    /** What was counted of both groups, in the order of COUNTED; and how often the plugin ran since its last step began. */
    counts: number[]
    step_runs: Generated<number>
    /** What the sums say, as dynacode keeps it. */
    evidence: JSONColumnType<Fields> | null
    /** Why it is to be stopped, or was. */
    stop: JSONColumnType<RolloutStop> | null
    stopped_version: number | null
    /** Why its next step does not begin, and who has said that none shall. */
    hold: string | null
    paused_by: string | null
    created_at: ColumnType<Date, Date | undefined, never>
    ended_at: Date | null
  }
  /** What was counted of a rollout in one slot of `step` seconds. */
  rollout_slot: {
    rollout_id: number
    step: number
    /** Seconds since 1970, divided by `step`. */
    slot: number
    counts: number[]
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
export async function addRollouts(db: Kysely<any>): Promise<void> {
  const now = sql`now()`
  await db.schema
    .createTable('rollout')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('domain', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('phase', 'text', (column) => column.notNull())
    .addColumn('first_version', 'integer', (column) => column.notNull())
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull().defaultTo('running'))
    .addColumn('percent', 'float8', (column) => column.notNull())
    .addColumn('percent_since', 'timestamptz', (column) => column.notNull())
    .addColumn('stop_when', 'json', (column) => column.notNull())
    .addColumn('steps', 'json')
    .addColumn('counts', sql`float8[]`, (column) => column.notNull())
    .addColumn('step_runs', 'float8', (column) => column.notNull().defaultTo(0))
    .addColumn('evidence', 'json')
    .addColumn('stop', 'json')
    .addColumn('stopped_version', 'integer')
    .addColumn('hold', 'text')
    .addColumn('paused_by', 'text')
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .addColumn('ended_at', 'timestamptz')
    .execute()
  // Of several studios that hear of it first, one begins it.
  await db.schema
    .createIndex('rollout_began')
    .unique()
    .on('rollout')
    .columns(['domain', 'name', 'phase', 'first_version'])
    .execute()
  await sql`create index rollout_running on rollout (id) where state = 'running'`.execute(db)
  await db.schema
    .createTable('rollout_slot')
    .addColumn('rollout_id', 'integer', (column) => column.notNull().references('rollout.id').onDelete('cascade'))
    .addColumn('step', 'integer', (column) => column.notNull())
    .addColumn('slot', 'integer', (column) => column.notNull())
    .addColumn('counts', sql`float8[]`, (column) => column.notNull())
    .addPrimaryKeyConstraint('rollout_slot_key', ['rollout_id', 'step', 'slot'])
    .execute()
}
