import { type Kysely, sql } from 'kysely'
import type { Delivery, HookEventType, HookFormat, Webhook } from '../../shared/webhooks.ts'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { pauseWebhook } from './deliver.ts'
import { describeEvent, type HookEvent } from './event.ts'
import { createHookSecret } from './message.ts'
import { queueDelivery } from './queue.ts'

type Db = Kysely<Tables>

/** Webhooks of one studio. */
const MOST_WEBHOOKS = 50

/** What somebody says of a webhook. */
export interface GivenWebhook {
  readonly name: string
  readonly url: string
  readonly format: HookFormat
  readonly events: readonly HookEventType[]
}

/** Every webhook, without its address and its secret. */
export async function listWebhooks(db: Db): Promise<readonly Omit<Shown, 'secret'>[]> {
  const found = await db
    .selectFrom('webhook')
    .select(COLUMNS)
    .select(
      sql<number>`(select count(*)::int from webhook_delivery
        where webhook_delivery.webhook_id = webhook.id and state = 'waiting')`.as('waiting'),
    )
    .orderBy('id')
    .execute()
  return found.map(({ waiting, ...webhook }) => show(webhook, waiting))
}

const COLUMNS = ['id', 'name', 'url', 'format', 'events', 'active', 'paused_because', 'created_at'] as const
type Shown = Omit<Webhook, 'created_at'> & { readonly created_at: Date }

function show(
  { url, ...rest }: Omit<Shown, 'host' | 'waiting'> & { readonly url: string },
  waiting: number,
): Omit<Shown, 'secret'> {
  return { ...rest, host: new URL(url).host, waiting }
}

/**
 * Adds a webhook.
 *
 * @returns the secret by which its messages are signed: it is shown once
 * @throws Problem where there are too many
 */
export async function addWebhook(
  db: Db,
  actor: Actor,
  given: GivenWebhook,
): Promise<Shown & { readonly secret: string }> {
  const secret = createHookSecret()
  return db.transaction().execute(async (transaction) => {
    const { length } = await transaction.selectFrom('webhook').select('id').execute()
    if (length >= MOST_WEBHOOKS) throw new Problem(409, `there are ${MOST_WEBHOOKS} webhooks already: remove one first`)
    const events = JSON.stringify(given.events)
    const added = await transaction
      .insertInto('webhook')
      .values({ ...given, events, secret, paused_because: null, created_by: actor.account_id })
      .returning(COLUMNS)
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, actor, 'add webhook', given.name, { host: new URL(given.url).host })
    return { ...show(added, 0), secret }
  })
}

/** Changes a webhook; what is left out stays. Pausing drops what waits. @throws Problem */
export async function changeWebhook(
  db: Db,
  actor: Actor,
  id: number,
  { active, events, ...rest }: Partial<GivenWebhook> & { readonly active?: boolean | undefined },
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const { name } = await findWebhook(transaction, id)
    const set = { ...rest, ...(events === undefined ? {} : { events: JSON.stringify(events) }) }
    const given = Object.fromEntries(Object.entries(set).filter(([, value]) => value !== undefined))
    if (Object.keys(given).length > 0)
      await transaction.updateTable('webhook').set(given).where('id', '=', id).execute()
    if (active === false) await pauseWebhook(transaction, id, null)
    if (active === true) {
      const set = { active, paused_because: null }
      await transaction.updateTable('webhook').set(set).where('id', '=', id).execute()
    }
    const host = rest.url === undefined ? {} : { host: new URL(rest.url).host }
    await writeAudit(transaction, actor, 'change webhook', rest.name ?? name, {
      ...host,
      ...(active === undefined ? {} : { active }),
      ...(events === undefined ? {} : { events }),
    })
  })
}

/** Gives a webhook another secret; what is sent from now on is signed by it. @returns the secret, which is shown once */
export async function renewSecret(db: Db, actor: Actor, id: number): Promise<string> {
  const secret = createHookSecret()
  await db.transaction().execute(async (transaction) => {
    const { name } = await findWebhook(transaction, id)
    await transaction.updateTable('webhook').set({ secret }).where('id', '=', id).execute()
    await writeAudit(transaction, actor, 'renew secret of webhook', name)
  })
  return secret
}

/** Removes a webhook, and what waits for it. */
export async function removeWebhook(db: Db, actor: Actor, id: number): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const { name } = await findWebhook(transaction, id)
    await transaction.deleteFrom('webhook').where('id', '=', id).execute()
    await writeAudit(transaction, actor, 'remove webhook', name)
  })
}

/** For the one who sends a test: nobody else takes it up meanwhile; in milliseconds. */
const TEST_CLAIM_MS = 60_000

/** Puts a test into the queue, to be delivered by who asks. @returns its number */
export async function queueTest(db: Db, actor: Actor, id: number): Promise<number> {
  await findWebhook(db, id)
  const event: HookEvent = { type: 'test', at: new Date().toISOString(), actor: actor.name }
  return queueDelivery(db, id, event, new Date(Date.now() + TEST_CLAIM_MS))
}

/** The last deliveries of a webhook, the newest first. */
export async function listDeliveries(db: Db, id: number): Promise<readonly ShownDelivery[]> {
  await findWebhook(db, id)
  const found = await db
    .selectFrom('webhook_delivery')
    .select(DELIVERY_COLUMNS)
    .where('webhook_id', '=', id)
    .orderBy('id', 'desc')
    .limit(50)
    .execute()
  return found.map(showDelivery)
}

/** One delivery. */
export async function findDelivery(db: Db, id: number): Promise<ShownDelivery> {
  const query = db.selectFrom('webhook_delivery').select(DELIVERY_COLUMNS).where('id', '=', id)
  return showDelivery(await query.executeTakeFirstOrThrow())
}

const DELIVERY_COLUMNS = [
  'id',
  'event',
  'data',
  'state',
  'attempts',
  'status',
  'error',
  'created_at',
  'due_at',
  'finished_at',
] as const
type ShownDelivery = Omit<Delivery, 'created_at' | 'due_at' | 'finished_at'> & Record<'created_at' | 'due_at', Date>

function showDelivery({ data, ...rest }: Omit<ShownDelivery, 'text'> & { readonly data: HookEvent }): ShownDelivery {
  return { ...rest, text: describeEvent(data) }
}

async function findWebhook(db: Db, id: number): Promise<{ readonly name: string }> {
  const found = await db.selectFrom('webhook').select('name').where('id', '=', id).executeTakeFirst()
  if (found === undefined) throw new Problem(404, 'there is no such webhook')
  return found
}
