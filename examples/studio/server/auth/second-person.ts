import type { Kysely } from 'kysely'
import type { Tables } from '../store/tables.ts'

/** What publishing by two persons demands of accounts. */
export interface TwoPersonRules {
  readonly two_persons: boolean
  /** For how long an account that somebody made a publisher cannot agree to what that one proposes, in milliseconds. */
  readonly wait_ms: number
}

/** A day: whoever reads the audit log, or comes to work, has seen it. */
export const WAIT_MS = 24 * 3_600_000

/** Whether what makes a publisher, or lets somebody in as one, takes a second publisher: there has to be one. */
export async function needsSecond(
  db: Kysely<Tables>,
  { two_persons }: TwoPersonRules,
  own_id: number,
): Promise<boolean> {
  if (!two_persons) return false
  const other = await db
    .selectFrom('account')
    .select('id')
    .where('role', '=', 'publisher')
    .where('active', '=', true)
    .where('id', '!=', own_id)
    .limit(1)
    .executeTakeFirst()
  return other !== undefined
}

/**
 * Has links that let somebody in as a publisher wait for a second one: there are two by now, and there was one when they were
 * made.
 */
export async function demandSecond(
  db: Kysely<Tables>,
  { two_persons }: Pick<TwoPersonRules, 'two_persons'>,
): Promise<void> {
  if (!two_persons) return
  const publishers = db.selectFrom('account').select('id').where('role', '=', 'publisher').where('active', '=', true)
  await db
    .updateTable('invitation')
    .set({ needs_second: true })
    .where('role', '=', 'publisher')
    .where('used_at', 'is', null)
    .where('created_by', 'is not', null)
    .where(({ exists, ref }) => exists(publishers.where('id', '!=', ref('invitation.created_by'))))
    .execute()
}

/**
 * Whether an account was made a publisher by another a short while ago, or by one that was: of the two, one person may be both.
 *
 * @returns until when; undefined where it was not
 */
export async function dependsUntil(
  db: Kysely<Tables>,
  account_id: number,
  on: number,
  { wait_ms }: TwoPersonRules,
): Promise<Date | undefined> {
  const seen = new Set<number>()
  let until: Date | undefined
  for (let at: number | null = account_id; at !== null && !seen.has(at); ) {
    seen.add(at)
    const found: Pick<Tables['account'], 'vouched_by' | 'vouched_at'> | undefined = await db
      .selectFrom('account')
      .select(['vouched_by', 'vouched_at'])
      .where('id', '=', at)
      .executeTakeFirst()
    if (found?.vouched_by == null || found.vouched_at === null) return undefined
    const end = new Date(found.vouched_at.getTime() + wait_ms)
    if (end <= new Date()) return undefined
    if (until === undefined || end < until) until = end
    if (found.vouched_by === on) return until
    at = found.vouched_by
  }
  return undefined
}
