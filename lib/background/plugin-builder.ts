import type { PluginSpec, RefusedPlugin } from '../document.ts'
import { DocumentError, DynacodeError } from '../errors.ts'
import type { PluginInfo } from '../events/table.ts'
import type { LivePlugin, UnitLife } from '../program.ts'
import type { Steps } from '../time/steps.ts'
import { type Entry, earlierVariants, earlierVersions, keyOf } from './earlier-versions.ts'
import { createInfo, createPluginMaker, type Made, type Workshop } from './plugin-maker.ts'

/** A plugin that the new program could not take as the document has it. */
export interface Failure {
  readonly info: PluginInfo
  /** Where in the document, as a JSON path; '' where that is not known. */
  readonly path: string
  readonly error: DynacodeError
  readonly kept_last_good: boolean
}

/** What of the program before concerns its plugins' new versions. */
export interface Before {
  /** Its plugins, by what they are known by. */
  readonly live: ReadonlyMap<string, readonly LivePlugin[]>
  /** What the document's usable plugins are known by: these carry on themselves. */
  readonly claimed: ReadonlySet<string>
}

/** What came of the plugins that were built so far. */
export interface Outcome extends Made {
  readonly failures: Failure[]
  /** Those that are live in an earlier version, each with the fault in the document's. */
  readonly kept: Map<LivePlugin, DynacodeError>
}

/** Builds the plugins of one program. */
export interface PluginBuilder {
  /** Builds a plugin, or the variants of one. */
  build(entry: Entry): Steps<LivePlugin[]>
  /** Takes over earlier versions: each once, however many entries of the document they could stand in for. */
  keep(last: readonly LivePlugin[], error: DynacodeError): LivePlugin[]
  /**
   * The earlier version of a unit: its plugins, and those that its plugins are new versions of.
   *
   * @param plugins the live ones of domains of its name
   */
  earlierOf(members: Entry, plugins: readonly LivePlugin[], unit: string): LivePlugin[]
  /** Takes a plugin into the program as it is. */
  reuse(plugin: LivePlugin): LivePlugin
  beginUnit(): UnitLife
  /** As the maker's `prepare`, of a plugin of a new version of a unit. */
  prepareNew(spec: PluginSpec, unit: UnitLife): Pick<Part, 'take' | 'error'>
  /**
   * Keeps all of a unit in its earlier version, or leaves all of it out.
   *
   * @param faulty the plugin that the error is of, where it does not say so itself
   */
  keepUnit(
    unit: string,
    members: Entry,
    last: readonly LivePlugin[],
    error: DynacodeError,
    faulty: PluginSpec | undefined,
  ): LivePlugin[]
}

/** A plugin, or one of its variants, that is to come into the program: what takes it there, or what is wrong with it. */
export interface Part {
  readonly plugin: PluginSpec | RefusedPlugin
  readonly last: readonly LivePlugin[]
  readonly take?: () => LivePlugin
  readonly error?: DynacodeError
}

/**
 * Makes the builder of the plugins of one program.
 *
 * @param outcome takes down what comes of each
 */
