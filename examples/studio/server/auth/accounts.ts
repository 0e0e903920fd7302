import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
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

const SHOWN = ['id', 'name', 'role', 'active', 'created_at'] as const
const INVITATION_HOURS = 48
const SESSION_HOURS = 12
const HOUR_MS = 3_600_000

/**
 * Invites the first publisher, as long as there is no account at all.
 *
 * @returns the secret of the invitation's link; undefined when there is an account
 */
export async function inviteFirst(db: Db): Promise<string | undefined> {
  return db.transaction().execute(async (transaction) => {
    const known = await transaction.selectFrom('account').select('id').limit(1).executeTakeFirst()
    if (known !== undefined) return undefined
    // The link of an earlier start may have been seen by others; only the newest one works.
    await transaction.deleteFrom('invitation').where('created_by', 'is', null).execute()
    return invite(transaction, null, 'publisher')
  })
}

/** Invites somebody. */
export async function inviteAccount(db: Db, actor: Actor, role: Role): Promise<string> {
  return db.transaction().execute(async (transaction) => {
    const secret = await invite(transaction, actor.account_id, role)
    await writeAudit(transaction, actor, 'invite', role)
    return secret
  })
}

async function invite(db: Db, created_by: number | null, role: Role): Promise<string> {
  const secret = createSecret()
  const expires_at = new Date(Date.now() + INVITATION_HOURS * HOUR_MS)
  await db
    .insertInto('invitation')
    .values({ token_hash: hashSecret(secret), role, created_by, expires_at, used_at: null })
    .execute()
  return secret
}

/**
 * Makes the account that somebody was invited to. An invitation works once.
 *
 * @throws Problem
 */
export async function acceptInvitation(db: Db, secret: string, name: string, password: string): Promise<Account> {
  const password_hash = await hashPassword(password, name)
  return db.transaction().execute(async (transaction) => {
    const invitation = await transaction
      .updateTable('invitation')
      .set({ used_at: new Date() })
      .where('token_hash', '=', hashSecret(secret))
      .where('used_at', 'is', null)
      .where('expires_at', '>', new Date())
      .returning(['role'])
      .executeTakeFirst()
    if (invitation === undefined)
      throw new Problem(410, 'the invitation was used already, or has ended; ask for another')
    await refuseTaken(transaction, name)
    const account = await transaction
      .insertInto('account')
      .values({ name, role: invitation.role, password_hash })
      .returning(SHOWN)
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, { account_id: account.id, name }, 'join', account.role)
    return account
  })
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
      await transaction.deleteFrom('session').where('account_id', '=', id).execute()
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

/** Ends a session. */
export async function signOut(db: Db, secret: string): Promise<void> {
  await db.deleteFrom('session').where('token_hash', '=', hashSecret(secret)).execute()
}
