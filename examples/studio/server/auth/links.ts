import type { Kysely } from 'kysely'
import type { Role } from '../../shared/roles.ts'
import { Problem } from '../problem.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { type Actor, tokenOf } from './actor.ts'
import { NO_PASSWORD } from './passwords.ts'
import { createSecret, hashSecret } from './secrets.ts'

type Db = Kysely<Tables>

/** What the secret at the end of a link is for: a new account, or a new password of one. */
interface Purpose {
  readonly role: Role
  /** Whose password it sets, or who becomes a publisher by it; null: it makes an account. */
  readonly account_id: number | null
  readonly is_promotion?: boolean
  readonly needs_second?: boolean
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
    return invite(transaction, undefined, { role: 'publisher', account_id: null })
  })
}

/** Invites somebody. @param needs_second whether another publisher has to agree first */
export async function inviteAccount(db: Db, actor: Actor, role: Role, needs_second = false): Promise<string> {
  return db.transaction().execute(async (transaction) => {
    const secret = await invite(transaction, actor, { role, account_id: null, needs_second })
    await writeAudit(transaction, actor, 'invite', role, needs_second ? { needs_second } : {})
    return secret
  })
}

/**
 * Makes a link for who has forgotten a password. The old one works until the link is used.
 *
 * @param needs_second as inviteAccount: by the link, whoever makes it could be the other one of two
 * @throws Problem
 */
export async function invitePassword(db: Db, actor: Actor, account_id: number, needs_second = false): Promise<string> {
  return db.transaction().execute(async (transaction) => {
    const { name, role, password_hash } = await findActive(transaction, account_id)
    // Whom the provider no longer signs in is not to come in by a password.
    if (password_hash === NO_PASSWORD) throw new Problem(409, `${name} signs in by the provider, and has no password`)
    const secret = await invite(transaction, actor, { role, account_id, needs_second })
    await writeAudit(transaction, actor, 'make password link', name, needs_second ? { needs_second } : {})
    return secret
  })
}

/**
 * Asks another publisher to agree that an account becomes one, or is let in again as one.
 *
 * @throws Problem
 */
export async function askPromotion(db: Db, actor: Actor, account_id: number): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const account = await transaction
      .selectFrom('account')
      .select('name')
      .where('id', '=', account_id)
      .executeTakeFirst()
    if (account === undefined) throw new Problem(404, 'there is no such account')
    await transaction
      .deleteFrom('invitation')
      .where('account_id', '=', account_id)
      .where('is_promotion', '=', true)
      .where('used_at', 'is', null)
      .execute()
    await invite(transaction, actor, { role: 'publisher', account_id, is_promotion: true, needs_second: true })
    await writeAudit(transaction, actor, 'propose publisher', account.name)
  })
}

async function findActive(db: Db, id: number): Promise<Pick<Tables['account'], 'name' | 'role' | 'password_hash'>> {
  const account = await db
    .selectFrom('account')
    .select(['name', 'role', 'password_hash'])
    .where('id', '=', id)
    .where('active', '=', true)
    .executeTakeFirst()
  if (account === undefined) throw new Problem(404, 'there is no such account, or it is switched off')
  return account
}

async function invite(db: Db, actor: Actor | undefined, purpose: Purpose): Promise<string> {
  const secret = createSecret()
  const latest = actor && tokenOf(actor) !== undefined ? actor.credential?.expires_at?.getTime() : undefined
  const expires_at = new Date(Math.min(Date.now() + HOURS * HOUR_MS, latest ?? Number.POSITIVE_INFINITY))
  await db
    .insertInto('invitation')
    .values({
      token_hash: hashSecret(secret),
      expires_at,
      used_at: null,
      created_by: actor?.account_id ?? null,
      made_by_token: (actor && tokenOf(actor)) ?? null,
      confirmed_by: null,
      ...purpose,
    })
    .execute()
  return secret
}

/** A link as it is listed: without its secret. */
export interface ListedLink {
  readonly id: number
  readonly kind: 'account' | 'password' | 'publisher'
  readonly role: Role
  /** Whose password it sets, or who becomes a publisher. */
  readonly name: string | null
  readonly created_by: string | null
  readonly created_by_id: number | null
  readonly created_at: Date
  readonly expires_at: Date
  /** Whether another publisher has to agree first. */
  readonly waits: boolean
}

/** Links that can still be used: no longer than who made them may make such. */
export const usable = (db: Db) =>
  db
    .selectFrom('invitation')
    .leftJoin('account as maker', 'maker.id', 'invitation.created_by')
    .leftJoin('account', 'account.id', 'invitation.account_id')
    .where('invitation.used_at', 'is', null)
    .where('invitation.expires_at', '>', new Date())
    .where((builder) =>
      builder.or([
        builder('invitation.created_by', 'is', null),
        builder.and([builder('maker.active', '=', true), builder('maker.role', '=', 'publisher')]),
      ]),
    )

/** Links that nobody has used yet, the newest first. */
export async function listLinks(db: Db): Promise<ListedLink[]> {
  const found = await usable(db)
    .select(['invitation.id', 'invitation.role', 'invitation.is_promotion', 'invitation.account_id', 'account.name'])
    .select(['maker.name as created_by', 'invitation.created_by as created_by_id', 'invitation.created_at'])
    .select(['invitation.expires_at', 'invitation.needs_second', 'invitation.confirmed_by'])
    .orderBy('invitation.id', 'desc')
    .execute()
  return found.map(({ is_promotion, account_id, needs_second, confirmed_by, ...rest }) => ({
    ...rest,
    kind: is_promotion ? 'publisher' : account_id === null ? 'account' : 'password',
    waits: needs_second && confirmed_by === null,
  }))
}

/** Takes a link back. @throws Problem */
export async function revokeLink(db: Db, actor: Actor, id: number): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const revoked = await transaction
      .deleteFrom('invitation')
      .where('id', '=', id)
      .where('used_at', 'is', null)
      .returning('role')
      .executeTakeFirst()
    if (revoked === undefined) throw new Problem(404, 'there is no such link, or it was used')
    await writeAudit(transaction, actor, 'revoke link', revoked.role)
  })
}

/** Ends links that an account has made, and those that would set its password. */
export async function endLinks(db: Db, account_id: number): Promise<void> {
  await db
    .deleteFrom('invitation')
    .where((builder) => builder.or([builder('created_by', '=', account_id), builder('account_id', '=', account_id)]))
    .where('used_at', 'is', null)
    .execute()
}
