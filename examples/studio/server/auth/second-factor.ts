import { randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import { Secret, TOTP } from 'otpauth'
import { Problem } from '../problem.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import type { Actor } from './actor.ts'
import { checkPassword } from './passwords.ts'
import { hashSecret } from './secrets.ts'
import { endSessions } from './sessions.ts'

type Db = Kysely<Tables>

const ISSUER = 'dynacode studio'
/** Of the key, in bytes (RFC 4226, 4). */
const KEY_BYTES = 20
/** Steps of 30 seconds by which the clock of a phone may be wrong. */
const WINDOW = 1
const RECOVERY_CODES = 10
/** Nobody guesses as many, so that one round of a hash is enough. */
const RECOVERY_BYTES = 10

const totpOf = (secret: string, label = '') =>
  new TOTP({ issuer: ISSUER, label, secret: Secret.fromBase32(secret), digits: 6, period: 30 })

/** Makes a key for an authenticator app. It is not asked for before a code of it was shown. @throws Problem */
export async function beginSecondFactor(
  db: Db,
  actor: Actor,
  password: string,
): Promise<{ readonly secret: string; readonly uri: string }> {
  const { name } = await demandPassword(db, actor, password)
  const secret = new Secret({ size: KEY_BYTES }).base32
  const begun = await db
    .updateTable('account')
    .set({ totp_pending: secret })
    .where('id', '=', actor.account_id)
    .where('totp_secret', 'is', null)
    .executeTakeFirst()
  if (begun.numUpdatedRows === 0n) throw new Problem(409, 'the account already has a second factor; remove it first')
  return { secret, uri: totpOf(secret, name).toString() }
}

/**
 * Asks for a second factor from now on. Whoever else is signed in to the account has to sign in again.
 *
 * @param session the secret of the session that goes on
 * @returns codes for who has lost the phone; each works once
 * @throws Problem where the code is not the authenticator's
 */
export async function turnOnSecondFactor(db: Db, actor: Actor, session: string, code: string): Promise<string[]> {
  return db.transaction().execute(async (transaction) => {
    const { totp_pending } = await transaction
      .selectFrom('account')
      .select('totp_pending')
      .where('id', '=', actor.account_id)
      .forUpdate()
      .executeTakeFirstOrThrow()
    if (totp_pending === null) throw new Problem(409, 'there is no key yet; start again')
    const step = stepOf(totp_pending, code)
    if (step === undefined) throw wrongCode(422)
    const set = { totp_secret: totp_pending, totp_pending: null, totp_step: step }
    await transaction.updateTable('account').set(set).where('id', '=', actor.account_id).execute()
    await endSessions(transaction, actor.account_id, session)
    const codes = Array.from({ length: RECOVERY_CODES }, makeRecoveryCode)
    const rows = codes.map((text) => ({ account_id: actor.account_id, code_hash: hashSecret(plain(text)) }))
    await transaction.deleteFrom('recovery_code').where('account_id', '=', actor.account_id).execute()
    await transaction.insertInto('recovery_code').values(rows).execute()
    await writeAudit(transaction, actor, 'turn on second factor', actor.name)
    return codes
  })
}

/** Asks for one no longer. @throws Problem where the password or the code is wrong */
export async function turnOffSecondFactor(
  db: Db,
  actor: Actor,
  { password, code }: { readonly password: string; readonly code: string },
): Promise<void> {
  await demandPassword(db, actor, password)
  await demandSecondFactor(db, actor.account_id, code, 403)
  await remove(db, actor, actor.account_id, 'turn off second factor')
}

/** Removes that of somebody who has lost it. @throws Problem for one's own: the password and a code are for that */
export async function resetSecondFactor(db: Db, actor: Actor, account_id: number): Promise<void> {
  if (account_id === actor.account_id)
    throw new Problem(403, 'remove your own second factor with your password and a code')
  await remove(db, actor, account_id, 'reset second factor')
}

async function remove(db: Db, actor: Actor, account_id: number, action: string): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const account = await transaction
      .updateTable('account')
      .set({ totp_secret: null, totp_pending: null, totp_step: null })
      .where('id', '=', account_id)
      .where('totp_secret', 'is not', null)
      .returning('name')
      .executeTakeFirst()
    if (account === undefined) throw new Problem(404, 'there is no such account, or it has no second factor')
    await transaction.deleteFrom('recovery_code').where('account_id', '=', account_id).execute()
    await writeAudit(transaction, actor, action, account.name)
  })
}

