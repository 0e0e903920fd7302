import type { Domain, PluginSpec, RefusedPlugin } from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import type { ProgramDomain } from '../../program.ts'
import { describeValue } from '../../validation/schema-error.ts'

/** The names of the domains that were read so far, and of their plugins. */
export interface TakenNames {
  /** Whether there was a domain of this name. */
  has(domain: string): boolean
  /** Takes account of a domain, by its place in the document. */
  add(domain: Domain | ProgramDomain, index: number): void
  /** A plugin is known by its domain, name and phase; a second one of the same could not be told from the first. */
  createCheck(domain: string): (plugin: PluginSpec) => PluginSpec | RefusedPlugin
}

/** Few domains have a namesake: what their plugins are called is gathered once they do. */
export function createTakenNames(): TakenNames {
  const domains = new Map<string, { readonly domain: Domain | ProgramDomain; readonly index: number }>()
  const gathered = new Map<string, Map<string, string>>()

  /** What the plugins of the domains of this name are called, if there was one. */
  function gather(name: string): Map<string, string> {
    const known = gathered.get(name) ?? new Map<string, string>()
    const first = domains.get(name)
    if (first === undefined || gathered.has(name)) return known
    gathered.set(name, known)
    return note(known, first.domain, first.index)
  }

  function note(known: Map<string, string>, { plugins }: Domain | ProgramDomain, index: number): Map<string, string> {
    for (const each of plugins) {
      const plugin = 'spec' in each ? each.spec : each
      if ('error' in plugin || known.has(keyOf(plugin))) continue
      // What was kept may have stood elsewhere before.
      known.set(keyOf(plugin), plugin.path.replace(/^domains\[\d+\]/, `domains[${index}]`))
    }
    return known
  }

  return {
    has: (domain) => domains.has(domain),
    add(domain, index) {
      if (domains.has(domain.name)) note(gather(domain.name), domain, index)
      else domains.set(domain.name, { domain, index })
    },
    createCheck(domain) {
      const known = gather(domain)
      return (plugin) => {
        const key = keyOf(plugin)
        const first = known.get(key)
        if (first === undefined) {
          known.set(key, plugin.path)
          return plugin
        }
        const message = `the domain has a plugin ${describeValue(plugin.name)} in the phase ${plugin.phase} already (${first})`
        return Object.freeze({ ...plugin, error: new DocumentError(`${plugin.path}.name`, message) })
      }
    },
  }
}

const keyOf = ({ name, phase }: PluginSpec) => `${phase} ${name}`
