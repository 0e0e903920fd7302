import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { eventOf } from '../webhooks/event.ts'
import { queueEvent } from '../webhooks/queue.ts'
import type { Tables } from './tables.ts'

/** An entry of the log, as it is shown. */
export interface AuditEntry {
  readonly id: number
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly details: Readonly<Record<string, unknown>>
}

/**
 * Writes into the log who did what, and tells webhooks of it; in the transaction that does it, so that neither is there without
 * the other.
 */
export async function writeAudit(
  db: Kysely<Tables>,
  { account_id, name }: Pick<Actor, 'name'> & { readonly account_id: number | null },
  action: string,
  subject: string,
  details: object = {},
): Promise<void> {
  await db
    .insertInto('audit')
    .values({ account_id, actor: name, action, subject, details: JSON.stringify(details) })
    .execute()
  const event = eventOf({ actor: name, action, subject, details }, new Date())
  if (event !== undefined) await queueEvent(db, event)
}

/** The log, the newest entry first. @param before id of the last entry of the page before */
export function listAudit(db: Kysely<Tables>, limit: number, before?: number): Promise<AuditEntry[]> {
  return db
    .selectFrom('audit')
    .select(['id', 'at', 'actor', 'action', 'subject', 'details'])
    .$if(before !== undefined, (query) => query.where('id', '<', before as number))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
}
