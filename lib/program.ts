import type { Context } from 'koa'
import { LRUCache } from 'lru-cache'
import { PHASES, type Phase, type PluginSpec } from './document.ts'
import type { DynacodeError } from './errors.ts'
import type { PluginInfo, RolloutCounts } from './events/table.ts'
import type { Predicate } from './matching/condition.ts'
import type { ExpressionIndex } from './matching/expression-index.ts'
import { buildHostMatcher, type HostMatcher } from './matching/host-matcher.ts'
import { createHostMemory, type HostMemory } from './matching/host-memory.ts'
import { type HostPattern, isSamePattern } from './matching/host-pattern.ts'
import { createPathIndex, type PathIndex } from './matching/path-index.ts'
import { authorityOf, hostOf, isMemorable } from './matching/request-host.ts'
import type { StopRule } from './matching/stop-when.ts'
import type { Breaker } from './time/breaker.ts'
import type { Steps } from './time/steps.ts'

/** Headers of the response that a plugin ends the request with. */
export type ExitHeaders = Readonly<Record<string, string | string[]>> | Headers | Iterable<readonly [string, string]>
/** Ends the request with a response; throws, so that the plugin's code stops there. */
export type Exit = (status: number, body?: unknown, headers?: ExitHeaders) => never
/** Appends a line to the response's text body. */
export type Say = (...text: unknown[]) => void

/** The names that plugin code is called with, in the order of `PluginFunction`, after the record of the run. */
export const PARAMETERS = Object.freeze(['ctx', 'params', 'exit', 'say', 'fetch', 'signal', 'chunk', 'last'] as const)

/** Names of the process's own that plugin code finds under the guard. */
export const KIT_NAMES = Object.freeze([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'process',
  'globalThis',
  'global',
] as const)

/** How many turns of a loop that calls nothing a call counts for: what is called may take its time. */
export const CALL_WEIGHT = 256

/** Every name that plugin code finds in scope by dynacode's doing. */
export const ENVIRONMENT_NAMES: ReadonlySet<string> = new Set([...PARAMETERS, 'store', 'log'])

/**
 * A plugin's code, compiled and bound to its own environment.
 *
 * @param run the guard's record of this run
 */
export type PluginFunction = (
  run: object,
  ctx: Context,
  params: Readonly<Record<string, unknown>>,
  exit: Exit | undefined,
  say: Say | undefined,
  fetch: typeof globalThis.fetch | undefined,
  signal: AbortSignal | undefined,
  chunk: unknown,
  last: boolean | undefined,
) => unknown

/** Which of the per-run names the code uses; what it does not use is not made for it. */
export interface Uses {
  readonly exit: boolean
  readonly say: boolean
  readonly fetch: boolean
  readonly signal: boolean
  /** Names of the process's own that the guard puts something else in place of (`KIT_NAMES`). */
  readonly kit: boolean
  readonly store: boolean
  /** Whether it is over when it returns: no function, promise or callback of it can go on, or be called, later. */
  readonly leaves_nothing: boolean
  /** Whether it may change the headers of the request: whoever only reads them has not to pay for a copy. */
  readonly request_headers: boolean
  /**
   * What it may change of the request or the response, and what may have to be taken back: nothing, some headers of the
   * response (`headers`) alone, or anything.
   */
  readonly writes: 'nothing' | 'headers' | 'anything'
  /** The only headers of the response that it may write, in lower case, those of the body last; null when it may be any. */
  readonly headers: readonly string[] | null
  /** How many of these are not about the body. */
  readonly kept: number
  /** Whether Koa or Node has found nothing wrong with any header that it writes, so that nobody has to look at them after it. */
  readonly checked: boolean
  /** Whether it may throw on purpose, as `ctx.throw()` does. */
  readonly throws: boolean
}

/** Why a rollout has stopped itself, and when, in milliseconds since 1970. Frozen. */
export interface RolloutStop extends StopRule {
  readonly at: number
}

/** Watches the rollout of one version of a plugin, and stops it. */
export interface RolloutWatch {
  /** Null while the rollout goes on. */
  stop(): RolloutStop | null
  counts(): RolloutCounts
  /** Whether the run that begins is to be timed. */
  isTimed(): boolean
  /** A request meets everything but the rollout, which chose it or left it out. */
  met(ctx: Context, is_inside: boolean): void
  /**
   * A run is over.
   *
   * @param duration_ms undefined where it was not timed
   * @param is_skipped_next whether the plugin is not run for now, since it failed too often in a row
   */
  ran(
    ctx: Context,
    outcome: 'done' | 'exit' | 'failed',
    duration_ms: number | undefined,
    is_skipped_next: boolean,
  ): void
  /** Ends the rollout for what another one of its unit did; nothing is counted from then on. */
  halt(stop: RolloutStop): void
  /** Its plugin went live. */
  begin(): void
  /** Its plugin is live no longer. */
  end(): void
}

