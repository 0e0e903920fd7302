import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { change } from './change.ts'
import type { Tables } from './tables.ts'

type Fields = Readonly<Record<string, unknown>>

/** A document that is to become the draft. */
export interface GivenDocument {
  readonly general?: Fields | null | undefined
  readonly domains: readonly { readonly name: string; readonly plugins?: readonly unknown[] | null | undefined }[]
  readonly plugins?: readonly unknown[] | null | undefined
}

/** Rows of one statement: a server takes no more than 65,535 parameters at once. */
const ROWS = 1000

/**
 * Puts a document in place of the draft. What refers to a shared plugin gets a copy of it: the draft has no shared ones.
 *
 * @throws Problem for a plugin without a name or phase, for a reference to nothing, and for two of one name
 */
export async function importDraft(db: Kysely<Tables>, actor: Actor, document: GivenDocument): Promise<void> {
  const { version: _version, expires: _expires, ...general } = document.general ?? {}
  const domains = mergeDomains(document)
  const count = domains.reduce((sum, { plugins }) => sum + plugins.length, 0)
  const subject = `${count} plugins in ${domains.length} domains`
  await change(db, actor, 'import', subject, async (transaction) => {
    await transaction.deleteFrom('domain').execute()
    const rows = domains.map(({ name }, position) => ({ name, position }))
    const ids = new Map<string, number>()
    for (const part of slice(rows)) {
      const added = await transaction.insertInto('domain').values(part).returning(['id', 'name']).execute()
      for (const { id, name } of added) ids.set(name, id)
    }
    const plugins = domains.flatMap(({ name: domain, plugins }) =>
      plugins.map(({ name, phase, fields }, position) => ({
        domain_id: ids.get(domain) as number,
        name,
        phase,
        fields: JSON.stringify(fields),
        position,
        updated_by: actor.account_id,
      })),
    )
    for (const part of slice(plugins)) await transaction.insertInto('plugin').values(part).execute()
    await transaction
      .updateTable('general')
      .set((builder) => ({ fields: JSON.stringify(general), revision: builder('revision', '+', 1) }))
      .execute()
  })
}

interface Imported {
  readonly name: string
  readonly phase: string
  readonly fields: Fields
}

/** The domains, each once, with plugins that stand on their own. */
function mergeDomains({ domains, plugins }: GivenDocument): { name: string; plugins: Imported[] }[] {
  const shared = new Map((plugins ?? []).map((plugin) => [(plugin as { id?: unknown } | null)?.id, plugin]))
  const merged = new Map<string, Imported[]>()
  const taken = new Set<string>()
  for (const [index, { name: domain, plugins: entries }] of domains.entries()) {
    const list = merged.get(domain) ?? []
    merged.set(domain, list)
    for (const [at, entry] of (entries ?? []).entries()) {
      const path = `document.domains.${index}.plugins.${at}`
      const plugin = resolve(entry, shared, path)
      const key = JSON.stringify([domain, plugin.name, plugin.phase])
      if (taken.has(key))
        throw fault(path, `${domain} has a plugin ${plugin.name} in the phase ${plugin.phase} already`)
      taken.add(key)
      list.push(plugin)
    }
  }
  return [...merged].map(([name, plugins]) => ({ name, plugins }))
}

function resolve(entry: unknown, shared: ReadonlyMap<unknown, unknown>, path: string): Imported {
  const own: Fields = typeof entry === 'object' && entry !== null ? (entry as Fields) : { id: entry }
  const is_whole = own.code != null || own.variants != null
  const target = shared.get(own.id) as Fields | undefined
  if (!is_whole && target === undefined) throw fault(path, 'expected code, or the id of one of the document’s plugins')
  const { id: _, ...said } = own
  const params = { ...(target?.params as object | undefined), ...(said.params as object | undefined) }
  const { id: _id, ...base } = target ?? {}
  const whole: Fields = is_whole ? own : { ...base, ...said, ...(Object.keys(params).length === 0 ? {} : { params }) }
  const { name, phase, ...fields } = whole
  if (typeof name !== 'string' || name === '') throw fault(`${path}.name`, 'expected a name')
  if (typeof phase !== 'string') throw fault(`${path}.phase`, 'expected a phase')
  return { name, phase, fields }
}

function fault(path: string, message: string): Problem {
  return new Problem(422, `${path}: ${message}`, { fields: { [path]: message } })
}

function* slice<T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < rows.length; at += ROWS) yield rows.slice(at, at + ROWS)
}
