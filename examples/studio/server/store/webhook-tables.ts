import type { ColumnType, Generated, JSONColumnType } from 'kysely'
import { type Kysely, sql } from 'kysely'
import type { HookEventType, HookFormat } from '../../shared/webhooks.ts'
import type { HookEvent } from '../webhooks/event.ts'

type Created = ColumnType<Date, never, never> & Generated<Date>

export interface WebhookTables {
  webhook: {
    id: Generated<number>
    name: string
    url: string
    /** As it is: what is sent is signed by it. */
    secret: string
    format: HookFormat
    events: JSONColumnType<HookEventType[]>
    active: Generated<boolean>
    /** Why the studio has paused it by itself. */
    paused_because: string | null
    created_by: number
    created_at: Created
  }
  webhook_delivery: {
    id: Generated<number>
    webhook_id: number
    /** By which a receiver tells that it has had this one already. */
    message_id: string
    event: HookEventType | 'test'
    data: JSONColumnType<HookEvent>
    state: Generated<'waiting' | 'delivered' | 'failed' | 'dropped'>
    attempts: Generated<number>
    due_at: Generated<Date>
    /** Until when one of the studios is at it; when that has ended in the middle, another takes over. */
    claimed_until: Date | null
    status: number | null
    error: string | null
    created_at: Created
    finished_at: Date | null
  }
  alert: {
    /** What it is about: many processes have the same trouble at once. */
    key: string
    /** By whose report it was raised. */
    reported_by: string
    raised_at: Date
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a migration is about tables as they were then
export async function addWebhooks(db: Kysely<any>): Promise<void> {
  const now = sql`now()`
  await db.schema
    .createTable('webhook')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('url', 'text', (column) => column.notNull())
    .addColumn('secret', 'text', (column) => column.notNull())
    .addColumn('format', 'text', (column) => column.notNull())
    .addColumn('events', 'json', (column) => column.notNull())
    .addColumn('active', 'boolean', (column) => column.notNull().defaultTo(true))
    .addColumn('paused_because', 'text')
    .addColumn('created_by', 'integer', (column) => column.notNull().references('account.id'))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .execute()
  await db.schema
    .createTable('webhook_delivery')
    .addColumn('id', 'bigserial', (column) => column.primaryKey())
    .addColumn('webhook_id', 'integer', (column) => column.notNull().references('webhook.id').onDelete('cascade'))
    .addColumn('message_id', 'text', (column) => column.notNull())
    .addColumn('event', 'text', (column) => column.notNull())
    .addColumn('data', 'json', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull().defaultTo('waiting'))
    .addColumn('attempts', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('due_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .addColumn('claimed_until', 'timestamptz')
    .addColumn('status', 'integer')
    .addColumn('error', 'text')
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .addColumn('finished_at', 'timestamptz')
    .execute()
  await sql`create index webhook_delivery_waiting on webhook_delivery (due_at) where state = 'waiting'`.execute(db)
  await db.schema.createIndex('webhook_delivery_of').on('webhook_delivery').columns(['webhook_id', 'id']).execute()
  await db.schema
    .createTable('alert')
    .addColumn('key', 'text', (column) => column.primaryKey())
    .addColumn('reported_by', 'text', (column) => column.notNull())
    .addColumn('raised_at', 'timestamptz', (column) => column.notNull())
    .execute()
}
