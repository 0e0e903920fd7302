import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { type Account, SHOWN } from './accounts.ts'
import type { Actor } from './actor.ts'
import { endLinks } from './links.ts'
import { checkPassword, hashPassword } from './passwords.ts'
import { createSecret, hashSecret } from './secrets.ts'

type Db = Kysely<Tables>

const SESSION_HOURS = 12
const HOUR_MS = 3_600_000

/** A session that has just begun. */
export interface SignedIn {
  readonly account: Account
  /** For the cookie; known to nobody else. */
  readonly secret: string
  readonly csrf: string
  readonly expires_at: Date
}

/**
 * Finds the account of who knows its password.
 *
 * @throws Problem that does not say whether there is such an account
 */
export async function findByPassword(db: Db, name: string, password: string): Promise<Account> {
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
  return account
}

/** Signs somebody in who has shown who it is. */
export async function beginSession(db: Db, account: Account): Promise<SignedIn> {
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

/** Writes an attempt into the log that failed, such as to sign in. What is no account's name may be a password, and is not written. */
export async function noteFailure(db: Db, name: string, address: string, action = 'fail to sign in'): Promise<void> {
  const account = await db
    .selectFrom('account')
    .select(['id', 'name'])
    .where((builder) => builder(builder.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst()
  const who = { account_id: account?.id ?? null, name: 'somebody' }
  await writeAudit(db, who, action, account?.name ?? 'an unknown name', { address })
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

/** Ends a session. */
export async function signOut(db: Db, secret: string): Promise<void> {
  await db.deleteFrom('session').where('token_hash', '=', hashSecret(secret)).execute()
  await announce(db, 'studio_signed_out', `session:${hashSecret(secret)}`)
}
