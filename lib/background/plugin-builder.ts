import type { PluginSpec, RefusedPlugin } from '../document.ts'
import { DocumentError, DynacodeError } from '../errors.ts'
import type { PluginInfo } from '../events/table.ts'
import type { LivePlugin } from '../program.ts'
import type { Steps } from '../time/steps.ts'
import { type Entry, earlierVariants, earlierVersions } from './earlier-versions.ts'
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
}

/** A plugin, or one of its variants, that is to come into the program: what takes it there, or what is wrong with it. */
interface Part {
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

  return Object.freeze({ build, keep } satisfies PluginBuilder)
}

function pathOf(plugin: PluginSpec | RefusedPlugin, error: DynacodeError): string {
  if (error instanceof DocumentError) return error.path
  return 'path' in plugin ? plugin.path : ''
}

function locate(error: unknown, plugin: PluginSpec): DynacodeError {
  if (error instanceof DynacodeError) return error
  return new DocumentError(plugin.path, (error as Error).message, { cause: error })
}
