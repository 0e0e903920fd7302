import type { Kysely } from 'kysely'
import type { Role } from '../../shared/roles.ts'
import { Problem } from '../problem.ts'
import type { Tables } from '../store/tables.ts'

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
export function listAccounts(db: Db): Promise<(Account & { readonly second_factor: boolean })[]> {
  return db
    .selectFrom('account')
    .select(SHOWN)
    .select(({ eb }) => eb('totp_secret', 'is not', null).$castTo<boolean>().as('second_factor'))
    .orderBy('name')
    .execute()
}

/** Whether an account may publish, and let others in. */
export function isPublisher({ role, active }: Pick<Account, 'role' | 'active'>): boolean {
  return active && role === 'publisher'
}
