import { type Kysely, sql } from 'kysely'
import { exchange, type OutsideRules } from '../outside/exchange.ts'
import { NOBODY } from '../publishing/contacts.ts'
import type { Contact, PluginName } from '../review/live-index.ts'
import type { Listening } from '../store/announcements.ts'
import type { Tables } from '../store/tables.ts'
import type { HookEvent } from './event.ts'
import { signMessage, writeBody } from './message.ts'

/** What deliveries are made with. */
export interface DeliveryRules extends OutsideRules {
  /** How long to wait after each failure, in milliseconds; after the last one it is given up. */
  readonly retry_ms: readonly number[]
  /** As browsers see the studio; undefined: messages have no link. */
  readonly public_url: string | undefined
  /** Who answers for these, in their order. */
  contactsOf(plugins: readonly PluginName[]): Promise<readonly Contact[]>
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** About five hours in all: what is older than that, the pages say better. */
export const RETRY_MS: readonly number[] = [5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, HOUR, 4 * HOUR]
/** For one try, connecting and answering, in milliseconds. */
export const TIMEOUT_MS = 10 * SECOND
/** So much of an answer is read, and none of it is kept: whoever sets the address is not to read by it what is there. */
const LARGEST_ANSWER = 64 * 1024
/** When a studio has ended in the middle of one, another takes it over after this, in milliseconds. */
const CLAIM_MS = MINUTE
/** Deliveries at a time, each of another webhook: one that is slow holds up its own alone. */
const AT_ONCE = 8
/** How often somebody looks, where nothing is announced; in milliseconds. */
const LOOK_EVERY_MS = 30 * SECOND
/** Finished deliveries that are kept of a webhook. */
const KEPT = 50

/** Delivers what is in the queue. */
export interface Deliverer {
  /** Makes one delivery now, whoever waits for it; it is not tried again. */
  deliverNow(id: number): Promise<void>
  close(): Promise<void>
}

interface Claimed {
  readonly id: number
  readonly webhook_id: number
  readonly message_id: string
  readonly data: HookEvent
  readonly attempts: number
  readonly url: string
  readonly secret: string
  readonly format: Tables['webhook']['format']
}

/**
 * Delivers what is due, until it is closed. Any number of studios may share the queue: each delivery is made by one of them.
 *
 * @param failed told when the database cannot be used; it goes on
 */
export function createDeliverer(
  db: Kysely<Tables>,
  listen: Listening,
  rules: DeliveryRules,
  failed: (error: unknown) => void,
): Deliverer {
  /** Webhooks to which something is on its way, and what it is. */
  const running = new Map<number, Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let closed = false
  /** One look at the queue after the other. */
  let looking = Promise.resolve()

  function look(): void {
    looking = looking.then(begin).catch((error) => {
      if (closed) return
      failed(error)
      wait(LOOK_EVERY_MS)
    })
  }

  async function begin(): Promise<void> {
    while (!closed && running.size < AT_ONCE) {
      const claimed = await claimNext(db, [...running.keys()])
      if (claimed === undefined) break
      const done = deliver(claimed)
        .catch((error) => closed || failed(error))
        .then(() => {
          running.delete(claimed.webhook_id)
          look()
        })
      running.set(claimed.webhook_id, done)
    }
    if (!closed) wait(await findPause(db))
  }

  function wait(ms: number): void {
    clearTimeout(timer)
    timer = setTimeout(look, ms).unref()
  }

  async function deliver(claimed: Claimed, is_last = false): Promise<void> {
    const { id, url, secret, message_id } = claimed
    const body = await write(claimed)
    const message = signMessage(secret, message_id, body, Date.now())
    const answer = await exchange(url, { method: 'POST', ...message }, rules, LARGEST_ANSWER).then(
      ({ status }) => ({ status, error: status >= 200 && status < 300 ? null : `it answered with ${status}` }),
      (error: Error) => ({ status: null, error: error.message }),
    )
    const attempts = claimed.attempts + 1
    const pause = rules.retry_ms[attempts - 1]
    const is_done = answer.error === null || pause === undefined || is_last || answer.status === GONE
    const state = answer.error === null ? 'delivered' : is_done ? 'failed' : 'waiting'
    // A moment more or less: what was down is not to be met by all at once.
    const due_at = fromNow((pause ?? 0) * (0.9 + Math.random() / 5))
    await db
      .updateTable('webhook_delivery')
      .set({ ...answer, attempts, claimed_until: null })
      .set(is_done ? { state, finished_at: new Date() } : { due_at })
      .where('id', '=', id)
      .where('state', '=', 'waiting')
      .execute()
    if (answer.status === GONE) await pauseWebhook(db, claimed.webhook_id, 'it answered with 410: it is gone')
    if (is_done) await forgetOldest(db, claimed.webhook_id)
  }

  async function write({ format, data }: Claimed): Promise<string> {
    const { domain, plugin } = data
    const known = domain !== undefined && plugin !== undefined
    const [contact = NOBODY] = await rules.contactsOf(known ? [{ domain, name: plugin }] : [])
    const page = data.type === 'proposed' ? '/review' : data.host === undefined ? '/history' : '/fleet'
    return writeBody(format, data, contact, rules.public_url && rules.public_url + page)
  }

  const unlisten = listen('studio_webhook', look)
  look()
  return Object.freeze({
    async deliverNow(id) {
      const claimed = await read(db).where('webhook_delivery.id', '=', id).executeTakeFirstOrThrow()
      await deliver(claimed, true)
    },
    async close() {
      closed = true
      clearTimeout(timer)
      unlisten()
      await looking
      // What is on its way has its time-out; what it has come to is to be written down.
      await Promise.all(running.values())
    },
  } satisfies Deliverer)
}

/** The receiver wants nothing any more, as Standard Webhooks has it. */
const GONE = 410

function read(db: Kysely<Tables>) {
  return db
    .selectFrom('webhook_delivery')
    .innerJoin('webhook', 'webhook.id', 'webhook_delivery.webhook_id')
    .select(['webhook_delivery.id', 'webhook_delivery.webhook_id', 'webhook_delivery.message_id'])
    .select(['webhook_delivery.data', 'webhook_delivery.attempts'])
    .select(['webhook.url', 'webhook.secret', 'webhook.format'])
}

/** A time by the clock of the database: those of several studios may differ. */
function fromNow(ms: number) {
  return sql<Date>`now() + ${ms}::float8 * interval '1 millisecond'`
}

/** Takes the oldest delivery that is due, so that nobody else makes it. */
async function claimNext(db: Kysely<Tables>, busy: readonly number[]): Promise<Claimed | undefined> {
  return db.transaction().execute(async (transaction) => {
    const found = await read(transaction)
      .where('webhook_delivery.state', '=', 'waiting')
      .where('webhook_delivery.due_at', '<=', fromNow(0))
      .where(({ or, eb }) =>
        or([eb('webhook_delivery.claimed_until', 'is', null), eb('webhook_delivery.claimed_until', '<', fromNow(0))]),
      )
      .where('webhook.active', '=', true)
      .$if(busy.length > 0, (query) => query.where('webhook_delivery.webhook_id', 'not in', busy))
      .orderBy('webhook_delivery.id')
      .limit(1)
      .forUpdate('webhook_delivery')
      .skipLocked()
      .executeTakeFirst()
    if (found === undefined) return undefined
    await transaction
      .updateTable('webhook_delivery')
      .set({ claimed_until: fromNow(CLAIM_MS) })
      .where('id', '=', found.id)
      .execute()
    return found
  })
}

/** How long until something is due, in milliseconds. */
async function findPause(db: Kysely<Tables>): Promise<number> {
  const next = sql<Date>`min(greatest(due_at, coalesce(claimed_until, due_at)))`
  const { ms } = await db
    .selectFrom('webhook_delivery')
    .select(sql<number | null>`(extract(epoch from ${next} - now()) * 1000)::float8`.as('ms'))
    .where('state', '=', 'waiting')
    .executeTakeFirstOrThrow()
  return Math.min(Math.max(ms ?? LOOK_EVERY_MS, 10), LOOK_EVERY_MS)
}

/** Pauses a webhook. What waits is dropped: nobody wants last week's news. */
export async function pauseWebhook(db: Kysely<Tables>, id: number, paused_because: string | null): Promise<void> {
  await db.updateTable('webhook').set({ active: false, paused_because }).where('id', '=', id).execute()
  await db
    .updateTable('webhook_delivery')
    .set({ state: 'dropped', error: 'the webhook was paused', finished_at: new Date() })
    .where('webhook_id', '=', id)
    .where('state', '=', 'waiting')
    .execute()
}

async function forgetOldest(db: Kysely<Tables>, webhook_id: number): Promise<void> {
  const oldest = db
    .selectFrom('webhook_delivery')
    .select('id')
    .where('webhook_id', '=', webhook_id)
    .where('state', '!=', 'waiting')
    .orderBy('id', 'desc')
    .offset(KEPT)
  await db.deleteFrom('webhook_delivery').where('id', 'in', oldest).execute()
}
