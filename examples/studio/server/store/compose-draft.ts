import type { Kysely } from 'kysely'
import type { Tables } from './tables.ts'

type Db = Kysely<Tables>
type Fields = Readonly<Record<string, unknown>>

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
