import type { Kysely } from 'kysely'
import type { Role } from '../../shared/roles.ts'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { type Actor, demandRole, includesRole, tokenOf } from './actor.ts'
import { createSecret, hashSecret } from './secrets.ts'

/** A token for a program, such as CI, as it is listed: without the secret. */
export interface ApiToken {
  readonly id: number
  readonly name: string
  readonly role: Role
  readonly created_at: Date
  readonly expires_at: Date | null
  readonly used_at: Date | null
}

const SHOWN = ['id', 'name', 'role', 'created_at', 'expires_at', 'used_at'] as const
/** By which a secret that leaked can be found by who scans for them. */
const PREFIX = 'dynastudio_'

/**
 * Makes a token. It may do no more than who makes it, and no longer: a token that was made by a token ends with that.
 *
 * @returns the token's text, which is not stored: it is shown once
 */
export async function createApiToken(
  db: Kysely<Tables>,
  actor: Actor,
  { name, role, expires_at }: { name: string; role: Role; expires_at: Date | null },
): Promise<ApiToken & { secret: string }> {
  demandRole(actor, role)
  const made_by_token = tokenOf(actor) ?? null
  const latest = made_by_token === null ? null : (actor.credential?.expires_at ?? null)
  if (latest !== null && (expires_at === null || expires_at > latest)) {
    const fault = `expected a time no later than ${latest.toISOString()}, when the token ends that makes it`
    throw new Problem(422, `expires_at: ${fault}`, { fields: { expires_at: fault } })
  }
  const secret = PREFIX + createSecret()
  return db.transaction().execute(async (transaction) => {
    const values = {
      name,
      role,
      expires_at,
      token_hash: hashSecret(secret),
      created_by: actor.account_id,
      made_by_token,
    }
    const token = await transaction
      .insertInto('api_token')
      .values({ ...values, used_at: null, revoked_at: null })
      .returning(SHOWN)
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, actor, 'create token', name, { role })
    return { ...token, secret }
  })
}

/** Tokens that were not revoked, the newest first. */
export function listApiTokens(db: Kysely<Tables>): Promise<ApiToken[]> {
  return db.selectFrom('api_token').select(SHOWN).where('revoked_at', 'is', null).orderBy('id', 'desc').execute()
}

/** Revokes a token and those that it has made, for good. */
export async function revokeApiToken(db: Kysely<Tables>, actor: Actor, id: number): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const revoked = await transaction
      .updateTable('api_token')
      .set({ revoked_at: new Date() })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .returning('name')
      .executeTakeFirst()
    if (revoked === undefined) throw new Problem(404, 'there is no such token')
    await endOf(transaction, [id])
    await writeAudit(transaction, actor, 'revoke token', revoked.name)
  })
}

/** Ends what was made by tokens that have ended: further tokens, and links. */
async function endOf(db: Kysely<Tables>, ended: readonly number[]): Promise<void> {
  for (const id of ended) await announce(db, 'studio_signed_out', `token:${id}`)
  await db.deleteFrom('invitation').where('made_by_token', 'in', ended).where('used_at', 'is', null).execute()
  const made = await db
    .updateTable('api_token')
    .set({ revoked_at: new Date() })
    .where('made_by_token', 'in', ended)
    .where('revoked_at', 'is', null)
    .returning('id')
    .execute()
  if (made.length > 0)
    await endOf(
      db,
      made.map(({ id }) => id),
    )
}

/** How old the note of a token's last use may be, in milliseconds: each is a write. */
const NOTED_FOR_MS = 60_000

/**
 * Who a token speaks for, with no more rights than its maker has today.
 *
 * @returns undefined when it is none, has ended, or its maker was switched off
 */
export async function findApiToken(db: Kysely<Tables>, secret: string): Promise<Actor | undefined> {
  const now = new Date()
  const found = await db
    .selectFrom('api_token')
    .innerJoin('account', 'account.id', 'api_token.created_by')
    .select(['api_token.id', 'account.id as account_id', 'api_token.name', 'api_token.role'])
    .select(['api_token.used_at', 'api_token.expires_at'])
    .select('account.role as maker')
    .where('token_hash', '=', hashSecret(secret))
    .where('revoked_at', 'is', null)
    .where('account.active', '=', true)
    .where((builder) => builder.or([builder('expires_at', 'is', null), builder('expires_at', '>', now)]))
    .executeTakeFirst()
  if (found === undefined) return undefined
  const { id, account_id, name, used_at, expires_at, maker } = found
  const role = includesRole(maker, found.role) ? found.role : maker
  if (used_at === null || now.getTime() - used_at.getTime() > NOTED_FOR_MS) {
    await db.updateTable('api_token').set({ used_at: now }).where('id', '=', id).execute()
  }
  const credential = Object.freeze({ id: `token:${id}`, expires_at })
  return Object.freeze({ account_id, name: `token ${name}`, role, csrf: undefined, credential })
}
