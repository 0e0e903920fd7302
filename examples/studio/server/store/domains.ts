import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { change, describeConflict } from './change.ts'
import { type Paged, toPattern } from './paged.ts'
import type { Tables } from './tables.ts'

type Db = Kysely<Tables>

/** A domain as it is being worked on. */
export interface DraftDomain {
  readonly id: number
  readonly name: string
  readonly position: number
  readonly revision: number
}

const DOMAIN = ['id', 'name', 'position', 'revision'] as const

/** Domains in the order of the document, each with how many plugins it has. */
export async function listDomains(
  db: Db,
  { search, after, limit }: Paged,
): Promise<(DraftDomain & { plugins: number })[]> {
  const begin =
    after === undefined
      ? undefined
      : await db.selectFrom('domain').select('position').where('id', '=', after).executeTakeFirst()
  return db
    .selectFrom('domain')
    .select((builder) => [
      ...DOMAIN,
      builder
        .selectFrom('plugin')
        .whereRef('plugin.domain_id', '=', 'domain.id')
        .select((inner) => inner.cast<number>(inner.fn.countAll(), 'integer').as('count'))
        .as('plugins'),
    ])
    .$if(begin !== undefined, (query) => query.where('position', '>', begin?.position as number))
    .$if(search !== undefined, (query) => query.where('name', 'ilike', toPattern(search as string)))
    .orderBy('position')
    .limit(limit)
    .$castTo<DraftDomain & { plugins: number }>()
    .execute()
}

/** Adds a domain behind the others. */
export async function addDomain(db: Db, actor: Actor, name: string): Promise<DraftDomain> {
  return change(db, actor, 'add domain', name, async (transaction) => {
    await refuseTaken(transaction, name)
    return transaction
      .insertInto('domain')
      .values((builder) => ({
        name,
        position: builder
          .selectFrom('domain')
          .select((inner) => inner.fn.coalesce(inner(inner.fn.max('position'), '+', 1), inner.lit(1)).as('next')),
      }))
      .returning(DOMAIN)
      .executeTakeFirstOrThrow()
  })
}

/**
 * Gives a domain another name: its plugins are for other hosts then.
 *
 * @param revision the one that was changed
 * @throws Problem with 409 where the name is taken, or with the domain as it is now when somebody else has changed it since
 */
export async function renameDomain(
  db: Db,
  actor: Actor,
  id: number,
  revision: number,
  name: string,
): Promise<DraftDomain> {
  const known = await findDomain(db, id)
  return change(db, actor, 'rename domain', `${known.name} → ${name}`, async (transaction) => {
    await refuseTaken(transaction, name, id)
    const saved = await transaction
      .updateTable('domain')
      .set({ name, revision: revision + 1 })
      .where('id', '=', id)
      .where('revision', '=', revision)
      .returning(DOMAIN)
      .executeTakeFirst()
    if (saved === undefined) throw await describeConflict(() => findDomain(transaction, id))
    return saved
  })
}

/** Puts a domain before another one; without that, behind all. */
export async function moveDomain(db: Db, actor: Actor, id: number, before: number | null): Promise<DraftDomain> {
  const known = await findDomain(db, id)
  return change(db, actor, 'move domain', known.name, async (transaction) => {
    const position =
      before === null
        ? (
            await transaction
              .selectFrom('domain')
              .select(({ fn }) => fn.max('position').as('last'))
              .executeTakeFirstOrThrow()
          ).last + 1
        : (await findDomain(transaction, before)).position
    await transaction
      .updateTable('domain')
      .set((builder) => ({ position: builder('position', '+', 1) }))
      .where('position', '>=', position)
      .execute()
    await transaction.updateTable('domain').set({ position }).where('id', '=', id).execute()
    return findDomain(transaction, id)
  })
}

/** Removes a domain and its plugins from the draft; published versions stay as they are. */
export async function removeDomain(db: Db, actor: Actor, id: number, revision: number): Promise<void> {
  const known = await findDomain(db, id)
  await change(db, actor, 'remove domain', known.name, async (transaction) => {
    const removed = await transaction
      .deleteFrom('domain')
      .where('id', '=', id)
      .where('revision', '=', revision)
      .returning('id')
      .executeTakeFirst()
    if (removed === undefined) throw await describeConflict(() => findDomain(transaction, id))
  })
}

/** @throws Problem where there is none */
export async function findDomain(db: Db, id: number): Promise<DraftDomain> {
  const found = await db.selectFrom('domain').select(DOMAIN).where('id', '=', id).executeTakeFirst()
  if (found === undefined) throw new Problem(404, 'there is no such domain')
  return found
}

async function refuseTaken(db: Db, name: string, but?: number): Promise<void> {
  const taken = await db.selectFrom('domain').select('id').where('name', '=', name).executeTakeFirst()
  if (taken === undefined || taken.id === but) return
  throw new Problem(409, `there is a domain ${name} already`, { fields: { name: 'is taken' } })
}
