import type { Domain, RefusedDomain } from '../document.ts'
import type { DocumentError, DynacodeError } from '../errors.ts'
import type { PluginInfo } from '../events/table.ts'
import { createDraw } from '../matching/request-key.ts'
import { buildProgram, type LivePlugin, type Program, type ProgramDomain } from '../program.ts'
import { type Clock, SYSTEM_CLOCK } from '../time/clock.ts'
import { KNOWN_STRETCH, type Steps } from '../time/steps.ts'
import { compare, listChanged } from './comparison.ts'
import type { Compiler } from './compiling/compiler.ts'
import { claimedKeys, indexPlugins, keyOf, listEntries } from './earlier-versions.ts'
import { createPluginBuilder, type Failure, type Outcome } from './plugin-builder.ts'
import type { Compilation, Mount } from './plugin-maker.ts'
import type { PartlyRead } from './reading/validator.ts'
import { buildUnits } from './unit-builder.ts'
import { type LiveBuild, type Reverted, revertUnit } from './unit-revert.ts'

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

/** A program's parts, and whether its domains have the names of the one before, in the same order. */
interface Assembled {
  readonly domains: ProgramDomain[]
  readonly plugins: LivePlugin[]
  readonly inPlace: boolean
}

/** Turns documents into programs. */
export interface Builder {
  /** What was begun for a program is ended again, should the work be cancelled before it is done. */
  build(document: PartlyRead, version: number | string, previous: Program | null): Steps<Build>
  /**
   * Makes the program in which the unit of a live plugin is back at its earlier version.
   *
   * @param error why; also where this version comes again in another document
   * @returns undefined where the plugin is not live any more, or there is no earlier version of its unit that can be had
   */
  revert(live: LiveBuild, plugin: PluginInfo, error: DynacodeError): Steps<Reverted | undefined>
  /** Ends plugins that are no longer live, or will not be: all of them, even if the work is cancelled before. */
  end(plugins: readonly LivePlugin[]): Steps<void>
}

/**
 * Makes the builder of one instance: it compiles what changed, takes over what did not, and keeps the last good version
 * of what fails.
 */
export function createBuilder(compiler: Compiler, mount: Mount, clock: Clock = SYSTEM_CLOCK): Builder {
  const workshop = { compiler, mount, clock, draw: createDraw() }

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
    const before = yield* listChanged(document, previous)
    const claimed = yield* claimedKeys(document)
    const live = yield* indexPlugins(before)
    const outcome: Outcome = { begun, compiled: [], failures: [], kept: new Map(), reused: 0 }
    const builder = createPluginBuilder(workshop, { live, claimed }, outcome)
    const faults = [...document.faults]
    const sound = new Map<object, ProgramDomain>()

    function* buildDomain(domain: Domain): Steps<ProgramDomain> {
      const { name, pattern } = domain
      const plugins: LivePlugin[] = []
      const failed = outcome.failures.length
      const earlier = before.filter((other) => other.name === name)
      const known = new Map(earlier.flatMap(({ units }) => [...(units ?? [])]))
      const units = yield* buildUnits(
        domain,
        builder,
        earlier.flatMap((other) => other.plugins),
        known,
      )
      for (const entry of listEntries(domain.plugins)) {
        const [first] = entry
        const ofUnit = first && units?.plugins.get(first)
        for (const plugin of ofUnit ?? (yield* builder.build(entry))) plugins.push(plugin)
        yield
      }
      const built = Object.freeze({ name, pattern, plugins: Object.freeze(plugins), units: units?.records })
      if (outcome.failures.length === failed) sound.set(domain, built)
      return built
    }

    /** What was live under a refused domain's name, but for what other entries of that name carry on. */
    function keepDomain({ name, error }: RefusedDomain): ProgramDomain[] {
      faults.push(error)
      const earlier = before.filter((domain) => domain.name === name)
      return earlier.map(({ pattern, plugins, units }) => {
        const last = plugins.filter(({ spec }) => !claimed.has(keyOf(spec)))
        return Object.freeze({ name, pattern, plugins: Object.freeze(builder.keep(last, error)), units })
      })
    }

    const changed: ProgramDomain[] = []
    function* buildAny(domain: Domain | RefusedDomain): Steps<readonly ProgramDomain[]> {
      const built = 'error' in domain ? keepDomain(domain) : [yield* buildDomain(domain)]
      changed.push(...built)
      return built
    }

    function* buildAll(): Steps<Assembled> {
      const domains: ProgramDomain[] = []
      const plugins: LivePlugin[] = []
      /** Whether the names are at the same places as before, as far as domains were added. */
      let inPlace = true
      for (const [at, part] of document.domains.entries()) {
        for (const domain of 'domain' in part ? [part.domain] : yield* buildAny(part)) {
          const before = previous?.domains[domains.length]
          inPlace &&= before === domain || before?.name === domain.name
          domains.push(domain)
          for (const plugin of domain.plugins) plugins.push(plugin)
        }
        if (!('domain' in part) || at % KNOWN_STRETCH === 0) yield
      }
      return { domains, plugins, inPlace: inPlace && domains.length === previous?.domains.length }
    }

    /** All but these are live, place by place, under the same names: nothing else is gone over. */
    function* buildEdited(places: readonly number[], program: Program): Steps<Assembled> {
      // Of a frozen array `slice` is a hundred times as slow.
      const [domains, plugins] = [[...program.domains], [...program.plugins]]
      for (const place of places) {
        const [built] = yield* buildAny(document.domains[place] as Domain | RefusedDomain)
        const next = built as ProgramDomain
        let before = place - 1
        while (domains[before]?.plugins.length === 0) before -= 1
        const last = domains[before]?.plugins.at(-1)
        const first = last === undefined ? 0 : plugins.indexOf(last) + 1
        plugins.splice(first, (domains[place] as ProgramDomain).plugins.length, ...next.plugins)
        domains[place] = next
        yield
      }
      return { domains, plugins, inPlace: true }
    }

    const { edited } = document
    const { domains, plugins, inPlace } =
      edited === undefined || previous === null ? yield* buildAll() : yield* buildEdited(edited, previous)
    const { enabled, skip } = document
    const parts = { version, enabled, skip, domains: Object.freeze(domains), plugins }
    const program = yield* buildProgram(parts, previous, inPlace)
    const { replaced, removed, added } = yield* compare(before, changed)
    const reused = outcome.reused + program.plugins.length - added
    return { program, ...outcome, faults, reused, removed, replaced, sound }
  }

  function* revert(live: LiveBuild, plugin: PluginInfo, error: DynacodeError): Steps<Reverted | undefined> {
    const begun: LivePlugin[] = []
    let done = false
    try {
      const reverted = yield* revertUnit(workshop, live, plugin, error, begun)
      done = reverted !== undefined
      return reverted
    } finally {
      if (!done) begun.forEach(endOne)
    }
  }

  return Object.freeze({ build, revert, end } satisfies Builder)
}
