import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Role, Tables } from '../store/tables.ts'
import type { Actor } from './actor.ts'
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

/** Every account, by name. */
export function listAccounts(db: Db): Promise<Account[]> {
  return db.selectFrom('account').select(SHOWN).orderBy('name').execute()
}

/**
 * Changes what an account may do. At least one publisher stays.
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
    const values = {
      ...(change.role === undefined ? {} : { role: change.role }),
      ...(change.active === undefined ? {} : { active: change.active }),
    }
    if (Object.keys(values).length === 0) throw new Problem(422, 'expected role or active')
    const account = await transaction
      .updateTable('account')
      .set(values)
      .where('id', '=', id)
      .returning(SHOWN)
      .executeTakeFirst()
    if (account === undefined) throw new Problem(404, 'there is no such account')
    if (!account.active) {
      await endSessions(transaction, id)
      await transaction.updateTable('api_token').set({ revoked_at: new Date() }).where('created_by', '=', id).execute()
    }
    await writeAudit(transaction, actor, 'change account', account.name, values)
    return account
  })
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

/** Who a session belongs to; undefined when it has ended. */
export async function findSession(db: Db, secret: string): Promise<Actor | undefined> {
  const found = await db
    .selectFrom('session')
    .innerJoin('account', 'account.id', 'session.account_id')
    .select(['account.id as account_id', 'account.name', 'account.role', 'session.csrf'])
    .where('session.token_hash', '=', hashSecret(secret))
    .where('session.expires_at', '>', new Date())
    .where('account.active', '=', true)
    .executeTakeFirst()
  return found === undefined ? undefined : Object.freeze(found)
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

/** Ends a session. */
export async function signOut(db: Db, secret: string): Promise<void> {
  await db.deleteFrom('session').where('token_hash', '=', hashSecret(secret)).execute()
}
