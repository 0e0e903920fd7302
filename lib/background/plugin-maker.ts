import type { PluginSpec, RefusedPlugin } from '../document.ts'
import { DocumentError, type DynacodeError } from '../errors.ts'
import type { PluginInfo } from '../events/table.ts'
import type { Draw } from '../matching/request-key.ts'
import { createScopeTest, listScopePaths } from '../matching/scope.ts'
import type { LivePlugin, PluginFunction, PluginLife, RolloutWatch, UnitLife, Uses } from '../program.ts'
import type { Clock } from '../time/clock.ts'
import { steadyNow } from '../time/steady-clock.ts'
import type { CompiledCode, Compiler } from './compiling/compiler.ts'
import { createStandIn, mustGuard, standInScope } from './stand-in.ts'

/** A plugin that was compiled for this program. */
export interface Compilation {
  readonly info: PluginInfo
  readonly duration_ms: number
}

/** The request line's part in a plugin: an environment for its code, and what it gathers while it lives. */
export interface Mount {
  bind(compiled: CompiledCode, info: PluginInfo): PluginFunction
  begin(info: PluginInfo, sha1: string, rollout: RolloutWatch | null, unit: UnitLife | null): PluginLife
  /** Begins the life of a version of a unit. */
  beginUnit(): UnitLife
  /** What guards the rollout of a plugin; null where the document asks for none. */
  guardRollout(info: PluginInfo, spec: PluginSpec, unit: UnitLife | null): RolloutWatch | null
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

/** What was made for one program so far. */
export interface Made {
  /** The plugins that were not in the program before. */
  readonly begun: LivePlugin[]
  readonly compiled: Compilation[]
  reused: number
}

/** Makes one live plugin of what the document says of it. */
export interface PluginMaker {
  /**
   * Compiles a plugin, and nothing else yet: one of its variants may turn out not to compile.
   *
   * @param last the plugin in its earlier version
   * @param unit the version of the unit that it is one of
   * @returns what takes it into the program
   * @throws what is wrong with the plugin
   */
  prepare(spec: PluginSpec, last: LivePlugin | undefined, unit?: UnitLife | null): () => LivePlugin
  /** What answers in place of a plugin that fails closed and cannot be had; undefined where nothing has to. */
  standIn(plugin: PluginSpec | RefusedPlugin, info: PluginInfo): LivePlugin | undefined
}

/**
 * Makes the maker of the plugins of one program.
 *
 * @param made takes down what is made
 */
export function createPluginMaker({ compiler, mount, clock, draw }: Workshop, made: Made): PluginMaker {
  const { begun, compiled } = made

  function begin(plugin: LivePlugin): LivePlugin {
    begun.push(plugin)
    return plugin
  }

  function prepare(spec: PluginSpec, last: LivePlugin | undefined, given: UnitLife | null = null): () => LivePlugin {
    if (last !== undefined && !last.guard && isSameSpec(last.spec, spec)) {
      return () => {
        made.reused += 1
        return last
      }
    }
    // What a shadow run does has not happened: it is neither held up with the others, nor holds them up.
    const unit = spec.shadow ? null : given
    const started = steadyNow()
    const { compiled: code, fresh } = compiler.compile(spec)
    checkShadow(spec, code.uses)
    const forbidden = mount.quarantined(code.sha1, spec.guard)
    if (forbidden !== undefined) throw forbidden
    const { uses, sha1 } = code
    const info = createInfo(spec)
    const run = mount.bind(code, info)
    const rollout = mount.guardRollout(info, spec, unit)
    const applies = createScopeTest(spec.scope, draw, clock, rollout, unit)
    const paths = listScopePaths(spec.scope)
    if (fresh) compiled.push({ info, duration_ms: steadyNow() - started })
    return () => {
      if (!fresh) made.reused += 1
      const life = mount.begin(info, sha1, rollout, unit)
      compiler.hold({ sha1, guard: spec.guard })
      const phase = spec.phase
      return begin(Object.freeze({ info, spec, phase, run, uses, sha1, guard: false, applies, paths, life }))
    }
  }

  function standIn(plugin: PluginSpec | RefusedPlugin, info: PluginInfo): LivePlugin | undefined {
    if (!mustGuard(plugin, clock.now())) return undefined
    const scope = standInScope(plugin)
    return begin(
      createStandIn(plugin, info, mount.begin(info, '', null, null), scope, createScopeTest(scope, draw, clock)),
    )
  }

  return Object.freeze({ prepare, standIn } satisfies PluginMaker)
}

/** Whether nothing of a plugin has changed. */
export function isSameSpec(a: PluginSpec, b: PluginSpec): boolean {
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
    JSON.stringify([a.params, a.scope, a.shadow_allows, a.unit]) ===
      JSON.stringify([b.params, b.scope, b.shadow_allows, b.unit])
  )
}

export function createInfo({ name, id, domain, phase }: PluginSpec | RefusedPlugin): PluginInfo {
  return Object.freeze({ name: name ?? String(id), domain, phase: phase ?? null })
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
