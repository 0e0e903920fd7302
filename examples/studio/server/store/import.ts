import { setImmediate } from 'node:timers/promises'
import { type Insertable, type Kysely, sql } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { change, findDraftRevision } from './change.ts'
import type { DraftImport } from './read-import.ts'
import type { Tables } from './tables.ts'

/** Rows of one statement: others are answered in between. */
const ROWS = 500

/**
 * Puts a document in place of the draft. What is in both stays the same domain and plugin, so that whoever has one of them
 * open goes on with it, and finds its revision grown where it was changed.
 *
 * @param revision the draft's, where somebody has looked at what this changes of it
 * @throws Problem with 409 when it is another one by now
 */
export async function importDraft(
  db: Kysely<Tables>,
  actor: Pick<Actor, 'name'> & { readonly account_id: number | null },
  { general, domains }: DraftImport,
  revision?: number,
): Promise<void> {
  const count = domains.reduce((sum, { plugins }) => sum + plugins.length, 0)
  const subject = `${count} plugins in ${domains.length} domains`
  await change(db, actor, 'import', subject, (transaction) =>
    placeImport(transaction, actor, { general, domains }, revision),
  )
}

/**
 * The same in a transaction that has given the draft its new revision already.
 *
 * @throws Problem
 */
export async function placeImport(
  transaction: Kysely<Tables>,
  actor: { readonly account_id: number | null },
  { general, domains }: DraftImport,
  revision?: number,
): Promise<void> {
  // One more than before, by this very change.
  const current = (await findDraftRevision(transaction)) - 1
  if (revision !== undefined && revision !== current) {
    const message = 'the draft was changed since the preview; preview the import again'
    throw new Problem(409, message, { current: { revision: current } })
  }
  const ids = await placeDomains(transaction, domains)
  const rows = domains.flatMap(({ name: domain, plugins }) =>
    plugins.map(({ name, phase, fields }, position) => ({
      domain_id: ids.get(domain) as number,
      name,
      phase,
      fields: JSON.stringify(fields),
      position,
      updated_by: actor.account_id,
    })),
  )
  await placePlugins(transaction, rows)
  await transaction
    .updateTable('general')
    .set((builder) => ({ fields: JSON.stringify(general), revision: builder('revision', '+', 1) }))
    .where(sql<string>`fields::text`, '<>', JSON.stringify(general))
    .execute()
}

async function placeDomains(db: Kysely<Tables>, domains: DraftImport['domains']): Promise<ReadonlyMap<string, number>> {
  const names = new Set(domains.map(({ name }) => name))
  const known = await db.selectFrom('domain').select(['id', 'name']).execute()
  for await (const part of slice(known.filter(({ name }) => !names.has(name)))) {
    const gone = part.map(({ id }) => id)
    await db.deleteFrom('domain').where('id', 'in', gone).execute()
  }
  const ids = new Map<string, number>()
  for await (const part of slice(domains.map(({ name }, position) => ({ name, position })))) {
    const placed = await db
      .insertInto('domain')
      .values(part)
      .onConflict((conflict) =>
        conflict.column('name').doUpdateSet(({ ref }) => ({ position: ref('excluded.position') })),
      )
      .returning(['id', 'name'])
      .execute()
    for (const { id, name } of placed) ids.set(name, id)
  }
  return ids
}

async function placePlugins(db: Kysely<Tables>, rows: readonly Insertable<Tables['plugin']>[]): Promise<void> {
  const keyOf = (row: { domain_id: number; name: string; phase: string }) =>
    JSON.stringify([row.domain_id, row.name, row.phase])
  const keys = new Set(rows.map(keyOf))
  const known = await db.selectFrom('plugin').select(['id', 'domain_id', 'name', 'phase']).execute()
  for await (const part of slice(known.filter((row) => !keys.has(keyOf(row))))) {
    const gone = part.map(({ id }) => id)
    await db.deleteFrom('plugin').where('id', 'in', gone).execute()
  }
  const changed = sql<boolean>`plugin.fields::text <> excluded.fields::text`
  for await (const part of slice(rows)) {
    await db
      .insertInto('plugin')
      .values(part)
      .onConflict((conflict) =>
        conflict.columns(['domain_id', 'name', 'phase']).doUpdateSet(({ ref }) => ({
          position: ref('excluded.position'),
          fields: ref('excluded.fields'),
          revision: sql<number>`plugin.revision + case when ${changed} then 1 else 0 end`,
          updated_by: sql<number | null>`case when ${changed} then excluded.updated_by else plugin.updated_by end`,
          updated_at: sql<Date>`case when ${changed} then now() else plugin.updated_at end`,
        })),
      )
      .execute()
  }
}

async function* slice<T>(rows: readonly T[]): AsyncGenerator<T[]> {
  for (let at = 0; at < rows.length; at += ROWS) {
    yield rows.slice(at, at + ROWS)
    await setImmediate()
  }
}
