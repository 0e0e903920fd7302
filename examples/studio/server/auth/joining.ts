import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { type Account, SHOWN } from './accounts.ts'
import { endLinks, usable } from './links.ts'
import { hashPassword } from './passwords.ts'
import { demandSecondFactor } from './second-factor.ts'
import { demandSecond, type TwoPersonRules } from './second-person.ts'
import { hashSecret } from './secrets.ts'
import { endSessions } from './sessions.ts'

type Db = Kysely<Tables>

/**
 * Tells what a link is for.
 *
 * @returns the account whose password it sets, with nulls where it makes one
 * @throws Problem when it was used, has ended, or who made it may no longer make such; or when a second publisher has to agree
 */
export async function describeInvitation(
  db: Db,
  secret: string,
): Promise<{ readonly name: string | null; readonly account_id: number | null }> {
  const found = await usable(db)
    .select('invitation.account_id')
    .select(['account.name', 'invitation.needs_second', 'invitation.confirmed_by'])
    .where('invitation.token_hash', '=', hashSecret(secret))
    .where('invitation.is_promotion', '=', false)
    .executeTakeFirst()
  if (found === undefined) throw ended()
  if (found.needs_second && found.confirmed_by === null) {
    throw new Problem(409, 'another publisher has to approve this link on the page People before it works')
  }
  return { name: found.name, account_id: found.account_id }
}

/**
 * Makes the account that somebody was invited to, or sets its password anew. An invitation works once.
 *
 * @param given.name of a new account; that of one that is there stays
 * @param given.code of the second factor, where the account has one
 * @throws Problem
 */
export async function acceptInvitation(
  db: Db,
  secret: string,
  {
    name,
    password,
    code,
  }: { readonly name?: string | undefined; readonly password: string; readonly code?: string | undefined },
  rules: Pick<TwoPersonRules, 'two_persons'>,
): Promise<Account> {
  const known = await describeInvitation(db, secret)
  const called = known.name ?? name
  if (called === undefined)
    throw new Problem(422, 'the name is missing', { fields: { name: 'expected a name and a password' } })
  const password_hash = await hashPassword(password, called)
  return db.transaction().execute(async (transaction) => {
    // Who made it may have lost the right while the password was hashed.
    await describeInvitation(transaction, secret)
    const invitation = await transaction
      .updateTable('invitation')
      .set({ used_at: new Date() })
      .where('token_hash', '=', hashSecret(secret))
      .where('used_at', 'is', null)
      .where('expires_at', '>', new Date())
      .returning(['role', 'account_id', 'created_by'])
      .executeTakeFirst()
    if (invitation === undefined) throw ended()
    const vouched = invitation.created_by === null ? {} : { vouched_by: invitation.created_by, vouched_at: new Date() }
    if (invitation.account_id !== null) {
      // By a link, nobody passes a second factor by.
      await demandSecondFactor(transaction, invitation.account_id, code)
      return setPassword(transaction, invitation.account_id, { password_hash, ...vouched })
    }
    await refuseTaken(transaction, called)
    const account = await transaction
      .insertInto('account')
      .values({ name: called, role: invitation.role, password_hash, vouched_by: null, vouched_at: null, ...vouched })
      .returning(SHOWN)
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, { account_id: account.id, name: called }, 'join', account.role)
    await demandSecond(transaction, rules)
    return account
  })
}

/** Whoever made the link may be who uses it: for a time, the account does not count as another person. */
async function setPassword(
  db: Db,
  id: number,
  values: { password_hash: string; vouched_by?: number; vouched_at?: Date },
): Promise<Account> {
  const account = await db
    .updateTable('account')
    .set(values)
    .where('id', '=', id)
    .where('active', '=', true)
    .returning(SHOWN)
    .executeTakeFirst()
  if (account === undefined) throw ended()
  await endSessions(db, id)
  await endLinks(db, id)
  await writeAudit(db, { account_id: id, name: account.name }, 'set password by link', account.name)
  return account
}

async function refuseTaken(db: Db, name: string): Promise<void> {
  const taken = await db
    .selectFrom('account')
    .select('id')
    .where((builder) => builder(builder.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst()
  if (taken !== undefined)
    throw new Problem(409, 'the name is taken', { fields: { name: 'an account of that name exists' } })
}

const ended = () => new Problem(410, 'the link was already used, or has expired; ask for a new one')
