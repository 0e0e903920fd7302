import type { Kysely } from 'kysely'
import { ROLES, type Role } from '../../shared/roles.ts'
import { type Account, SHOWN } from '../auth/accounts.ts'
import { includesRole } from '../auth/actor.ts'
import { changeAccount } from '../auth/change-account.ts'
import { endLinks } from '../auth/links.ts'
import { NO_PASSWORD } from '../auth/passwords.ts'
import { endSessions } from '../auth/sessions.ts'
import { Problem } from '../problem.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { type Claims, findRole, type OidcOptions } from './provider.ts'

type Db = Kysely<Tables>

/**
 * Lets in who the provider has signed in. Somebody is who has the same issuer and subject as before: neither a name nor a mail
 * address makes one person another. The role is what the provider says now.
 *
 * @throws Problem for who has no role, or was shut out
 */
export async function admit(db: Db, options: OidcOptions, claims: Claims): Promise<Account> {
  const role = findRole(options, claims)
  if (role === undefined) throw new Problem(403, 'the provider gives you no role here')
  const known = (await findByIdentity(db, claims)) ?? (await take(db, options, claims, role))
  if (known === undefined) return join(db, claims, role)
  if (!known.active) throw new Problem(403, 'the account is shut out')
  if (known.role === role) return known
  const by = { account_id: known.id, name: options.name, role: known.role, csrf: undefined }
  return changeAccount(db, by, known.id, { role })
}

function findByIdentity(db: Db, { iss, sub }: Claims): Promise<Account | undefined> {
  return db
    .selectFrom('account_identity')
    .innerJoin('account', 'account.id', 'account_identity.account_id')
    .select(SHOWN.map((name) => `account.${name}` as const))
    .where('issuer', '=', iss)
    .where('subject', '=', sub)
    .executeTakeFirst()
}

/**
 * Takes over an account whose name is the mail address, where that is allowed and the provider has verified the address. Who
 * has made the account may be somebody else, in waiting: the password, the second factor, sessions, links and tokens of before
 * end.
 */
async function take(
  db: Db,
  { link_email, name }: OidcOptions,
  claims: Claims,
  role: Role,
): Promise<Account | undefined> {
  const { email, email_verified } = claims
  if (!link_email || email_verified !== true || email === undefined || !email.includes('@')) return undefined
  return db.transaction().execute(async (transaction) => {
    const account = await transaction
      .updateTable('account')
      .set({ password_hash: NO_PASSWORD, totp_secret: null, totp_pending: null })
      .where((builder) => builder(builder.fn<string>('lower', ['name']), '=', email.toLowerCase()))
      .where('active', '=', true)
      // One that may do more stays: its last publisher would be locked out.
      .where(
        'role',
        'in',
        ROLES.filter((each) => includesRole(role, each)),
      )
      // Of two identities, the first one keeps it.
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('account_identity').select('subject').whereRef('account_id', '=', 'account.id'))),
      )
      .returning(SHOWN)
      .executeTakeFirst()
    if (account === undefined) return undefined
    await endSessions(transaction, account.id)
    await endLinks(transaction, account.id)
    await transaction
      .updateTable('api_token')
      .set({ revoked_at: new Date() })
      .where('created_by', '=', account.id)
      .where('revoked_at', 'is', null)
      .execute()
    await bind(transaction, account, claims)
    const who = { account_id: account.id, name: account.name }
    await writeAudit(transaction, who, 'link account', account.name, { provider: name })
    return account
  })
}

/** Makes an account for who was never here. */
async function join(db: Db, claims: Claims, role: Account['role']): Promise<Account> {
  return db.transaction().execute(async (transaction) => {
    const name = await chooseName(transaction, claims)
    const account = await transaction
      .insertInto('account')
      .values({ name, role, password_hash: NO_PASSWORD, vouched_by: null, vouched_at: null })
      .returning(SHOWN)
      .executeTakeFirstOrThrow()
    await bind(transaction, account, claims)
    await writeAudit(transaction, { account_id: account.id, name }, 'join', role, { issuer: claims.iss })
    return account
  })
}

async function bind(db: Db, { id }: Account, { iss, sub }: Claims): Promise<void> {
  await db.insertInto('account_identity').values({ issuer: iss, subject: sub, account_id: id }).execute()
}

/** What a name may have; see ACCOUNT_NAME. */
const ODD = /[^\p{L}\p{N} ._@-]/gu
const LONGEST = 50

/** A name that nobody has: of two who are called alike, the second one is “Ada 2”. */
async function chooseName(db: Db, { name, preferred_username, email }: Claims): Promise<string> {
  const wanted = [name, preferred_username, email]
    .map((text) => (text ?? '').replace(ODD, '').trim().slice(0, LONGEST).trim())
    .find((text) => text !== '')
  for (let at = 1; ; at += 1) {
    const tried = at === 1 && wanted !== undefined ? wanted : `${wanted ?? 'someone'} ${at}`
    const taken = await db
      .selectFrom('account')
      .select('id')
      .where((builder) => builder(builder.fn<string>('lower', ['name']), '=', tried.toLowerCase()))
      .executeTakeFirst()
    if (taken === undefined) return tried
  }
}

/** Whether an account signs in by a provider alone. */
export async function isOfProvider(db: Db, account_id: number): Promise<boolean> {
  const found = await db
    .selectFrom('account_identity')
    .select('subject')
    .where('account_id', '=', account_id)
    .limit(1)
    .executeTakeFirst()
  return found !== undefined
}
