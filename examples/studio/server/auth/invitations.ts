import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Role, Tables } from '../store/tables.ts'
import { type Account, endLinks, endSessions, SHOWN } from './accounts.ts'
import { type Actor, tokenOf } from './actor.ts'
import { hashPassword } from './passwords.ts'
import { demandSecond, dependsUntil, type TwoPersonRules } from './second-person.ts'
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
    const { name, role } = await findActive(transaction, account_id)
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

async function findActive(db: Db, id: number): Promise<{ name: string; role: Role }> {
  const account = await db
    .selectFrom('account')
    .select(['name', 'role'])
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
const usable = (db: Db) =>
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
    if (link === undefined) throw new Problem(404, 'there is nothing to agree to')
    if (link.created_by === actor.account_id) throw new Problem(403, 'somebody else has to agree: this is your own')
    // Of whom it makes a publisher is not the one to ask.
    if (link.account_id === actor.account_id) throw new Problem(403, 'somebody else has to agree: this is about you')
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
    const message = `somebody else has to agree: one of you has made the other a publisher; you count as two persons from ${until.toISOString()} on`
    throw new Problem(403, message)
  }
}

/**
 * Tells what a link is for.
 *
 * @returns the name of the account whose password it sets; null where it makes one
 * @throws Problem when it was used, has ended, or who made it may no longer make such; or when a second publisher has to agree
 */
export async function describeInvitation(db: Db, secret: string): Promise<{ name: string | null }> {
  const found = await usable(db)
    .select(['account.name', 'invitation.needs_second', 'invitation.confirmed_by'])
    .where('invitation.token_hash', '=', hashSecret(secret))
    .where('invitation.is_promotion', '=', false)
    .executeTakeFirst()
  if (found === undefined) throw ended()
  if (found.needs_second && found.confirmed_by === null) {
    throw new Problem(409, 'another publisher has to agree before this link works: on the page People')
  }
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
  { name, password }: { readonly name: string | undefined; readonly password: string },
  rules: Pick<TwoPersonRules, 'two_persons'>,
): Promise<Account> {
  const known = await describeInvitation(db, secret)
  const called = known.name ?? name
  if (called === undefined) throw new Problem(422, 'the name is missing', { fields: { name: 'say how you sign in' } })
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
    if (invitation.account_id !== null)
      return setPassword(transaction, invitation.account_id, { password_hash, ...vouched })
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
    throw new Problem(409, 'the name is taken', { fields: { name: 'there is an account of that name' } })
}

const ended = () => new Problem(410, 'the link was used already, or has ended; ask for another')
