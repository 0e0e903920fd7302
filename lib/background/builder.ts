import type { Domain, GuardMode, PluginSpec, RefusedDomain, RefusedPlugin } from '../document.ts'
import { DocumentError, DynacodeError } from '../errors.ts'
import type { PluginInfo } from '../events/table.ts'
import { createDraw } from '../matching/rollout.ts'
import { createScopeTest, listScopePaths, type Scope } from '../matching/scope.ts'
import {
  buildProgram,
  type LivePlugin,
  type PluginFunction,
  type PluginLife,
  type Program,
  type ProgramDomain,
  type Uses,
} from '../program.ts'
import { type Clock, SYSTEM_CLOCK } from '../time/clock.ts'
import { steadyNow } from '../time/steady-clock.ts'
import type { Steps } from '../time/steps.ts'
import type { CompiledCode, Compiler } from './compiling/compiler.ts'
import {
  claimedKeys,
  type Entry,
  earlierVariants,
  earlierVersions,
  indexPlugins,
  keyOf,
  listEntries,
} from './earlier-versions.ts'
import type { PartlyRead } from './reading/validator.ts'

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

/** A new program, and how it came about. */
export interface Build {
  readonly program: Program
  readonly compiled: readonly Compilation[]
  readonly failures: readonly Failure[]
  /** Faults of whole domains and of parts that belong to no domain. */
  readonly faults: readonly DocumentError[]
  /** The plugins that are live in an earlier version, each with the fault in the document's. */
  readonly kept: ReadonlyMap<LivePlugin, DynacodeError>
  readonly reused: number
  readonly removed: number
  /** The plugins that were not in the program before. */
  readonly begun: readonly LivePlugin[]
  /** Those of the program before that are not in this one. */
  readonly replaced: readonly LivePlugin[]
  /** What the document's domains became, but for those with anything that is not as the document has it. */
  readonly sound: ReadonlyMap<object, ProgramDomain>
}

/** The request line's part in a plugin: an environment for its code, and what it gathers while it lives. */
export interface Mount {
  bind(compiled: CompiledCode, info: PluginInfo): PluginFunction
  begin(info: PluginInfo, sha1: string): PluginLife
  end(plugin: LivePlugin): void
  /** Why this code may not run: for what it did before, or because the guard that it asks for cannot be had. */
  quarantined(sha1: string, guard: GuardMode): DynacodeError | undefined
}

/** Turns documents into programs. */
export interface Builder {
  /** What was begun for a program is ended again, should the work be laid down before it is done. */
  build(document: PartlyRead, version: number | string, previous: Program | null): Steps<Build>
  /** Ends plugins that are no longer live, or will not be: all of them, even if the work is laid down before. */
  end(plugins: readonly LivePlugin[]): Steps<void>
}

/**
 * Makes the builder of one instance: it compiles what changed, takes over what did not, and keeps the last good version
 * of what fails.
 */
