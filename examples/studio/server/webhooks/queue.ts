import { randomUUID } from 'node:crypto'
import type { Kysely } from 'kysely'
import { announce } from '../store/announcements.ts'
import type { Tables } from '../store/tables.ts'
import type { HookEvent } from './event.ts'

/** Deliveries that wait of one webhook; beyond that, the oldest are dropped. */
export const MOST_WAITING = 500

/**
 * Puts an event into the queue of every webhook that wants it. In the transaction in which it happens: neither is there without
 * the other.
 */
export async function queueEvent(db: Kysely<Tables>, event: HookEvent): Promise<void> {
  const webhooks = await db.selectFrom('webhook').select(['id', 'events']).where('active', '=', true).execute()
  const wanting = webhooks.filter(({ events }) => (events as readonly string[]).includes(event.type))
  if (wanting.length === 0) return
  for (const { id } of wanting) {
    await queueDelivery(db, id, event)
    await dropOldest(db, id)
  }
  await announce(db, 'studio_webhook', '')
}

/** Puts an event into the queue of one webhook. @returns the delivery's number */
export async function queueDelivery(
  db: Kysely<Tables>,
  webhook_id: number,
  event: HookEvent,
  claimed_until: Date | null = null,
): Promise<number> {
  const nothing = { status: null, error: null, finished_at: null }
  const message_id = `msg_${randomUUID()}`
  const { id } = await db
    .insertInto('webhook_delivery')
    .values({ webhook_id, message_id, event: event.type, data: JSON.stringify(event), claimed_until, ...nothing })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** Of a receiver that is gone for long, the last news are worth more than the first. */
async function dropOldest(db: Kysely<Tables>, webhook_id: number): Promise<void> {
  const waiting = db
    .selectFrom('webhook_delivery')
    .select('id')
    .where('webhook_id', '=', webhook_id)
    .where('state', '=', 'waiting')
    .orderBy('id', 'desc')
    .offset(MOST_WAITING)
  await db
    .updateTable('webhook_delivery')
    .set({ state: 'dropped', error: `more than ${MOST_WAITING} were waiting`, finished_at: new Date() })
    .where('id', 'in', waiting)
    .execute()
}
