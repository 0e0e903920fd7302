import type { PluginSpec, RefusedPlugin } from '../document.ts'
import { DocumentError, DynacodeError } from '../errors.ts'
import type { PluginInfo } from '../events/table.ts'
import type { Draw } from '../matching/rollout.ts'
import { createScopeTest, listScopePaths } from '../matching/scope.ts'
import type { LivePlugin, PluginFunction, PluginLife, Uses } from '../program.ts'
import type { Clock } from '../time/clock.ts'
import { steadyNow } from '../time/steady-clock.ts'
import type { Steps } from '../time/steps.ts'
import type { CompiledCode, Compiler } from './compiling/compiler.ts'
import { type Entry, earlierVariants, earlierVersions } from './earlier-versions.ts'
import { createStandIn, mustGuard, standInScope } from './stand-in.ts'

/** A plugin that was compiled for this program. */
export interface Compilation {
  readonly info: PluginInfo
  readonly duration_ms: number
}

/** A plugin that the new program could not take as the document has it. */
export interface Failure {
  readonly info: PluginInfo
  /** Where in the document, as a JSON path; '' where that is not known. */
  readonly path: string
  readonly error: DynacodeError
  readonly kept_last_good: boolean
}

/** The request line's part in a plugin: an environment for its code, and what it gathers while it lives. */
export interface Mount {
  bind(compiled: CompiledCode, info: PluginInfo): PluginFunction
  begin(info: PluginInfo, sha1: string): PluginLife
  end(plugin: LivePlugin): void
  /** Why this code may not run: for what it did before, or because the guard that it asks for cannot be had. */
  quarantined(sha1: string, guard: PluginSpec['guard']): DynacodeError | undefined
}

/** What plugins are built with, in one instance. */
export interface Workshop {
  readonly compiler: Compiler
  readonly mount: Mount
  readonly clock: Clock
  readonly draw: Draw
}

/** What of the program before concerns its plugins' new versions. */
export interface Before {
  /** Its plugins, by what they are known by. */
  readonly live: ReadonlyMap<string, readonly LivePlugin[]>
  /** What the document's usable plugins are known by: these carry on themselves. */
  readonly claimed: ReadonlySet<string>
}

/** What came of the plugins that were built so far. */
export interface Outcome {
  /** Those that were not in the program before. */
  readonly begun: LivePlugin[]
  readonly compiled: Compilation[]
  readonly failures: Failure[]
  /** Those that are live in an earlier version, each with the fault in the document's. */
  readonly kept: Map<LivePlugin, DynacodeError>
  reused: number
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
export function createPluginBuilder(
  { compiler, mount, clock, draw }: Workshop,
  { live, claimed }: Before,
  outcome: Outcome,
): PluginBuilder {
  const { begun, compiled, failures, kept } = outcome

  function begin(plugin: LivePlugin): LivePlugin {
    begun.push(plugin)
    return plugin
  }

  function keep(last: readonly LivePlugin[], error: DynacodeError): LivePlugin[] {
    const fresh = last.filter((live) => !kept.has(live))
    for (const live of fresh) kept.set(live, error)
    return fresh
  }

  /**
   * Compiles a plugin, and nothing else yet: one of its variants may turn out not to compile.
   *
   * @returns what takes it into the program
   */
  function prepare(spec: PluginSpec, last: LivePlugin | undefined): () => LivePlugin {
    if (last !== undefined && !last.guard && isSameSpec(last.spec, spec)) {
      return () => {
        outcome.reused += 1
        return last
      }
    }
    const started = steadyNow()
    const { compiled: code, fresh } = compiler.compile(spec)
    checkShadow(spec, code.uses)
    const forbidden = mount.quarantined(code.sha1, spec.guard)
    if (forbidden !== undefined) throw forbidden
    const { uses, sha1 } = code
    const info = createInfo(spec)
    const run = mount.bind(code, info)
    const applies = createScopeTest(spec.scope, draw, clock)
    const paths = listScopePaths(spec.scope)
    if (fresh) compiled.push({ info, duration_ms: steadyNow() - started })
    return () => {
      if (!fresh) outcome.reused += 1
      const life = mount.begin(info, sha1)
      compiler.hold({ sha1, guard: spec.guard })
      const phase = spec.phase
      return begin(Object.freeze({ info, spec, phase, run, uses, sha1, guard: false, applies, paths, life }))
    }
  }

  function fail(plugin: PluginSpec | RefusedPlugin, error: DynacodeError, last: readonly LivePlugin[]): LivePlugin[] {
    // Not that of one of its variants, where all of it is at fault.
    const known = last.find(({ spec }) => plugin.name === undefined || spec.name === plugin.name)
    const info = known?.info ?? createInfo(plugin)
    // Who switches a plugin off does not want its last good version either, whatever else is wrong with it.
    const good = plugin.scope.enabled ? last.filter((live) => !live.guard) : []
    failures.push({ info, path: pathOf(plugin, error), error, kept_last_good: good.length > 0 })
    if (good.length > 0) return keep(good, error)
    if (!mustGuard(plugin, clock.now())) return []
    const scope = standInScope(plugin)
    return [begin(createStandIn(plugin, info, mount.begin(info, ''), scope, createScopeTest(scope, draw, clock)))]
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

function isSameSpec(a: PluginSpec, b: PluginSpec): boolean {
  if (a === b) return true
  return (
    a.code === b.code &&
    a.name === b.name &&
    a.id === b.id &&
    a.priority === b.priority &&
    a.on_failure === b.on_failure &&
    a.guard === b.guard &&
    a.budget_ms === b.budget_ms &&
    a.timeout_ms === b.timeout_ms &&
    a.shadow === b.shadow &&
    JSON.stringify([a.params, a.scope, a.shadow_allows]) === JSON.stringify([b.params, b.scope, b.shadow_allows])
  )
}

function createInfo({ name, id, domain, phase }: PluginSpec | RefusedPlugin): PluginInfo {
  return Object.freeze({ name: name ?? String(id), domain, phase: phase ?? null })
}

function pathOf(plugin: PluginSpec | RefusedPlugin, error: DynacodeError): string {
  if (error instanceof DocumentError) return error.path
  return 'path' in plugin ? plugin.path : ''
}

function locate(error: unknown, plugin: PluginSpec): DynacodeError {
  if (error instanceof DynacodeError) return error
  return new DocumentError(plugin.path, (error as Error).message, { cause: error })
}

/** What a shadow run does outside of its own request is done for real, so that it has to be asked for. */
function checkShadow({ shadow, shadow_allows, path }: PluginSpec, uses: Uses): void {
  if (!shadow) return
  for (const name of ['fetch', 'store'] as const) {
    if (!uses[name] || shadow_allows.includes(name)) continue
    const message = `the code uses ${name}, whose effects a shadow run cannot hold back; allow it with "shadow_allows": ["${name}"]`
    throw new DocumentError(`${path}.mode`, message)
  }
}
