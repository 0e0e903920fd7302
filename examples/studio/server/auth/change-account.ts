import type { Kysely } from 'kysely'
import { ROLES, type Role } from '../../shared/roles.ts'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { type Account, isPublisher, SHOWN } from './accounts.ts'
import { type Actor, includesRole } from './actor.ts'
import { endLinks } from './links.ts'
import { endSessions } from './sessions.ts'

type Db = Kysely<Tables>

/**
 * Changes what an account may do. At least one publisher stays. What it has made ends with its right to make such.
 *
 * @throws Problem
 */
export async function changeAccount(
  db: Db,
  actor: Actor,
  id: number,
  change: { role?: Role | undefined; active?: boolean | undefined },
): Promise<Account> {
  return db.transaction().execute(async (transaction) => {
    const publishers = await transaction
      .selectFrom('account')
      .select('id')
      .where('role', '=', 'publisher')
      .where('active', '=', true)
      .forUpdate()
      .execute()
    const steps_down = (change.role !== undefined && change.role !== 'publisher') || change.active === false
    if (steps_down && publishers.length === 1 && publishers[0]?.id === id) {
      throw new Problem(409, 'this is the only publisher: without one, nobody can publish or invite people')
    }
    const before = await transaction
      .selectFrom('account')
      .select(['role', 'active'])
      .where('id', '=', id)
      .executeTakeFirst()
    if (before === undefined) throw new Problem(404, 'there is no such account')
    const values = {
      ...(change.role === undefined ? {} : { role: change.role }),
      ...(change.active === undefined ? {} : { active: change.active }),
    }
    if (Object.keys(values).length === 0) throw new Problem(422, 'expected role or active')
    const account = await transaction
      .updateTable('account')
      .set({ ...values, ...(isPublisher({ ...before, ...values }) && !isPublisher(before) ? vouch(actor) : {}) })
      .where('id', '=', id)
      .returning(SHOWN)
      .executeTakeFirst()
    if (account === undefined) throw new Problem(404, 'there is no such account')
    if (account.role !== before.role || !account.active) {
      // What is open by the account asks again who it is.
      await announce(transaction, 'studio_signed_out', String(id))
      // A link for the password of an author is none for that of a publisher.
      await endLinks(transaction, id)
      await lowerTokens(transaction, account)
    }
    if (!account.active) await endSessions(transaction, id)
    await writeAudit(transaction, actor, 'change account', account.name, values)
    return account
  })
}

const vouch = ({ account_id }: Actor) => ({ vouched_by: account_id, vouched_at: new Date() })

/** Tokens may do no more than their maker, and get nothing back when the maker does. */
async function lowerTokens(db: Db, { id, role, active }: Account): Promise<void> {
  const own = db.updateTable('api_token').where('created_by', '=', id).where('revoked_at', 'is', null)
  if (!active) {
    await own.set({ revoked_at: new Date() }).execute()
    return
  }
  const more = ROLES.filter((each) => !includesRole(role, each))
  if (more.length > 0) await own.set({ role }).where('role', 'in', more).execute()
}
