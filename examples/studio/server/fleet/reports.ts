import { type Kysely, sql } from 'kysely'
import type { Report } from '../../shared/fleet.ts'
import { type Actor, tokenOf } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { raiseAlerts } from '../webhooks/alerts.ts'
import { findDeltas } from './deltas.ts'
import type { RingWriter } from './ring-writer.ts'
import { summarize } from './summary.ts'

/** After this time without a report an instance is forgotten, in milliseconds; and one that has said that it ends. */
const FORGOTTEN_AFTER_MS = 24 * 3_600_000
const CLOSED_FORGOTTEN_AFTER_MS = 3_600_000
/** A report that is older than one that came longer ago than this was not overtaken by it: it is believed. In milliseconds. */
const OVERTAKEN_WITHIN_MS = 2 * 60_000
/** An instance that was silent for so long may be reported by whoever it is now. In milliseconds. */
const SILENT_AFTER_MS = 10 * 60_000
/** Instances that one token may report; those that were silent for longest make room. */
const MOST_INSTANCES = 1000

/** A report that was taken, and the one before it of the same process, if that is known. */
export interface Taken {
  readonly before: Partial<Report> | undefined
  readonly report: Report
  /** By whose token it came. */
  readonly by: string
}

/**
 * Takes a report; one that was overtaken by a later one is dropped. An instance belongs to the token that reported it first:
 * nobody else can say anything of it.
 *
 * @returns undefined for one that was dropped
 * @throws Problem where it is another's
 */
export async function takeReport(
  db: Kysely<Tables>,
  rings: RingWriter,
  actor: Actor,
  report: Report,
): Promise<Taken | undefined> {
  const { instance: id, host, pid, sequence, closing: closed } = report
  const token = tokenOf(actor)
  const reported_by = token === undefined ? `account:${actor.account_id}` : `token:${token}`
  const received_at = new Date()
  const shadows = JSON.stringify(report.counters?.plugins.filter(({ shadow_runs }) => shadow_runs > 0) ?? [])
  const summary = JSON.stringify(summarize(report))
  const values = { host, pid, closed, summary, shadows, report: JSON.stringify(report), received_at }
  const before = await db.transaction().execute(async (transaction) => {
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
    if (is_recent && Number(known.report.sequence) > sequence) return 'overtaken'
    if (known === undefined) await makeRoom(transaction, reported_by)
    await transaction
      .insertInto('instance')
      .values({ id, reported_by, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ reported_by, ...values }))
      .execute()
    await raiseAlerts(transaction, reported_by, known?.report, report)
    await announce(transaction, 'studio_report', id)
    return known
  })
  if (before === 'overtaken') return undefined
  const until = received_at.getTime()
  const began = until - Math.max(0, (report.sent_at ?? 0) - (report.started_at ?? report.sent_at ?? 0))
  rings.add(
    findDeltas(before?.report as Partial<Report> | undefined, report),
    before?.received_at.getTime() ?? began,
    until,
  )
  noteErrors(rings, report, until)
  return { before: before?.report as Partial<Report> | undefined, report, by: actor.name }
}

/** Clocks of processes may be wrong: what counts is how long before its report an error was. */
function noteErrors(rings: RingWriter, { host, pid, sent_at, counters }: Report, received_at: number): void {
  for (const { domain, name, phase, last_error } of counters?.plugins ?? []) {
    if (last_error === null) continue
    const { at, ...error } = last_error
    const age_ms = Math.max(0, (sent_at ?? at) - at)
    rings.noteError({ domain, name, phase, host, pid, error, at: new Date(Math.max(0, received_at - age_ms)) })
  }
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

/** Forgets who is gone for long. */
export async function forget(db: Kysely<Tables>): Promise<void> {
  const before = (ms: number) => new Date(Date.now() - ms)
  const forgotten = await db
    .deleteFrom('instance')
    .where(({ eb, or, and }) =>
      or([
        eb('received_at', '<', before(FORGOTTEN_AFTER_MS)),
        and([eb('closed', '=', true), eb('received_at', '<', before(CLOSED_FORGOTTEN_AFTER_MS))]),
      ]),
    )
    .returning('id')
    .execute()
  // Which ones may be more than an announcement holds: everybody looks anew.
  if (forgotten.length > 0) await announce(db, 'studio_report', '')
}

/** Forgets processes that somebody has dismissed; one that reports again comes back. */
export async function dismiss(db: Kysely<Tables>, actor: Actor, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await db.transaction().execute(async (transaction) => {
    await transaction.deleteFrom('instance').where('id', 'in', ids).execute()
    await writeAudit(transaction, actor, 'dismiss', ids.length === 1 ? `process ${ids[0]}` : `${ids.length} processes`)
    await announce(transaction, 'studio_report', '')
  })
}

/** All that a process reported last. @throws Problem where there is none */
export async function readReport(
  db: Kysely<Tables>,
  id: string,
): Promise<{ id: string; received_at: Date; report: object }> {
  const found = await db
    .selectFrom('instance')
    .select(['id', 'received_at', 'report'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (found === undefined) throw new Problem(404, 'there is no such process, or it was forgotten')
  return found
}
