import type { Kysely } from 'kysely'
import { announce } from '../store/announcements.ts'
import type { Tables } from '../store/tables.ts'

/** What the studio itself reads of a report; docs/reporting.md of dynacode has all of it. */
export interface GivenReport {
  readonly format: 1
  readonly instance: string
  readonly sequence: number
  readonly host: string
  readonly pid: number
  readonly closing: boolean
  readonly [field: string]: unknown
}

/** An instance of dynacode, as it was when it last reported. */
export interface Instance {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly received_at: Date
  readonly report: Readonly<Record<string, unknown>>
}

/** After this time without a report an instance is forgotten, in milliseconds. */
const FORGOTTEN_AFTER_MS = 24 * 3_600_000

/** Takes a report; one that was overtaken by a later one is dropped. */
export async function takeReport(db: Kysely<Tables>, report: GivenReport): Promise<void> {
  const { instance: id, host, pid, sequence } = report
  const values = { host, pid, report: JSON.stringify(report), received_at: new Date() }
  await db.transaction().execute(async (transaction) => {
    const known = await transaction
      .selectFrom('instance')
      .select('report')
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst()
    if (known !== undefined && Number(known.report.sequence) > sequence) return
    await transaction
      .insertInto('instance')
      .values({ id, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
      .execute()
    await announce(transaction, 'studio_report', id)
  })
}

/** Every instance that is not forgotten, by host and process. */
export async function listInstances(db: Kysely<Tables>): Promise<Instance[]> {
  await db
    .deleteFrom('instance')
    .where('received_at', '<', new Date(Date.now() - FORGOTTEN_AFTER_MS))
    .execute()
  return db
    .selectFrom('instance')
    .select(['id', 'host', 'pid', 'received_at', 'report'])
    .orderBy('host')
    .orderBy('pid')
    .execute()
}
