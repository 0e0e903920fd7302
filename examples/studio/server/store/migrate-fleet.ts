import { type Kysely, sql } from 'kysely'

/** What instances said in short, what plugins did in the last hour and day, and which versions were live. */
// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
export async function addFleet(db: Kysely<any>): Promise<void> {
  await db.schema
    .alterTable('instance')
    .addColumn('closed', 'boolean', (column) => column.notNull().defaultTo(false))
    .addColumn('summary', 'json')
    .addColumn('shadows', 'json', (column) => column.notNull().defaultTo(sql`'[]'`))
    .execute()

  const count = (name: string) => [name, 'float8'] as const
  let activity = db.schema
    .createTable('activity')
    .addColumn('domain', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('phase', 'text', (column) => column.notNull())
    .addColumn('step', 'integer', (column) => column.notNull())
    .addColumn('slot', 'integer', (column) => column.notNull())
    .addColumn('buckets', sql`float8[]`, (column) => column.notNull())
  for (const [name, type] of ['calls', 'errors', 'errors_closed', 'exits'].map(count)) {
    activity = activity.addColumn(name, type, (column) => column.notNull())
  }
  await activity.addPrimaryKeyConstraint('activity_key', ['domain', 'name', 'phase', 'step', 'slot']).execute()
  await db.schema.createIndex('activity_slot').on('activity').columns(['step', 'slot']).execute()

  await db.schema
    .createTable('plugin_error')
    .addColumn('domain', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('phase', 'text', (column) => column.notNull())
    .addColumn('at', 'timestamptz', (column) => column.notNull())
    .addColumn('host', 'text', (column) => column.notNull())
    .addColumn('pid', 'integer', (column) => column.notNull())
    .addColumn('error', 'json', (column) => column.notNull())
    .addPrimaryKeyConstraint('plugin_error_key', ['domain', 'name', 'phase'])
    .execute()
  await db.schema.createIndex('plugin_error_at').on('plugin_error').column('at').execute()

  await db.schema
    .createTable('live_processes')
    .addColumn('step', 'integer', (column) => column.notNull())
    .addColumn('slot', 'integer', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('processes', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('live_processes_key', ['step', 'slot', 'version'])
    .execute()
}
