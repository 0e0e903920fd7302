import type { PluginSpec, RefusedPlugin } from '../document.ts'
import type { LivePlugin, ProgramDomain } from '../program.ts'
import { KNOWN_STRETCH, type Steps } from '../time/steps.ts'
import type { PartlyRead } from './reading/validator.ts'

/** The plugins of some live domains by domain and name, and by domain and id. */
export function* indexPlugins(domains: readonly ProgramDomain[]): Steps<ReadonlyMap<string, readonly LivePlugin[]>> {
  const index = new Map<string, LivePlugin[]>()
  const add = (key: string, plugin: LivePlugin) => {
    const known = index.get(key)
    if (known === undefined) index.set(key, [plugin])
    else known.push(plugin)
  }
  for (const { plugins } of domains) {
    for (const plugin of plugins) {
      const { domain, name, id, scope, unit } = plugin.spec
      add(nameKey(domain, name), plugin)
      // A plugin with variants is also known by the name that they have in common.
      const common = unit === undefined ? (scope.share?.salt ?? name) : name
      if (common !== name) add(nameKey(domain, common), plugin)
      if (id !== undefined) add(idKey(domain, id), plugin)
      yield
    }
  }
  return index
}

/** What the usable plugins are known by that the document was read for. */
export function* claimedKeys({ domains, edited }: PartlyRead): Steps<ReadonlySet<string>> {
  const claimed = new Set<string>()
  const read = edited?.map((place) => domains[place] as (typeof domains)[number])
  for (const [at, domain] of (read ?? domains).entries()) {
    if (at % KNOWN_STRETCH === 0) yield
    if ('error' in domain || 'domain' in domain) continue
    for (const plugin of domain.plugins) {
      if (!('error' in plugin)) claimed.add(keyOf(plugin))
      yield
    }
  }
  return claimed
}

/**
 * The live plugins that the document's plugin is a new version of: those of its domain and name (or id, where its name
 * cannot be read), first of all of its phase. A version that another plugin of the document carries on is not among them.
 */
export function earlierVersions(
  plugin: PluginSpec | RefusedPlugin,
  before: ReadonlyMap<string, readonly LivePlugin[]>,
  claimed: ReadonlySet<string>,
): readonly LivePlugin[] {
  const { domain, name, id, phase } = plugin
  const known = before.get(name === undefined ? idKey(domain, id) : nameKey(domain, name)) ?? []
  const same = known.filter((live) => live.phase === phase)
  if (same.length > 0 && !('error' in plugin)) return same
  return (same.length > 0 ? same : known).filter((live) => !claimed.has(keyOf(live.spec)))
}

/** A plugin as one entry of the document has it: itself, or its variants. */
export type Entry = readonly (PluginSpec | RefusedPlugin)[]

/** The plugins of a domain, entry by entry. */
export function listEntries(plugins: Entry): readonly Entry[] {
  const entries = new Map<unknown, (PluginSpec | RefusedPlugin)[]>()
  for (const plugin of plugins) {
    const key = 'path' in plugin ? plugin.path : plugin
    const entry = entries.get(key)
    if (entry === undefined) entries.set(key, [plugin])
    else entry.push(plugin)
  }
  return [...entries.values()]
}

/** What is live of a plugin that has variants, or had none until now; nothing where it has none. */
export function earlierVariants(
  entry: Entry,
  before: ReadonlyMap<string, readonly LivePlugin[]>,
  claimed: ReadonlySet<string>,
): readonly LivePlugin[] {
  const specs = entry.flatMap((plugin) => ('error' in plugin ? [] : [plugin]))
  const [first] = specs
  if (first === undefined || entry.length === 1 || !first.scope.enabled) return []
  const own = new Set(specs.map(keyOf))
  const known = (before.get(nameKey(first.domain, first.scope.share?.salt ?? first.name)) ?? []).filter(
    ({ spec, guard }) => !guard && (own.has(keyOf(spec)) || !claimed.has(keyOf(spec))),
  )
  const same = known.filter(({ phase }) => phase === first.phase)
  return same.length > 0 ? same : known
}

const nameKey = (domain: string, name: string) => JSON.stringify([domain, 'name', name])
const idKey = (domain: string, id: string | number | undefined) => JSON.stringify([domain, 'id', id])

/** What a plugin is known by. */
export function keyOf({ domain, name, phase }: PluginSpec): string {
  return JSON.stringify([domain, name, phase])
}
