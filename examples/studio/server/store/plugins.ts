import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { change, describeConflict } from './change.ts'
import { findDomain } from './domains.ts'
import { type Paged, toPattern } from './paged.ts'
import type { Tables } from './tables.ts'

type Db = Kysely<Tables>
type Fields = Readonly<Record<string, unknown>>

/** A plugin as it is being worked on: it may be anything but nameless, and need not compile. */
export interface DraftPlugin {
  readonly id: number
  readonly domain_id: number
  readonly name: string
  readonly phase: string
  /** As a document has it, without name and phase. */
  readonly fields: Fields
  readonly position: number
  readonly revision: number
  readonly updated_at: Date
}

const PLUGIN = ['id', 'domain_id', 'name', 'phase', 'fields', 'position', 'revision', 'updated_at'] as const

/** Plugins of a domain, or of all, in the order of the document. */
export async function listPlugins(
  db: Db,
  { domain_id, search, after, limit }: Paged & { readonly domain_id?: number | undefined },
): Promise<(DraftPlugin & { domain: string })[]> {
  const begin =
    after === undefined
      ? undefined
      : await db
          .selectFrom('plugin')
          .innerJoin('domain', 'domain.id', 'plugin.domain_id')
          .select(['domain.position as domain', 'plugin.position as plugin'])
          .where('plugin.id', '=', after)
          .executeTakeFirst()
  return db
    .selectFrom('plugin')
    .innerJoin('domain', 'domain.id', 'plugin.domain_id')
    .select([...PLUGIN.map((name) => `plugin.${name}` as const), 'domain.name as domain'])
    .$if(domain_id !== undefined, (query) => query.where('plugin.domain_id', '=', domain_id as number))
    .$if(search !== undefined, (query) => query.where('plugin.name', 'ilike', toPattern(search as string)))
    .$if(begin !== undefined, (query) =>
      query.where((builder) =>
        builder.or([
          builder('domain.position', '>', begin?.domain as number),
          builder.and([
            builder('domain.position', '=', begin?.domain as number),
            builder('plugin.position', '>', begin?.plugin as number),
          ]),
        ]),
      ),
    )
    .orderBy('domain.position')
    .orderBy('plugin.position')
    .limit(limit)
    .execute()
}

/** @throws Problem where there is none */
export async function findPlugin(db: Db, id: number): Promise<DraftPlugin> {
  const found = await db.selectFrom('plugin').select(PLUGIN).where('id', '=', id).executeTakeFirst()
  if (found === undefined) throw new Problem(404, 'there is no such plugin; somebody may have removed it')
  return found
}

/** What is saved of a plugin. */
export interface PluginDraft {
  readonly name: string
  readonly phase: string
  readonly fields: Fields
}

/** Adds a plugin to a domain, behind the others. */
export async function addPlugin(db: Db, actor: Actor, domain_id: number, plugin: PluginDraft): Promise<DraftPlugin> {
  const domain = await findDomain(db, domain_id)
  return change(db, actor, 'add plugin', `${domain.name}/${plugin.name}`, async (transaction) => {
    await refuseTaken(transaction, domain_id, plugin)
    return transaction
      .insertInto('plugin')
      .values((builder) => ({
        domain_id,
        name: plugin.name,
        phase: plugin.phase,
        fields: JSON.stringify(plugin.fields),
        updated_by: actor.account_id,
        position: builder
          .selectFrom('plugin')
          .where('domain_id', '=', domain_id)
          .select((inner) => inner.fn.coalesce(inner(inner.fn.max('position'), '+', 1), inner.lit(1)).as('next')),
      }))
      .returning(PLUGIN)
      .executeTakeFirstOrThrow()
  })
}

/**
 * Saves a plugin.
 *
 * @param revision the one that was changed
 * @throws Problem with 409 and the plugin as it is now, when somebody else has saved it since
 */
