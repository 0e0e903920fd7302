import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import { writeAudit } from '../store/audit.ts'
import type { Role, Tables } from '../store/tables.ts'
import { type Account, endSessions, SHOWN } from './accounts.ts'
import type { Actor } from './actor.ts'
import { hashPassword } from './passwords.ts'
import { createSecret, hashSecret } from './secrets.ts'

type Db = Kysely<Tables>

/** What the secret at the end of a link is for: a new account, or a new password of one. */
interface Purpose {
  readonly role: Role
  /** Whose password it sets; null: it makes an account. */
  readonly account_id: number | null
  readonly created_by: number | null
}

const HOURS = 48
const HOUR_MS = 3_600_000

/**
 * Invites a publisher by hand of whoever starts the studio.
 *
 * @param anyway whether to, though there are accounts: for a studio that nobody can sign in to any more
 * @returns the secret of the invitation's link; undefined when there is an account
 */
export async function inviteFirst(db: Db, anyway: boolean): Promise<string | undefined> {
  return db.transaction().execute(async (transaction) => {
    const known = await transaction.selectFrom('account').select('id').limit(1).executeTakeFirst()
    if (known !== undefined && !anyway) return undefined
    // The link of an earlier start may have been seen by others; only the newest one works.
    await transaction.deleteFrom('invitation').where('created_by', 'is', null).execute()
    return invite(transaction, { role: 'publisher', account_id: null, created_by: null })
  })
}

/** Invites somebody. */
export async function inviteAccount(db: Db, actor: Actor, role: Role): Promise<string> {
  return db.transaction().execute(async (transaction) => {
    const secret = await invite(transaction, { role, account_id: null, created_by: actor.account_id })
    await writeAudit(transaction, actor, 'invite', role)
    return secret
  })
}

/**
 * Makes a link for who has forgotten a password. The old one works until the link is used.
 *
 * @throws Problem
 */
export async function invitePassword(db: Db, actor: Actor, account_id: number): Promise<string> {
  return db.transaction().execute(async (transaction) => {
    const account = await transaction
      .selectFrom('account')
      .select(['name', 'role'])
      .where('id', '=', account_id)
      .where('active', '=', true)
      .executeTakeFirst()
    if (account === undefined) throw new Problem(404, 'there is no such account, or it is switched off')
    const secret = await invite(transaction, { role: account.role, account_id, created_by: actor.account_id })
    await writeAudit(transaction, actor, 'make password link', account.name)
    return secret
  })
}

async function invite(db: Db, purpose: Purpose): Promise<string> {
  const secret = createSecret()
  const expires_at = new Date(Date.now() + HOURS * HOUR_MS)
  await db
    .insertInto('invitation')
    .values({ token_hash: hashSecret(secret), expires_at, used_at: null, ...purpose })
    .execute()
  return secret
}

/**
 * Tells what a link is for.
 *
 * @returns the name of the account whose password it sets; null where it makes one
 * @throws Problem when it was used, or has ended
 */
export async function describeInvitation(db: Db, secret: string): Promise<{ name: string | null }> {
  const found = await db
    .selectFrom('invitation')
    .leftJoin('account', 'account.id', 'invitation.account_id')
    .select('account.name')
    .where('token_hash', '=', hashSecret(secret))
    .where('used_at', 'is', null)
    .where('expires_at', '>', new Date())
    .executeTakeFirst()
  if (found === undefined) throw ended()
  return { name: found.name }
}

/**
 * Makes the account that somebody was invited to, or sets its password anew. An invitation works once.
 *
 * @param name of a new account; that of one that is there stays
 * @throws Problem
 */
export async function acceptInvitation(
  db: Db,
  secret: string,
  name: string | undefined,
  password: string,
): Promise<Account> {
  const known = await describeInvitation(db, secret)
  const called = known.name ?? name
  if (called === undefined) throw new Problem(422, 'the name is missing', { fields: { name: 'say how you sign in' } })
  const password_hash = await hashPassword(password, called)
  return db.transaction().execute(async (transaction) => {
    const invitation = await transaction
      .updateTable('invitation')
      .set({ used_at: new Date() })
      .where('token_hash', '=', hashSecret(secret))
      .where('used_at', 'is', null)
      .where('expires_at', '>', new Date())
      .returning(['role', 'account_id'])
      .executeTakeFirst()
    if (invitation === undefined) throw ended()
    if (invitation.account_id !== null) return setPassword(transaction, invitation.account_id, password_hash)
    await refuseTaken(transaction, called)
    const account = await transaction
      .insertInto('account')
      .values({ name: called, role: invitation.role, password_hash })
      .returning(SHOWN)
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, { account_id: account.id, name: called }, 'join', account.role)
    return account
  })
}

async function setPassword(db: Db, id: number, password_hash: string): Promise<Account> {
  const account = await db
    .updateTable('account')
    .set({ password_hash })
    .where('id', '=', id)
    .where('active', '=', true)
    .returning(SHOWN)
    .executeTakeFirst()
  if (account === undefined) throw ended()
  await endSessions(db, id)
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
    throw new Problem(409, 'the name is taken', { fields: { name: 'there is an account of that name' } })
}

const ended = () => new Problem(410, 'the link was used already, or has ended; ask for another')