/** Whether an account has one. */
export async function hasSecondFactor(db: Db, account_id: number): Promise<boolean> {
  const found = await db
    .selectFrom('account')
    .select('id')
    .where('id', '=', account_id)
    .where('totp_secret', 'is not', null)
    .executeTakeFirst()
  return found !== undefined
}

/**
 * Sees to it that somebody has the second factor of an account, where that has one. A code works once.
 *
 * @param code of the authenticator, or for recovery
 * @throws Problem that names the field `code`
 */
export async function demandSecondFactor(
  db: Db,
  account_id: number,
  code: string | undefined,
  status = 401,
): Promise<void> {
  const found = await db.selectFrom('account').select('totp_secret').where('id', '=', account_id).executeTakeFirst()
  const secret = found?.totp_secret ?? null
  if (secret === null) return
  if (code === undefined || code.trim() === '') {
    const fields = { code: 'expected a code from your authenticator app, or a recovery code' }
    throw new Problem(status, 'this account has a second factor', { fields })
  }
  const step = stepOf(secret, code)
  const is_good = step === undefined ? await useRecoveryCode(db, account_id, code) : await useStep(db, account_id, step)
  if (!is_good) throw wrongCode(status)
}

/** @returns which step of 30 seconds a code is of; undefined for a wrong one */
function stepOf(secret: string, code: string): number | undefined {
  const token = code.replace(/\s/g, '')
  if (!/^\d{6}$/.test(token)) return undefined
  const now = Date.now()
  const delta = totpOf(secret).validate({ token, timestamp: now, window: WINDOW })
  return delta === null ? undefined : Math.floor(now / 30_000) + delta
}

async function useStep(db: Db, account_id: number, step: number): Promise<boolean> {
  const used = await db
    .updateTable('account')
    .set({ totp_step: step })
    .where('id', '=', account_id)
    .where((builder) => builder.or([builder('totp_step', 'is', null), builder('totp_step', '<', step)]))
    .executeTakeFirst()
  return used.numUpdatedRows > 0n
}

async function useRecoveryCode(db: Db, account_id: number, code: string): Promise<boolean> {
  const used = await db
    .deleteFrom('recovery_code')
    .where('account_id', '=', account_id)
    .where('code_hash', '=', hashSecret(plain(code)))
    .executeTakeFirst()
  return used.numDeletedRows > 0n
}

async function demandPassword(db: Db, actor: Actor, password: string): Promise<{ readonly name: string }> {
  const { name, password_hash } = await db
    .selectFrom('account')
    .select(['name', 'password_hash'])
    .where('id', '=', actor.account_id)
    .executeTakeFirstOrThrow()
  if (await checkPassword(password, password_hash)) return { name }
  throw new Problem(403, 'the password is wrong', { fields: { password: 'is not your password' } })
}

const wrongCode = (status: number) =>
  new Problem(status, 'the code is wrong', { fields: { code: 'is wrong, or was already used' } })

/** In groups of four, for who writes them down. */
function makeRecoveryCode(): string {
  const text = new Secret({ buffer: Uint8Array.from(randomBytes(RECOVERY_BYTES)).buffer }).base32.toLowerCase()
  return (text.match(/.{4}/g) as string[]).join('-')
}

const plain = (code: string) => code.replace(/[\s-]/g, '').toLowerCase()