export async function savePlugin(
  db: Db,
  actor: Actor,
  id: number,
  revision: number,
  plugin: PluginDraft,
): Promise<DraftPlugin> {
  const known = await findPlugin(db, id)
  const domain = await findDomain(db, known.domain_id)
  return change(db, actor, 'save plugin', `${domain.name}/${plugin.name}`, async (transaction) => {
    await refuseTaken(transaction, known.domain_id, plugin, id)
    const saved = await transaction
      .updateTable('plugin')
      .set({
        name: plugin.name,
        phase: plugin.phase,
        fields: JSON.stringify(plugin.fields),
        revision: revision + 1,
        updated_by: actor.account_id,
        updated_at: new Date(),
      })
      .where('id', '=', id)
      .where('revision', '=', revision)
      .returning(PLUGIN)
      .executeTakeFirst()
    if (saved === undefined) throw await describeConflict(() => findPlugin(transaction, id))
    return saved
  })
}

/** Where a plugin goes: before another one, or behind all, of its domain or of another. */
export interface Place {
  readonly domain_id?: number | undefined
  readonly before: number | null
}

/**
 * Moves a plugin. Plugins of one phase and priority run in this order.
 *
 * @throws Problem where the other domain has one of this name and phase
 */
export async function movePlugin(
  db: Db,
  actor: Actor,
  id: number,
  { domain_id: wanted, before }: Place,
): Promise<DraftPlugin> {
  const known = await findPlugin(db, id)
  const domain = await findDomain(db, wanted ?? known.domain_id)
  return change(db, actor, 'move plugin', `${domain.name}/${known.name}`, async (transaction) => {
    const domain_id = domain.id
    if (domain_id !== known.domain_id) await refuseTaken(transaction, domain_id, known)
    const position = await findPosition(transaction, domain_id, before)
    await transaction
      .updateTable('plugin')
      .set((builder) => ({ position: builder('position', '+', 1) }))
      .where('domain_id', '=', domain_id)
      .where('position', '>=', position)
      .execute()
    await transaction.updateTable('plugin').set({ domain_id, position }).where('id', '=', id).execute()
    return findPlugin(transaction, id)
  })
}

/** The position of the plugin that is to come next, or the one behind all. */
async function findPosition(db: Db, domain_id: number, before: number | null): Promise<number> {
  if (before === null) {
    const { next } = await db
      .selectFrom('plugin')
      .where('domain_id', '=', domain_id)
      .select((builder) => builder.fn.coalesce(builder(builder.fn.max('position'), '+', 1), builder.lit(1)).as('next'))
      .executeTakeFirstOrThrow()
    return next
  }
  const next = await findPlugin(db, before)
  if (next.domain_id === domain_id) return next.position
  throw new Problem(422, 'before: expected a plugin of that domain', { fields: { before: 'is of another domain' } })
}

/** Removes a plugin from the draft. */
export async function removePlugin(db: Db, actor: Actor, id: number, revision: number): Promise<void> {
  const known = await findPlugin(db, id)
  const domain = await findDomain(db, known.domain_id)
  await change(db, actor, 'remove plugin', `${domain.name}/${known.name}`, async (transaction) => {
    const removed = await transaction
      .deleteFrom('plugin')
      .where('id', '=', id)
      .where('revision', '=', revision)
      .returning('id')
      .executeTakeFirst()
    if (removed === undefined) throw await describeConflict(() => findPlugin(transaction, id))
  })
}

async function refuseTaken(db: Db, domain_id: number, { name, phase }: PluginDraft, but?: number): Promise<void> {
  const taken = await db
    .selectFrom('plugin')
    .select('id')
    .where('domain_id', '=', domain_id)
    .where('name', '=', name)
    .where('phase', '=', phase)
    .executeTakeFirst()
  if (taken === undefined || taken.id === but) return
  const message = `the domain has a plugin ${name} in the phase ${phase} already`
  throw new Problem(409, message, { fields: { name: 'is taken' } })
}