/** What the plugins of one version of a unit have in common: they run for a request together, or not at all. */
export interface UnitLife {
  /** A plugin of the unit, but for those in shadow mode. */
  join(life: PluginLife): void
  /** Whether they are in the rollout for a request, decided once for all of them; undefined where it is in neither group. */
  choose(ctx: Context, decide: (ctx: Context) => boolean | undefined): boolean | undefined
  /** Whether they may run for a request, as far as their breakers go; decided once for all of them. */
  mayRun(ctx: Context): boolean
  /** The rollout of one of them has stopped itself: with it that of all. */
  stop(stop: RolloutStop): void
}

/** What is known of a unit beside its plugins. Frozen. */
export interface UnitRecord {
  /** What was live before this version, and is to be again if it fails. */
  readonly earlier: readonly PluginSpec[]
  /** The version of the document that has failed while it ran, why, and those of its plugins whose rollout has stopped. */
  readonly rejected:
    | { readonly specs: readonly PluginSpec[]; readonly error: DynacodeError; readonly stopped: readonly LivePlugin[] }
    | undefined
}

/** What a version of a plugin gathers while it runs; it ends with the version. */
export interface PluginLife {
  /** The number that the watchdog knows it by; 0 without one. */
  readonly id: number
  /** Undefined until it first fails. */
  breaker: Breaker | undefined
  /** Its timers, and how those are cleared of all runs that are over, or of one; undefined until there was one. */
  timers: { clear(run?: object): void } | undefined
  /** Null where its rollout is not guarded. */
  readonly rollout: RolloutWatch | null
  /** Null where it belongs to none. */
  readonly unit: UnitLife | null
  /** Cancels the event for when the plugin expires. */
  forgetExpiry: (() => void) | undefined
  /** Whether this version was replaced, removed or closed. */
  ended: boolean
  /** Whether a run of this version stopped the whole process, so that it may not run again. */
  quarantined: boolean
}

/** A plugin as it runs. Frozen; taken over into the next program as it is when nothing about it changed. */
export interface LivePlugin {
  readonly info: PluginInfo
  readonly spec: PluginSpec
  readonly phase: Phase
  readonly run: PluginFunction
  readonly uses: Uses
  /** Whether the plugin is for a request, at this moment; null when it is for every one of its domain. */
  readonly applies: Predicate | null
  /** The only paths for which it may apply, in lower case; undefined when these cannot be listed. */
  readonly paths: readonly string[] | undefined
  /** SHA-1 of the name and code, in hex. */
  readonly sha1: string
  /** Whether this stands in for a plugin that never compiled and fails closed: it only refuses. */
  readonly guard: boolean
  readonly life: PluginLife
}

/** A phase that has plugins. */
export interface Step {
  readonly phase: Phase
  readonly plugins: readonly LivePlugin[]
  /** Leaves out, where there are many, those that are for other paths than a request's. */
  readonly by_path: PathIndex<LivePlugin> | undefined
}

/** The plugins of one host, by phase, in the order in which they run. Frozen. */
export type Chain = { readonly [P in Phase]: readonly LivePlugin[] } & {
  /** Leaves out, where there are many, those that are for other paths than a request's. */
  readonly by_path: { readonly [P in Phase]: PathIndex<LivePlugin> | undefined }
  /** The phases before the app, in their order, that have plugins. */
  readonly before_app: readonly Step[]
  /** Whether any plugin filters the response: without one, the app's own promise is handed through. */
  readonly is_filtered: boolean
  /** Whether a plugin that filters the response may throw on purpose: what header filters wrote goes into the answer to that. */
  readonly is_thrown_in: boolean
  /** Whether any of them fails closed and is on at this time, in milliseconds since 1970. */
  readonly isClosedAt: (time: number) => boolean
}

/** A domain and its live plugins, ready to be matched. */
export interface ProgramDomain {
  readonly name: string
  readonly pattern: HostPattern
  readonly plugins: readonly LivePlugin[]
  /** By their names; undefined where it has none. */
  readonly units: ReadonlyMap<string, UnitRecord> | undefined
}

/** What is live: immutable, and replaced as a whole. */
export interface Program {
  readonly version: number | string
  readonly enabled: boolean
  readonly skip: readonly HostPattern[]
  readonly domains: readonly ProgramDomain[]
  readonly plugins: readonly LivePlugin[]
  readonly matcher: HostMatcher
  readonly hosts: KnownHosts
  /** The plugins for a request's host; null when there are none. */
  match(ctx: Context): Chain | null
  /** The plugins for a host that is rarely asked for; null when there are none. */
  matchHost(host: string): Chain | null
}

/** What is known of a host from one program to the next. */
interface KnownHost {
  readonly host: string
  /** What the expressions say of it; undefined where these have not been asked. */
  expressions: readonly number[] | undefined
  /** Its plugins in the program that was asked last; undefined where that has not been asked. */
  chain: Chain | null | undefined
}

/** What is known of hosts, and by what. One for all the programs of an instance: requests ask the newest alone. */
interface KnownHosts {
  readonly memory: HostMemory<KnownHost>
  /** Whose chains these are: not the program itself, which would stay for as long as nobody asks a newer one. */
  owner: object | undefined
  /** Whose answers these are. */
  expressions: ExpressionIndex | undefined
}

