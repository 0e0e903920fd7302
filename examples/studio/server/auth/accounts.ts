import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import { ROLES, type Role, type Tables } from '../store/tables.ts'
import { type Actor, includesRole } from './actor.ts'
import { checkPassword, hashPassword } from './passwords.ts'
import { createSecret, hashSecret } from './secrets.ts'

type Db = Kysely<Tables>

/** An account, as others may see it. */
export interface Account {
  readonly id: number
  readonly name: string
  readonly role: Role
  readonly active: boolean
  readonly created_at: Date
}

/** Columns that others may see. */
export const SHOWN = ['id', 'name', 'role', 'active', 'created_at'] as const
const SESSION_HOURS = 12
const HOUR_MS = 3_600_000

/** @throws Problem where there is none */
export async function findAccount(db: Db, id: number): Promise<Account> {
  const found = await db.selectFrom('account').select(SHOWN).where('id', '=', id).executeTakeFirst()
  if (found === undefined) throw new Problem(404, 'there is no such account')
  return found
}

/** How many accounts may publish. */
export async function countPublishers(db: Db): Promise<number> {
  const found = await db
    .selectFrom('account')
    .select('id')
    .where('role', '=', 'publisher')
    .where('active', '=', true)
    .execute()
  return found.length
}

/** Every account, by name. */
export function listAccounts(db: Db): Promise<Account[]> {
  return db.selectFrom('account').select(SHOWN).orderBy('name').execute()
}

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
      throw new Problem(409, 'this is the only publisher: nobody could publish any more, or invite anybody')
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

/** Whether an account may publish, and let others in. */
export function isPublisher({ role, active }: Pick<Account, 'role' | 'active'>): boolean {
  return active && role === 'publisher'
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

/** A session that has just begun. */
export interface SignedIn {
  readonly account: Account
  /** For the cookie; known to nobody else. */
  readonly secret: string
  readonly csrf: string
  readonly expires_at: Date
}

/**
 * Signs somebody in.
 *
 * @throws Problem that does not say whether there is such an account
 */
export async function signIn(db: Db, name: string, password: string): Promise<SignedIn> {
  const found = await db
    .selectFrom('account')
    .select([...SHOWN, 'password_hash'])
    .where((builder) => builder(builder.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .where('active', '=', true)
    .executeTakeFirst()
  if (!(await checkPassword(password, found?.password_hash)) || found === undefined) {
    throw new Problem(401, 'name or password is wrong')
  }
  const { password_hash: _, ...account } = found
  return db.transaction().execute(async (transaction) => {
    await transaction.deleteFrom('session').where('expires_at', '<', new Date()).execute()
    const signed = {
      secret: createSecret(),
      csrf: createSecret(),
      expires_at: new Date(Date.now() + SESSION_HOURS * HOUR_MS),
    }
    const { secret, ...session } = signed
    await transaction
      .insertInto('session')
      .values({ token_hash: hashSecret(secret), account_id: account.id, ...session })
      .execute()
    await writeAudit(transaction, { account_id: account.id, name: account.name }, 'sign in', account.name)
    return { account, ...signed }
  })
}

/** Writes a sign-in into the log that failed. What is no account's name may be a password, and is not written. */
export async function noteFailure(db: Db, name: string, address: string): Promise<void> {
  const account = await db
    .selectFrom('account')
    .select(['id', 'name'])
    .where((builder) => builder(builder.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst()
  const who = { account_id: account?.id ?? null, name: 'somebody' }
  await writeAudit(db, who, 'fail to sign in', account?.name ?? 'an unknown name', { address })
}

/** Who a session belongs to; undefined when it has ended. */
export async function findSession(db: Db, secret: string): Promise<Actor | undefined> {
  const found = await db
    .selectFrom('session')
    .innerJoin('account', 'account.id', 'session.account_id')
    .select(['account.id as account_id', 'account.name', 'account.role', 'session.csrf', 'session.expires_at'])
    .where('session.token_hash', '=', hashSecret(secret))
    .where('session.expires_at', '>', new Date())
    .where('account.active', '=', true)
    .executeTakeFirst()
  if (found === undefined) return undefined
  const { expires_at, ...actor } = found
  return Object.freeze({ ...actor, credential: { id: `session:${hashSecret(secret)}`, expires_at } })
}

/**
 * Changes one's own password. Whoever else is signed in to the account has to sign in again.
 *
 * @param session the secret of the session that goes on
 * @throws Problem when the password before is another, or the new one cannot be used
 */
export async function changePassword(
  db: Db,
  actor: Actor,
  session: string,
  { current, password }: { current: string; password: string },
): Promise<void> {
  const { name, password_hash: before } = await db
    .selectFrom('account')
    .select(['name', 'password_hash'])
    .where('id', '=', actor.account_id)
    .executeTakeFirstOrThrow()
  if (!(await checkPassword(current, before))) {
    throw new Problem(403, 'the password is wrong', { fields: { current: 'is not your password' } })
  }
  const password_hash = await hashPassword(password, name)
  await db.transaction().execute(async (transaction) => {
    await transaction.updateTable('account').set({ password_hash }).where('id', '=', actor.account_id).execute()
    await endSessions(transaction, actor.account_id, session)
    await endLinks(transaction, actor.account_id)
    await writeAudit(transaction, actor, 'change password', name)
  })
}

/**
 * Ends the sessions of an account, and what is open by them.
 *
 * @param except the secret of one that goes on
 */
export async function endSessions(db: Db, account_id: number, except?: string): Promise<void> {
  await db
    .deleteFrom('session')
    .where('account_id', '=', account_id)
    .$if(except !== undefined, (query) => query.where('token_hash', '!=', hashSecret(except as string)))
    .execute()
  await announce(db, 'studio_signed_out', String(account_id))
}

/** Ends links that an account has made, and those that would set its password. */
export async function endLinks(db: Db, account_id: number): Promise<void> {
  await db
    .deleteFrom('invitation')
    .where((builder) => builder.or([builder('created_by', '=', account_id), builder('account_id', '=', account_id)]))
    .where('used_at', 'is', null)
    .execute()
}

/** Ends a session. */
export async function signOut(db: Db, secret: string): Promise<void> {
  await db.deleteFrom('session').where('token_hash', '=', hashSecret(secret)).execute()
  await announce(db, 'studio_signed_out', `session:${hashSecret(secret)}`)
}
