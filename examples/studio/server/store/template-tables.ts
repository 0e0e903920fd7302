import type { Generated, JSONColumnType, Kysely } from 'kysely'

export interface TemplateTables {
  /** A plugin that the team makes again and again, with other parameters each time. */
  action_template: {
    id: Generated<number>
    title: string
    name: string
    phase: string
    /** As a document has it, without name and phase. */
    fields: JSONColumnType<Record<string, unknown>>
    created_by: number
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
export async function addTemplates(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('action_template')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('title', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('phase', 'text', (column) => column.notNull())
    .addColumn('fields', 'json', (column) => column.notNull())
    .addColumn('created_by', 'integer', (column) => column.notNull().references('account.id'))
    .execute()
}
