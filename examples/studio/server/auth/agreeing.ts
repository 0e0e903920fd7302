import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import type { Actor } from './actor.ts'
import { endLinks, usable } from './links.ts'
import { dependsUntil, type TwoPersonRules } from './second-person.ts'

type Db = Kysely<Tables>

/**
 * Agrees, as the second publisher, to what somebody else has asked for.
 *
 * @throws Problem for one's own, and where one person may be both
 */
export async function confirmLink(db: Db, actor: Actor, id: number, rules: TwoPersonRules): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const link = await usable(transaction)
      .select(['invitation.created_by', 'invitation.account_id', 'invitation.is_promotion', 'invitation.role'])
      .select('account.name')
      .where('invitation.id', '=', id)
      .where('invitation.needs_second', '=', true)
      .where('invitation.confirmed_by', 'is', null)
      .executeTakeFirst()
    if (link === undefined) throw new Problem(404, 'there is nothing to approve')
    if (link.created_by === actor.account_id) throw new Problem(403, 'someone else has to approve: you created this')
    // Of whom it makes a publisher is not the one to ask.
    if (link.account_id === actor.account_id)
      throw new Problem(403, 'someone else has to approve: this is about your account')
    await refuseDependent(transaction, actor.account_id, link, rules)
    const used_at = link.is_promotion ? new Date() : null
    const set = { confirmed_by: actor.account_id, used_at }
    await transaction.updateTable('invitation').set(set).where('id', '=', id).execute()
    if (link.is_promotion && link.account_id !== null) {
      const vouched = { role: 'publisher' as const, active: true, vouched_by: link.created_by, vouched_at: new Date() }
      await transaction.updateTable('account').set(vouched).where('id', '=', link.account_id).execute()
      // A link for the password of an author is none for that of a publisher.
      await endLinks(transaction, link.account_id)
      await announce(transaction, 'studio_signed_out', String(link.account_id))
    }
    await writeAudit(transaction, actor, 'agree to a publisher', link.name ?? link.role)
  })
}

/** Of two accounts of which one has just made the other a publisher, one person may be both. */
async function refuseDependent(
  db: Db,
  own_id: number,
  {
    created_by,
    account_id,
    is_promotion,
  }: { created_by: number | null; account_id: number | null; is_promotion: boolean },
  rules: TwoPersonRules,
): Promise<void> {
  if (created_by === null) return
  const pairs = [[own_id, created_by] as const]
  // By a link for a password somebody who is there already could be taken over: that needs two who are two for certain.
  if (account_id !== null && !is_promotion) pairs.push([created_by, own_id])
  for (const [one, on] of pairs) {
    const until = await dependsUntil(db, one, on, rules)
    if (until === undefined) continue
    const message = `someone else has to approve: one of you made the other a publisher; you count as two persons from ${until.toISOString()} on`
    throw new Problem(403, message)
  }
}
