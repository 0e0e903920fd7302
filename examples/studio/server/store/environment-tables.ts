import { type ColumnType, type Generated, type Kysely, sql } from 'kysely'

export interface EnvironmentTables {
  environment: {
    id: Generated<number>
    name: string
    /** Where the other studio is, without a slash at the end. */
    url: string
    /** Of the other studio, as it is. */
    token: string
    created_by: number
    created_at: ColumnType<Date, never, never> & Generated<Date>
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
export async function addEnvironments(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('environment')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('url', 'text', (column) => column.notNull())
    .addColumn('token', 'text', (column) => column.notNull())
    .addColumn('created_by', 'integer', (column) => column.notNull().references('account.id'))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
}
