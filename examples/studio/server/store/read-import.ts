import type { Fields } from '../../shared/changes.ts'
import type { PlainDocument, PlainPlugin } from '../changes/plain-document.ts'
import { Problem } from '../problem.ts'

/** A document that is brought in. */
export interface GivenDocument {
  readonly general?: Fields | null | undefined
  readonly domains: readonly { readonly name: string; readonly plugins?: readonly unknown[] | null | undefined }[]
  readonly plugins?: readonly unknown[] | null | undefined
}

/**
 * Reads a document: every domain once, with plugins that stand on their own. What refers to a shared plugin gets a copy of it:
 * the studio has no shared ones.
 *
 * @throws Problem for a plugin without a name or phase, for a reference to nothing, and for two of one name
 */
export function readImport(document: GivenDocument): PlainDocument {
  const { version: _version, expires: _expires, ...general } = document.general ?? {}
  return { general, domains: mergeDomains(document) }
}

/** The document that is imported, as text. */
export function writeImport({ general, domains }: PlainDocument): string {
  const written = domains.map(({ name, plugins }) => ({
    name,
    plugins: plugins.map(({ name: plugin, phase, fields }) => ({ name: plugin, phase, ...fields })),
  }))
  return JSON.stringify({ general, domains: written })
}

/** The domains, each once, with plugins that stand on their own. */
function mergeDomains({ domains, plugins }: GivenDocument): { name: string; plugins: PlainPlugin[] }[] {
  const shared = new Map((plugins ?? []).map((plugin) => [(plugin as { id?: unknown } | null)?.id, plugin]))
  const merged = new Map<string, PlainPlugin[]>()
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

function resolve(entry: unknown, shared: ReadonlyMap<unknown, unknown>, path: string): PlainPlugin {
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