export function createBuilder(compiler: Compiler, mount: Mount, clock: Clock = SYSTEM_CLOCK): Builder {
  const draw = createDraw()

  function endOne(plugin: LivePlugin): void {
    if (!plugin.guard) compiler.release({ sha1: plugin.sha1, guard: plugin.spec.guard })
    mount.end(plugin)
  }

  function* end(plugins: readonly LivePlugin[]): Steps<void> {
    const left = plugins.values()
    try {
      for (const plugin of left) {
        endOne(plugin)
        yield
      }
    } finally {
      for (const plugin of left) endOne(plugin)
    }
  }

  function* build(document: PartlyRead, version: number | string, previous: Program | null): Steps<Build> {
    const begun: LivePlugin[] = []
    let done = false
    try {
      const built = yield* buildSteps(document, version, previous, begun)
      done = true
      return built
    } finally {
      if (!done) begun.forEach(endOne)
    }
  }

  function* buildSteps(
    document: PartlyRead,
    version: number | string,
    previous: Program | null,
    begun: LivePlugin[],
  ): Steps<Build> {
    const compiled: Compilation[] = []
    const failures: Failure[] = []
    const faults = [...document.faults]
    const before = yield* listChanged(document, previous)
    const claimed = yield* claimedKeys(document)
    const live = yield* indexPlugins(before)
    const kept = new Map<LivePlugin, DynacodeError>()
    const sound = new Map<object, ProgramDomain>()
    let reused = 0

    const begin = (plugin: LivePlugin) => {
      begun.push(plugin)
      return plugin
    }

    /** Takes over earlier versions: each once, however many entries of the document they could stand in for. */
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
      if (last !== undefined && !last.guard && sameSpec(last.spec, spec)) {
        return () => {
          reused += 1
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
        if (!fresh) reused += 1
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
      // It begins and ends when the plugin would, whether or not anybody brings a new document by then.
      const { starts_at, expires_at } = plugin.scope
      const scope = Object.freeze({ ...EVERYTHING, starts_at, expires_at })
      const life = mount.begin(info, '')
      return [begin(createGuard(plugin, info, life, scope, createScopeTest(scope, draw, clock)))]
    }

    function* buildDomain(domain: Domain): Steps<ProgramDomain> {
      const { name, pattern } = domain
      const plugins: LivePlugin[] = []
      const failed = failures.length
      for (const entry of listEntries(domain.plugins)) {
        for (const plugin of yield* buildEntry(entry)) plugins.push(plugin)
        yield
      }
      const built = Object.freeze({ name, pattern, plugins: Object.freeze(plugins) })
      if (failures.length === failed) sound.set(domain, built)
      return built
    }

    /** Builds a plugin, or the variants of one. */
    function* buildEntry(entry: Entry): Steps<LivePlugin[]> {
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

    /** What was live under a refused domain's name, but for what other entries of that name carry on. */
    function keepDomain({ name, error }: RefusedDomain): ProgramDomain[] {
      faults.push(error)
      const earlier = before.filter((domain) => domain.name === name)
      return earlier.map(({ pattern, plugins }) => {
        const last = plugins.filter(({ spec }) => !claimed.has(keyOf(spec)))
        return Object.freeze({ name, pattern, plugins: Object.freeze(keep(last, error)) })
      })
    }

    const domains: ProgramDomain[] = []
    const plugins: LivePlugin[] = []
    const changed: ProgramDomain[] = []
    /** Whether the names are at the same places as before, as far as domains were added. */
    let inPlace = true

    function add(part: readonly ProgramDomain[], itsPlugins: readonly LivePlugin[]): void {
      const at = domains.length
      // What goes on together stood side by side before.
      inPlace &&=
        previous?.domains[at] === part[0] || part.every(({ name }, nth) => previous?.domains[at + nth]?.name === name)
      domains.push(...part)
      plugins.push(...itsPlugins)
    }

    for (const domain of document.domains) {
      if ('domain' in domain) add([domain.domain], domain.domain.plugins)
      else {
        const built = 'error' in domain ? keepDomain(domain) : [yield* buildDomain(domain)]
        changed.push(...built)
        add(
          built,
          built.flatMap((each) => each.plugins),
        )
      }
      yield
    }
    const { enabled, skip } = document
    const parts = { version, enabled, skip, domains: Object.freeze(domains), plugins }
    const program = yield* buildProgram(parts, previous, inPlace && domains.length === previous?.domains.length)
    const { replaced, removed, added } = yield* compare(before, changed)
    reused += program.plugins.length - added
    return { program, compiled, failures, faults, kept, reused, removed, begun, replaced, sound }
  }

  return Object.freeze({ build, end } satisfies Builder)
}

/** A plugin, or one of its variants, that is to come into the program: what takes it there, or what is wrong with it. */
interface Part {
  readonly plugin: PluginSpec | RefusedPlugin
  readonly last: readonly LivePlugin[]
  readonly take?: () => LivePlugin
  readonly error?: DynacodeError
}

/** The domains of the program before that do not go on as they are. */
function* listChanged(document: PartlyRead, previous: Program | null): Steps<readonly ProgramDomain[]> {
  const going = new Set<ProgramDomain>()
  for (const part of document.domains) {
    if ('domain' in part) going.add(part.domain)
    yield
  }
  const changed: ProgramDomain[] = []
  for (const domain of previous?.domains ?? []) {
    if (!going.has(domain)) changed.push(domain)
    yield
  }
  return changed
}

/** The plugins that are not live any more, how many of them are not in the document in any version, and how many are there now. */
function* compare(
  before: readonly ProgramDomain[],
  after: readonly ProgramDomain[],
): Steps<{ replaced: readonly LivePlugin[]; removed: number; added: number }> {
  let added = 0
  const alive = new Set<LivePlugin>()
  const keys = new Set<string>()
  for (const { plugins } of after) {
    for (const plugin of plugins) {
      added += 1
      alive.add(plugin)
      keys.add(keyOf(plugin.spec))
      yield
    }
  }
  const replaced: LivePlugin[] = []
  let removed = 0
  for (const { plugins } of before) {
    for (const plugin of plugins) {
      if (!alive.has(plugin)) replaced.push(plugin)
      if (!plugin.guard && !keys.has(keyOf(plugin.spec))) removed += 1
      yield
    }
  }
  return { replaced, removed, added }
}

function sameSpec(a: PluginSpec, b: PluginSpec): boolean {
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

/** Stands in for a plugin that never worked and fails closed: it lets nobody through. */
function createGuard(
  plugin: PluginSpec | RefusedPlugin,
  info: PluginInfo,
  life: PluginLife,
  scope: Scope,
  applies: LivePlugin['applies'],
): LivePlugin {
  const name = info.name
  const { domain, id } = plugin
  const spec = { domain, name, id, phase: 'access', code: '', params: {}, priority: Number.POSITIVE_INFINITY } as const
  const limits = { guard: 'off', budget_ms: 50, timeout_ms: 5000, shadow: false, shadow_allows: [] } as const
  return Object.freeze({
    info,
    spec: Object.freeze({ ...spec, ...limits, scope, on_failure: 'closed', path: '' }),
    phase: 'access',
    run: refuseAll,
    uses: { exit: true, say: false, fetch: false, signal: false, kit: false, store: false, request_headers: false },
    applies,
    paths: undefined,
    sha1: '',
    guard: true,
    life,
  } satisfies LivePlugin)
}

const EVERYTHING: Scope = Object.freeze({
  enabled: true,
  when: undefined,
  share: undefined,
  starts_at: undefined,
  expires_at: undefined,
})

/** Whether requests are refused for want of this plugin. What does nothing for them guards nothing either. */
function mustGuard({ on_failure, scope, shadow }: PluginSpec | RefusedPlugin, now: number): boolean {
  if (on_failure === 'open' || !scope.enabled || shadow) return false
  return scope.expires_at === undefined || scope.expires_at > now
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

const refuseAll: PluginFunction = (_run, _ctx, _params, exit) => exit?.(503)
