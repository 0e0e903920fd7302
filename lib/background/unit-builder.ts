import type { Domain, PluginSpec, RefusedPlugin } from '../document.ts'
import type { DynacodeError } from '../errors.ts'
import type { LivePlugin, UnitRecord } from '../program.ts'
import type { Steps } from '../time/steps.ts'
import { keyOf } from './earlier-versions.ts'
import type { PluginBuilder } from './plugin-builder.ts'
import { isSameSpec } from './plugin-maker.ts'

/** The units of a domain, as they come into the program. */
export interface BuiltUnits {
  /** What takes the place of each of their plugins. */
  readonly plugins: ReadonlyMap<PluginSpec | RefusedPlugin, readonly LivePlugin[]>
  readonly records: ReadonlyMap<string, UnitRecord>
}

/**
 * Builds the units of a domain: each as the document has it, or in its earlier version.
 *
 * @param live the plugins of the program before, of domains of this name
 * @param known what is known of the units of the program before
 */
export function* buildUnits(
  domain: Domain,
  builder: PluginBuilder,
  live: readonly LivePlugin[],
  known: ReadonlyMap<string, UnitRecord>,
): Steps<BuiltUnits | undefined> {
  const units = new Map<string, (PluginSpec | RefusedPlugin)[]>()
  const off = new Set<string>()
  for (const plugin of domain.plugins) {
    const { unit } = plugin
    if (unit !== undefined) units.set(unit.name, [...(units.get(unit.name) ?? []), plugin])
    else if (!('error' in plugin) && !plugin.scope.enabled) off.add(keyOf(plugin))
  }
  if (units.size === 0) return undefined
  const plugins = new Map<PluginSpec | RefusedPlugin, readonly LivePlugin[]>()
  const records = new Map<string, UnitRecord>()
  for (const [name, members] of units) {
    const record = known.get(name)
    const before = builder
      .earlierOf(members, live, name)
      .filter((plugin) => !plugin.guard && !off.has(keyOf(plugin.spec)))
    const built = yield* buildUnit(name, members, before, record, builder)
    for (const [plugin, versions] of place(members, built.plugins)) plugins.set(plugin, versions)
    records.set(name, built.record)
    yield
  }
  return { plugins, records }
}

function* buildUnit(
  name: string,
  members: readonly (PluginSpec | RefusedPlugin)[],
  before: readonly LivePlugin[],
  record: UnitRecord | undefined,
  builder: PluginBuilder,
): Steps<{ plugins: readonly LivePlugin[]; record: UnitRecord }> {
  const fault = members.find((member): member is RefusedPlugin => 'error' in member)?.error
  const specs = members.filter((member): member is PluginSpec => !('error' in member))
  const standing: UnitRecord = record ?? NO_RECORD
  if (fault !== undefined) return stay(fault)
  if (
    isSame(
      before.map(({ spec }) => spec),
      specs,
    )
  )
    return { plugins: before.map(builder.reuse), record: standing }
  if (standing.rejected !== undefined && isSame(standing.rejected.specs, specs)) return stay(standing.rejected.error)
  const unit = builder.beginUnit()
  const takes: (() => LivePlugin)[] = []
  for (const spec of specs) {
    const part = builder.prepareNew(spec, unit)
    if (part.take === undefined) return stay(part.error as DynacodeError, spec)
    takes.push(part.take)
    yield
  }
  // One that has stopped itself, or was stopped, is nothing to go back to.
  const isSound = before.every(({ life }) => !life.quarantined && (life.rollout?.stop() ?? null) === null)
  const earlier = isSound ? before.map(({ spec }) => spec) : standing.earlier
  const next = Object.freeze({ earlier: Object.freeze(earlier), rejected: undefined })
  return { plugins: takes.map((take) => take()), record: next }

  /** @param faulty the plugin that is at fault; undefined where the others know it by themselves */
  function stay(error: DynacodeError, faulty?: PluginSpec) {
    const plugins = builder.keepUnit(name, members, before, error, faulty)
    return { plugins, record: standing }
  }
}

const NO_RECORD: UnitRecord = Object.freeze({ earlier: Object.freeze([]), rejected: undefined })

/** Whether two versions of a unit are the same, whatever the order of their plugins. */
function isSame(before: readonly PluginSpec[], after: readonly PluginSpec[]): boolean {
  if (before.length !== after.length) return false
  const known = new Map(before.map((spec) => [keyOf(spec), spec]))
  return after.every((spec) => {
    const other = known.get(keyOf(spec))
    return other !== undefined && isSameSpec(other, spec)
  })
}

/** Each version at the place of the plugin that it is of; those of plugins that are no more, after the last. */
export function place<M extends PluginSpec | RefusedPlugin>(
  members: readonly M[],
  plugins: readonly LivePlugin[],
): Map<M, readonly LivePlugin[]> {
  const left = new Set(plugins)
  const placed = new Map<M, readonly LivePlugin[]>()
  for (const member of members) {
    const own = [...left].filter(({ info }) => info.name === member.name && info.phase === (member.phase ?? info.phase))
    for (const plugin of own) left.delete(plugin)
    placed.set(member, own)
  }
  const last = members.at(-1)
  if (last !== undefined && left.size > 0) placed.set(last, [...(placed.get(last) ?? []), ...left])
  return placed
}
