import type { Document, PluginSpec, RefusedPlugin } from '../document.ts'
import { createFinding, type Located } from './finding.ts'

/** Finds units that may not be what somebody meant. */
export function inspectUnits({ domains }: Document): Located[] {
  const found: Located[] = []
  const seen = new Map<string, string>()
  for (const domain of domains) {
    if ('error' in domain) continue
    for (const [unit, [first, ...others]] of listUnits(domain.plugins)) {
      const about = { rule: 'unit', severity: 'note', domain: domain.name, plugin: first.name ?? null } as const
      const elsewhere = seen.get(unit)
      const name = JSON.stringify(unit)
      if (others.length === 0) {
        const message = `the unit ${name} has no other plugin in this domain; check the name if it should have`
        found.push(createFinding({ ...about, message }))
      }
      if (elsewhere !== undefined && elsewhere !== domain.name) {
        const message = `the unit ${name} is not that of ${elsewhere}: the plugins of a unit are of one domain, and those of another change without them`
        found.push(createFinding({ ...about, message }))
      }
      seen.set(unit, elsewhere ?? domain.name)
    }
  }
  return found
}

type Plugin = PluginSpec | RefusedPlugin

function listUnits(plugins: readonly Plugin[]): ReadonlyMap<string, readonly [Plugin, ...Plugin[]]> {
  const units = new Map<string, [Plugin, ...Plugin[]]>()
  for (const plugin of plugins) {
    if (plugin.unit === undefined) continue
    const known = units.get(plugin.unit.name)
    if (known === undefined) units.set(plugin.unit.name, [plugin])
    else known.push(plugin)
  }
  return units
}
