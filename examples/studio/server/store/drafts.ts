import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { announce } from './announcements.ts'
import { writeAudit } from './audit.ts'
import type { Tables } from './tables.ts'

type Db = Kysely<Tables>
type Fields = Readonly<Record<string, unknown>>

/** A domain as it is being worked on. */
export interface DraftDomain {
  readonly id: number
  readonly name: string
  readonly position: number
  readonly revision: number
}

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

const DOMAIN = ['id', 'name', 'position', 'revision'] as const
const PLUGIN = ['id', 'domain_id', 'name', 'phase', 'fields', 'position', 'revision', 'updated_at'] as const

/** A page of a list, and which one comes next. */
export interface Paged {
  readonly search?: string | undefined
  /** Id of the last entry of the page before. */
  readonly after?: number | undefined
  readonly limit: number
}

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
    const taken = await transaction.selectFrom('domain').select('id').where('name', '=', name).executeTakeFirst()
    if (taken !== undefined)
      throw new Problem(409, `there is a domain ${name} already`, { fields: { name: 'is taken' } })
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

/** A document without its version. */
export interface DraftDocument {
  readonly general: Fields
  readonly domains: readonly { readonly name: string; readonly plugins: readonly Fields[] }[]
}

/** Puts everything that is being worked on into one document. */
export async function composeDraft(db: Db): Promise<DraftDocument> {
  const { fields: general } = await db.selectFrom('general').select('fields').executeTakeFirstOrThrow()
  const domains = await db.selectFrom('domain').select(['id', 'name']).orderBy('position').execute()
  const plugins = await db
    .selectFrom('plugin')
    .select(['domain_id', 'name', 'phase', 'fields'])
    .orderBy('domain_id')
    .orderBy('position')
    .execute()
  const by_domain = new Map<number, Fields[]>()
  for (const { domain_id, name, phase, fields } of plugins) {
    const list = by_domain.get(domain_id) ?? []
    list.push({ name, phase, ...fields })
    by_domain.set(domain_id, list)
  }
  return { general, domains: domains.map(({ id, name }) => ({ name, plugins: by_domain.get(id) ?? [] })) }
}

/** Does something to the draft, writes it into the log, and tells everybody who looks at it. */
async function change<T>(
  db: Db,
  actor: Actor,
  action: string,
  subject: string,
  run: (transaction: Db) => Promise<T>,
): Promise<T> {
  return db.transaction().execute(async (transaction) => {
    const result = await run(transaction)
    await writeAudit(transaction, actor, action, subject)
    await announce(transaction, 'studio_draft', subject.slice(0, 200))
    return result
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

/** Somebody else was there first: what is there now is part of the answer, so that nobody's work is lost. */
async function describeConflict(find: () => Promise<object>): Promise<Problem> {
  const current = await find()
  return new Problem(409, 'somebody else has changed this since you opened it', { current })
}

function toPattern(search: string): string {
  return `%${search.replace(/[\\%_]/g, '\\$&')}%`
}
