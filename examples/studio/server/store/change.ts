import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { announce } from './announcements.ts'
import { writeAudit } from './audit.ts'
import type { Tables } from './tables.ts'

type Db = Kysely<Tables>

/** Does something to the draft, writes it into the log, and tells everybody who looks at it. */
export async function change<T>(
  db: Db,
  actor: Pick<Actor, 'name'> & { readonly account_id: number | null },
  action: string,
  subject: string,
  run: (transaction: Db) => Promise<T>,
): Promise<T> {
  return db.transaction().execute(async (transaction) => {
    await touchDraft(transaction, subject)
    const result = await run(transaction)
    await writeAudit(transaction, actor, action, subject)
    return result
  })
}

/**
 * Gives the draft another revision. To come first in a transaction that changes it: from here on, others wait for its end, so
 * that of two who take a name or a place one sees the other.
 */
export async function touchDraft(transaction: Db, subject: string): Promise<void> {
  await transaction
    .updateTable('draft')
    .set((builder) => ({ revision: builder('revision', '+', 1) }))
    .execute()
  await announce(transaction, 'studio_draft', subject.slice(0, 200))
}

/** Grows with every change of the draft. */
export async function findDraftRevision(db: Db): Promise<number> {
  return (await db.selectFrom('draft').select('revision').executeTakeFirstOrThrow()).revision
}

/** Somebody else was there first: what is there now is part of the answer, so that nobody's work is lost. */
export async function describeConflict(find: () => Promise<object>): Promise<Problem> {
  const current = await find()
  return new Problem(409, 'someone else changed this after you opened it', { current })
}
