import type { PluginSpec } from '../document.ts'
import type { DynacodeError } from '../errors.ts'
import type { PluginInfo } from '../events/table.ts'
import { buildProgram, type LivePlugin, type Program, type ProgramDomain } from '../program.ts'
import { KNOWN_STRETCH, type Steps } from '../time/steps.ts'
import type { Failure } from './plugin-builder.ts'
import { createPluginMaker, type Workshop } from './plugin-maker.ts'
import { place } from './unit-builder.ts'

/** What is live, with what is not as the document has it. */
export interface LiveBuild {
  readonly program: Program
  readonly failures: readonly Failure[]
  /** The plugins that are live in an earlier version, each with the reason. */
  readonly kept: ReadonlyMap<LivePlugin, DynacodeError>
}

/** What is live when a unit has gone back to its earlier version. */
export interface Reverted extends LiveBuild {
  /** The plugins of the version that has failed. */
  readonly replaced: readonly LivePlugin[]
  /** Those of the earlier one. */
  readonly begun: readonly LivePlugin[]
}

/**
 * Puts the earlier version of a unit in the place of the one that has failed. What is live does not change.
 *
 * @param plugin the one that has failed
 * @param begun takes down what was begun; to be ended where nothing comes of it
 */
export function* revertUnit(
  workshop: Workshop,
  { program, failures, kept }: LiveBuild,
  plugin: PluginInfo,
  error: DynacodeError,
  begun: LivePlugin[],
): Steps<Reverted | undefined> {
  const failed = program.plugins.find(({ info }) => info === plugin)
  const name = failed?.spec.unit?.name
  const at = program.domains.findIndex(({ plugins }) => failed !== undefined && plugins.includes(failed))
  const domain = program.domains[at]
  const record = name === undefined ? undefined : domain?.units?.get(name)
  if (domain === undefined || name === undefined || record === undefined || record.earlier.length === 0)
    return undefined
  const replaced = domain.plugins.filter(({ spec, guard }) => !guard && spec.unit?.name === name)
  const rebuilt = rebuild(workshop, record.earlier, begun)
  yield
  if (rebuilt === undefined) return undefined

  const placed = place(
    replaced.map(({ spec }) => spec),
    rebuilt,
  )
  const plugins = domain.plugins.flatMap((live) => (replaced.includes(live) ? (placed.get(live.spec) ?? []) : [live]))
  const stopped = Object.freeze(replaced.filter(({ life }) => life.rollout?.stop() != null))
  const rejected = Object.freeze({ specs: Object.freeze(replaced.map(({ spec }) => spec)), error, stopped })
  const units = new Map(domain.units).set(name, Object.freeze({ earlier: Object.freeze([]), rejected }))
  const reverted: ProgramDomain = Object.freeze({ ...domain, plugins: Object.freeze(plugins), units })
  const domains = Object.freeze(program.domains.with(at, reverted))
  const all: LivePlugin[] = []
  for (const [index, each] of domains.entries()) {
    for (const live of each.plugins) all.push(live)
    if (index % KNOWN_STRETCH === 0) yield
  }
  const { version, enabled, skip } = program
  const next = yield* buildProgram({ version, enabled, skip, domains, plugins: all }, program, true)
  const known = new Map(rebuilt.map(({ spec, info }) => [spec.name, info]))
  const added = replaced.map(({ spec, info }): Failure => {
    const earlier = known.get(spec.name)
    return { info: earlier ?? info, path: spec.path, error, kept_last_good: earlier !== undefined }
  })
  const left = new Map([...kept].filter(([live]) => !replaced.includes(live)))
  for (const live of rebuilt) left.set(live, error)
  return { program: next, failures: [...failures, ...added], kept: left, replaced, begun }
}

/** Undefined: one of them cannot be had any more, and so none. */
function rebuild(workshop: Workshop, specs: readonly PluginSpec[], begun: LivePlugin[]): LivePlugin[] | undefined {
  const { prepare } = createPluginMaker(workshop, { begun, compiled: [], reused: 0 })
  const unit = workshop.mount.beginUnit()
  try {
    const takes = specs.map((spec) => prepare(spec, undefined, spec.unit === undefined ? null : unit))
    return takes.map((take) => take())
  } catch {
    return undefined
  }
}