export function createPluginBuilder(workshop: Workshop, { live, claimed }: Before, outcome: Outcome): PluginBuilder {
  const { failures, kept } = outcome
  const { prepare, standIn } = createPluginMaker(workshop, outcome)

  function keep(last: readonly LivePlugin[], error: DynacodeError): LivePlugin[] {
    const fresh = last.filter((live) => !kept.has(live))
    for (const live of fresh) kept.set(live, error)
    return fresh
  }

  function fail(plugin: PluginSpec | RefusedPlugin, error: DynacodeError, last: readonly LivePlugin[]): LivePlugin[] {
    // Not that of one of its variants, where all of it is at fault.
    const known = last.find(({ spec }) => plugin.name === undefined || spec.name === plugin.name)
    const info = known?.info ?? createInfo(plugin)
    // Who switches a plugin off does not want its last good version either, whatever else is wrong with it.
    const good = plugin.scope.enabled ? last.filter((live) => !live.guard) : []
    failures.push({ info, path: pathOf(plugin, error), error, kept_last_good: good.length > 0 })
    if (good.length > 0) return keep(good, error)
    const guard = standIn(plugin, info)
    return guard === undefined ? [] : [guard]
  }

  function* build(entry: Entry): Steps<LivePlugin[]> {
    const parts: Part[] = []
    for (const plugin of entry) {
      parts.push(preparePart(plugin))
      yield
    }
    const fault = parts.find(({ error }) => error !== undefined)?.error
    // One that stayed behind would have its old share of the traffic, over and under the others' new ones.
    const together = fault === undefined ? [] : earlierVariants(entry, live, claimed)
    if (fault !== undefined && together.length > 0) return keepTogether(parts, together, fault)
    const plugins: LivePlugin[] = []
    for (const { plugin, last, error, take } of parts) {
      if (take !== undefined) plugins.push(take())
      else if (error !== undefined) plugins.push(...fail(plugin, error, last))
      yield
    }
    return plugins
  }

  function keepTogether(parts: readonly Part[], together: readonly LivePlugin[], fault: DynacodeError): LivePlugin[] {
    const infos = new Map(together.map(({ spec, info }) => [spec.name, info]))
    for (const { plugin, error } of parts) {
      if (error === undefined) continue
      const info = infos.get(plugin.name ?? '') ?? createInfo(plugin)
      failures.push({ info, path: pathOf(plugin, error), error, kept_last_good: true })
    }
    return keep(together, fault)
  }

  function earlierOf(members: Entry, plugins: readonly LivePlugin[], unit: string): LivePlugin[] {
    const own = new Set(members.flatMap((member) => ('error' in member ? [] : [keyOf(member)])))
    const found = new Set<LivePlugin>()
    for (const plugin of plugins) {
      const key = keyOf(plugin.spec)
      if (plugin.spec.unit?.name === unit && (own.has(key) || !claimed.has(key))) found.add(plugin)
    }
    for (const member of members) for (const plugin of earlierVersions(member, live, claimed)) found.add(plugin)
    return [...found].filter((plugin) => !kept.has(plugin))
  }

  function keepUnit(
    unit: string,
    members: Entry,
    last: readonly LivePlugin[],
    error: DynacodeError,
    faulty: PluginSpec | undefined,
  ): LivePlugin[] {
    const plugins = keep(last, error)
    for (const member of members) {
      const known = plugins.find(({ info, phase }) => info.name === member.name && phase === (member.phase ?? phase))
      const info = known?.info ?? createInfo(member)
      const own = member === faulty ? error : describeUnitFault(unit, member, error)
      failures.push({ info, path: pathOf(member, own), error: own, kept_last_good: known !== undefined })
      // Where there was an earlier version of the unit, that is what there is.
      const guard = last.length > 0 ? undefined : standIn(member, info)
      if (guard !== undefined) plugins.push(guard)
    }
    return plugins
  }

  function prepareNew(spec: PluginSpec, unit: UnitLife): Pick<Part, 'take' | 'error'> {
    try {
      return { take: prepare(spec, undefined, unit) }
    } catch (error) {
      return { error: locate(error, spec) }
    }
  }

  function reuse(plugin: LivePlugin): LivePlugin {
    outcome.reused += 1
    return plugin
  }

  function preparePart(plugin: PluginSpec | RefusedPlugin): Part {
    const last = earlierVersions(plugin, live, claimed)
    if ('error' in plugin) return { plugin, last, error: plugin.error }
    try {
      const same = last.find((candidate) => candidate.phase === plugin.phase)
      return { plugin, last, take: prepare(plugin, same) }
    } catch (error) {
      return { plugin, last, error: locate(error, plugin) }
    }
  }

  return Object.freeze({
    build,
    keep,
    earlierOf,
    reuse,
    beginUnit: workshop.mount.beginUnit,
    prepareNew,
    keepUnit,
  } satisfies PluginBuilder)
}

/** What is wrong with a plugin that is sound, and whose unit is not. */
function describeUnitFault(unit: string, plugin: PluginSpec | RefusedPlugin, error: DynacodeError): DynacodeError {
  if ('error' in plugin) return plugin.error
  const message = `not live, as its unit ${JSON.stringify(unit)} changes as a whole or not at all: ${error.message}`
  return new DocumentError(plugin.path, message)
}

function pathOf(plugin: PluginSpec | RefusedPlugin, error: DynacodeError): string {
  if (error instanceof DocumentError) return error.path
  return 'path' in plugin ? plugin.path : ''
}

function locate(error: unknown, plugin: PluginSpec): DynacodeError {
  if (error instanceof DynacodeError) return error
  return new DocumentError(plugin.path, (error as Error).message, { cause: error })
}
