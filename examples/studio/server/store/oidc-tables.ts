import type { ColumnType, Generated, Kysely } from 'kysely'
import { sql } from 'kysely'

export interface OidcTables {
  /** Who somebody is for a provider: issuer and subject, which neither changes nor is given to another. */
  account_identity: {
    issuer: string
    subject: string
    account_id: number
    created_at: ColumnType<Date, never, never> & Generated<Date>
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
export async function addIdentities(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('account_identity')
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('account_id', 'integer', (column) => column.notNull().references('account.id').onDelete('cascade'))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addPrimaryKeyConstraint('account_identity_key', ['issuer', 'subject'])
    .execute()
}
