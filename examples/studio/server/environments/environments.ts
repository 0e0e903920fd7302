import type { Kysely } from 'kysely'
import type { Environment } from '../../shared/environments.ts'
import type { Actor } from '../auth/actor.ts'
import type { OutsideRules } from '../outside/exchange.ts'
import { Problem } from '../problem.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { findRoleThere, type OtherStudio } from './other-studio.ts'

type Db = Kysely<Tables>
type Shown = Omit<Environment, 'created_at'> & { readonly created_at: Date }

const COLUMNS = ['id', 'name', 'url', 'created_at'] as const

/** Other studios, by name; without their tokens. */
export function listEnvironments(db: Db): Promise<Shown[]> {
  return db.selectFrom('environment').select(COLUMNS).orderBy('name').execute()
}

/**
 * Adds another studio, when its token may at least propose there.
 *
 * @throws Problem that names the field
 */
export async function addEnvironment(db: Db, actor: Actor, given: OtherStudio, rules: OutsideRules): Promise<Shown> {
  const url = given.url.replace(/\/+$/, '')
  await findRoleThere({ ...given, url }, rules)
  return db.transaction().execute(async (transaction) => {
    const taken = await transaction
      .selectFrom('environment')
      .select('id')
      .where('name', '=', given.name)
      .executeTakeFirst()
    if (taken !== undefined) throw new Problem(409, 'the name is taken', { fields: { name: 'is taken' } })
    const added = await transaction
      .insertInto('environment')
      .values({ ...given, url, created_by: actor.account_id })
      .returning(COLUMNS)
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, actor, 'add environment', given.name, { url })
    return added
  })
}

/** Forgets another studio, and its token. */
export async function removeEnvironment(db: Db, actor: Actor, id: number): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const { name } = await findEnvironment(transaction, id)
    await transaction.deleteFrom('environment').where('id', '=', id).execute()
    await writeAudit(transaction, actor, 'remove environment', name)
  })
}

/** With its token. @throws Problem where there is none */
export async function findEnvironment(db: Db, id: number): Promise<OtherStudio> {
  const found = await db
    .selectFrom('environment')
    .select(['name', 'url', 'token'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (found === undefined) throw new Problem(404, 'there is no such environment')
  return found
}