/** The phases before the app, in their order. */
const BEFORE_APP = ['rewrite', 'access', 'content', 'balancer'] as const

/** Chains that are kept for hosts to come. */
const KEPT_CHAINS = 1000

/** What a program is made of. */
export type ProgramParts = Pick<Program, 'version' | 'enabled' | 'skip' | 'domains' | 'plugins'>

/**
 * Builds what a document's plugins, once compiled, mean for each host.
 *
 * @param previous the program to be replaced: what it knows of the hosts in use goes on
 * @param isInPlace whether its domains have the same names, in the same order: then so do the hosts
 */
export function* buildProgram(parts: ProgramParts, previous: Program | null, isInPlace = false): Steps<Program> {
  const { domains, skip } = parts
  const known = isInPlace && hasSameSkip(parts, previous) ? previous?.matcher : undefined
  const matcher = known ?? (yield* buildMatcher(parts, previous))
  const hosts: KnownHosts = previous?.hosts ?? {
    memory: createHostMemory(),
    owner: undefined,
    expressions: undefined,
  }
  const owner = Object.freeze({})
  // By the domains that it is made of: any number of hosts may have the same ones.
  // `max` would set room for all of them aside at once.
  const chains = new LRUCache<string, { chain: Chain | null }>({ maxSize: KEPT_CHAINS, sizeCalculation: () => 1 })

  function find(known: KnownHost): Chain | null {
    known.expressions ??= matcher.expressions.search(known.host)
    const places = matcher.match(known.host, known.expressions)
    const [first] = places
    if (first === undefined || first < skip.length) return null
    const key = places.join()
    let found = chains.get(key)
    if (found === undefined) {
      const all = places.flatMap((place) => domains[place - skip.length]?.plugins ?? [])
      const enabled = all.filter(({ spec }) => spec.scope.enabled)
      found = { chain: enabled.length === 0 ? null : createChain(enabled) }
      chains.set(key, found)
    }
    return found.chain
  }

  /** Keeps of the hosts what is true of them still; the rest is found out when they are asked for. */
  function takeOver(): void {
    const same = hosts.expressions === matcher.expressions
    for (const known of hosts.memory.values()) {
      known.chain = undefined
      if (!same) known.expressions = undefined
    }
    hosts.owner = owner
    hosts.expressions = matcher.expressions
  }

  return Object.freeze({
    ...parts,
    plugins: Object.freeze(parts.plugins),
    matcher,
    hosts,
    match(ctx) {
      if (hosts.owner !== owner) takeOver()
      const authority = authorityOf(ctx)
      const known = hosts.memory.get(authority)
      if (known === undefined) {
        const fresh: KnownHost = { host: hostOf(ctx), expressions: undefined, chain: undefined }
        fresh.chain = find(fresh)
        if (isMemorable(authority)) hosts.memory.offer(authority, fresh)
        return fresh.chain
      }
      if (known.chain === undefined) known.chain = find(known)
      return known.chain
    },
    matchHost: (host) => find({ host, expressions: undefined, chain: undefined }),
  } satisfies Program)
}

function hasSameSkip({ skip }: ProgramParts, previous: Program | null): boolean {
  if (previous?.skip.length !== skip.length) return false
  return skip.every((pattern, at) => isSamePattern(pattern, previous.skip[at] as HostPattern))
}

function buildMatcher({ domains, skip }: ProgramParts, previous: Program | null): Steps<HostMatcher> {
  return buildHostMatcher([...skip, ...domains.map(({ pattern }) => pattern)], previous?.matcher)
}

function createChain(plugins: readonly LivePlugin[]): Chain {
  // Sorting is stable: plugins of one priority stay in document order.
  const ordered = plugins.toSorted((a, b) => b.spec.priority - a.spec.priority)
  const byPhase = PHASES.map(
    (phase) => [phase, Object.freeze(ordered.filter((plugin) => plugin.phase === phase))] as const,
  )
  const indexes = byPhase.map(([phase, list]) => [phase, createPathIndex(list)])
  const closed = plugins.flatMap(({ spec }) => (spec.on_failure === 'closed' && !spec.shadow ? [spec.scope] : []))
  const isClosedAt = (time: number) =>
    closed.some(({ starts_at = time, expires_at = Infinity }) => time >= starts_at && time < expires_at)
  const by_path = Object.freeze(Object.fromEntries(indexes))
  const chain = { ...Object.fromEntries(byPhase), by_path, isClosedAt } as Omit<
    Chain,
    'before_app' | 'is_filtered' | 'is_thrown_in'
  >
  const before_app = BEFORE_APP.filter((phase) => chain[phase].length > 0).map((phase) =>
    Object.freeze({ phase, plugins: chain[phase], by_path: by_path[phase] }),
  )
  const filters = [...chain.header_filter, ...chain.body_filter]
  const is_filtered = filters.length > 0
  const is_thrown_in = filters.some(({ uses }) => uses.throws)
  return Object.freeze({ ...chain, before_app: Object.freeze(before_app), is_filtered, is_thrown_in })
}
