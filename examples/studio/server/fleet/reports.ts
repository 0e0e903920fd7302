import { setImmediate } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import type { Report } from '../../shared/fleet.ts'
import { type Actor, tokenOf } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import type { Tables } from '../store/tables.ts'
import { raiseAlerts } from '../webhooks/alerts.ts'

/** An instance of dynacode, as it was when it last reported. */
export interface Instance {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly received_at: Date
  /** As JSON. */
  readonly report: string
}

/** After this time without a report an instance is forgotten, in milliseconds. */
const FORGOTTEN_AFTER_MS = 24 * 3_600_000
/** A report that is older than one that came longer ago than this was not overtaken by it: it is believed. In milliseconds. */
const OVERTAKEN_WITHIN_MS = 2 * 60_000
/** An instance that was silent for so long may be reported by whoever it is now. In milliseconds. */
const SILENT_AFTER_MS = 10 * 60_000
/** Instances that one token may report; those that were silent for longest make room. */
const MOST_INSTANCES = 1000

/**
 * Takes a report; one that was overtaken by a later one is dropped. An instance belongs to the token that reported it first:
 * nobody else can say anything of it.
 *
 * @throws Problem where it is another's
 */
export async function takeReport(db: Kysely<Tables>, actor: Actor, report: Report): Promise<void> {
  const { instance: id, host, pid, sequence } = report
  const token = tokenOf(actor)
  const reported_by = token === undefined ? `account:${actor.account_id}` : `token:${token}`
  const values = { host, pid, report: JSON.stringify(report), received_at: new Date() }
  await db.transaction().execute(async (transaction) => {
    const known = await transaction
      .selectFrom('instance')
      .select(['report', 'reported_by', 'received_at'])
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst()
    const is_anothers = known?.reported_by != null && known.reported_by !== reported_by
    if (is_anothers && (await isOfUse(transaction, known.reported_by as string, known.received_at))) {
      throw new Problem(403, 'instance: it is reported with another token', { fields: { instance: 'is another’s' } })
    }
    const is_recent = known !== undefined && Date.now() - known.received_at.getTime() < OVERTAKEN_WITHIN_MS
    if (is_recent && Number(known.report.sequence) > sequence) return
    if (known === undefined) await makeRoom(transaction, reported_by)
    await transaction
      .insertInto('instance')
      .values({ id, reported_by, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ reported_by, ...values }))
      .execute()
    await raiseAlerts(transaction, reported_by, known?.report, report)
    await announce(transaction, 'studio_report', id)
  })
}

/** Whether who has reported an instance so far still can: tokens are replaced while instances run on. */
async function isOfUse(db: Kysely<Tables>, reported_by: string, last: Date): Promise<boolean> {
  if (Date.now() - last.getTime() > SILENT_AFTER_MS) return false
  const [, id] = /^token:(\d+)$/.exec(reported_by) ?? []
  if (id === undefined) return true
  const token = await db
    .selectFrom('api_token')
    .select('expires_at')
    .where('id', '=', Number(id))
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return token !== undefined && (token.expires_at === null || token.expires_at > new Date())
}

async function makeRoom(db: Kysely<Tables>, reported_by: string): Promise<void> {
  await forget(db)
  const oldest = db
    .selectFrom('instance')
    .select('id')
    .where('reported_by', '=', reported_by)
    .orderBy('received_at', 'desc')
    .offset(sql<number>`${MOST_INSTANCES - 1}`)
  await db.deleteFrom('instance').where('id', 'in', oldest).execute()
}

async function forget(db: Kysely<Tables>): Promise<void> {
  await db
    .deleteFrom('instance')
    .where('received_at', '<', new Date(Date.now() - FORGOTTEN_AFTER_MS))
    .execute()
}

/** Reports are up to 128 KB each: so many at a time, and others are answered in between. */
const AT_ONCE = 20

/** Every instance that is not forgotten, by host and process, some at a time; the report as text. */
export async function* readInstances(db: Kysely<Tables>): AsyncGenerator<readonly Instance[]> {
  await forget(db)
  let after: Pick<Instance, 'host' | 'pid' | 'id'> = { host: '', pid: -1, id: '' }
  for (;;) {
    const { host, pid, id } = after
    const instances = await db
      .selectFrom('instance')
      .select(['id', 'host', 'pid', 'received_at', sql<string>`report::text`.as('report')])
      .where(({ eb, refTuple, tuple }) => eb(refTuple('host', 'pid', 'id'), '>', tuple(host, pid, id)))
      .orderBy('host')
      .orderBy('pid')
      .orderBy('id')
      .limit(AT_ONCE)
      .execute()
    yield instances
    const last = instances.at(-1)
    if (last === undefined || instances.length < AT_ONCE) return
    after = last
    await setImmediate()
  }
}

/** The same as a list in JSON, part by part: to read a thousand reports and write them again would hold up everybody. */
export async function* writeInstances(db: Kysely<Tables>): AsyncGenerator<string> {
  let before = '['
  for await (const instances of readInstances(db)) {
    for (const { report, ...rest } of instances) {
      yield `${before}${JSON.stringify(rest).slice(0, -1)},"report":${report}}`
      before = ','
    }
  }
  yield before === '[' ? '[]' : ']'
}
