import type { PluginSpec, RefusedPlugin } from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import { describeValue } from '../../validation/schema-error.ts'
import { NOT_CLOSED } from './rollout-faults.ts'

type Plugin = PluginSpec | RefusedPlugin

/**
 * Has the plugins of each unit of a domain share what one of them says of the rollout and of the times. What they say in
 * different ways is refused.
 *
 * @param path of the domain
 * @param taken what the domain's namesakes have, where it has any; a unit is in one of them
 */
export function joinUnits(plugins: readonly Plugin[], path: string, taken: Map<string, string>): readonly Plugin[] {
  const members = new Map<string, Plugin[]>()
  for (const plugin of plugins) {
    const { unit } = plugin
    if (unit !== undefined) members.set(unit.name, [...(members.get(unit.name) ?? []), plugin])
  }
  if (members.size === 0) return plugins
  const joined = new Map<Plugin, Plugin>()
  for (const [name, unit] of members) {
    const elsewhere = taken.get(`unit ${name}`)
    if (elsewhere === undefined) taken.set(`unit ${name}`, path)
    const specs = unit.filter((plugin): plugin is PluginSpec => !('error' in plugin))
    for (const spec of specs) {
      const fault = elsewhere === undefined ? findFault(spec, specs) : describeElsewhere(spec, name, elsewhere)
      joined.set(spec, fault === undefined ? join(spec, specs, unit.length) : Object.freeze({ ...spec, error: fault }))
    }
  }
  return plugins.map((plugin) => joined.get(plugin) ?? plugin)
}

/** What one of the unit's plugins says holds for all of them. */
const SHARED = {
  rollout: ({ scope }: PluginSpec) => scope.share && [scope.share, scope.stop_when],
  starts_at: ({ scope }: PluginSpec) => scope.starts_at,
  expires_at: ({ scope }: PluginSpec) => scope.expires_at,
} as const

function findFault(spec: PluginSpec, unit: readonly PluginSpec[]): DocumentError | undefined {
  for (const [field, read] of Object.entries(SHARED)) {
    const first = unit.find((other) => read(other) !== undefined)
    if (first === undefined || read(spec) === undefined) continue
    if (JSON.stringify(read(first)) === JSON.stringify(read(spec))) continue
    const message = `expected the same as in ${first.path}, or none: the plugins of the unit ${describeValue(spec.unit?.name)} have one`
    return new DocumentError(`${spec.path}.${field}`, message)
  }
  const isGuarded = unit.some(({ scope }) => scope.stop_when !== undefined)
  return isGuarded && spec.on_failure === 'closed' && !spec.shadow
    ? new DocumentError(`${spec.path}.on_failure`, NOT_CLOSED)
    : undefined
}

function describeElsewhere({ path }: PluginSpec, name: string, elsewhere: string): DocumentError {
  const message = `the unit ${describeValue(name)} is in ${elsewhere} already: a unit cannot be spread over two entries of one domain`
  return new DocumentError(`${path}.unit`, message)
}

function join(spec: PluginSpec, unit: readonly PluginSpec[], size: number): PluginSpec {
  const guided = unit.find(({ scope }) => scope.share !== undefined)?.scope
  const starts_at = unit.find(({ scope }) => scope.starts_at !== undefined)?.scope.starts_at
  const expires_at = unit.find(({ scope }) => scope.expires_at !== undefined)?.scope.expires_at
  const { share, stop_when } = guided ?? spec.scope
  return Object.freeze({
    ...spec,
    unit: Object.freeze({ name: spec.unit?.name ?? '', size }),
    scope: Object.freeze({ ...spec.scope, share, stop_when, starts_at, expires_at }),
  })
}
