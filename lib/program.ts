import type { Context } from 'koa'
import { LRUCache } from 'lru-cache'
import type { Breaker } from './breaker.ts'
import type { Predicate } from './condition.ts'
import { PHASES, type Phase, type PluginSpec } from './document.ts'
import type { PluginInfo } from './events.ts'
import { type HostPattern, normalizeHost } from './host-pattern.ts'
import { createPathIndex, type PathIndex } from './path-index.ts'

/** Ends the request with a response; throws, so that the plugin's code stops there. */
export type Exit = (status: number, body?: unknown, headers?: Record<string, string | string[]>) => never
/** Appends a line to the response's text body. */
export type Say = (...text: unknown[]) => void

/** The names that plugin code is called with, in the order of `PluginFunction`, after the record of the run. */
export const PARAMETERS = Object.freeze(['ctx', 'params', 'exit', 'say', 'fetch', 'signal', 'chunk', 'last'] as const)

/** Names of the process's own that plugin code finds under the guard. */
export const KIT_NAMES = Object.freeze([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'queueMicrotask',
  'process',
  'Function',
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
}

/** What a version of a plugin gathers while it runs; it ends with the version. */
export interface PluginLife {
  /** The number that the watchdog knows it by; 0 without one. */
  readonly id: number
  readonly breaker: Breaker
  /** Runs that left timers behind. */
  readonly runs: Set<{ end(): void }>
  /** Calls off what is to be told when the plugin expires. */
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

/** The plugins of one host, by phase, in the order in which they run. Frozen. */
export type Chain = { readonly [P in Phase]: readonly LivePlugin[] } & {
  /** Leaves out, where there are many, those that are for other paths than a request's. */
  readonly by_path: { readonly [P in Phase]: PathIndex<LivePlugin> | undefined }
  /** Whether any of them fails closed and is on at this time, in milliseconds since 1970. */
  readonly isClosedAt: (time: number) => boolean
}

/** A domain and its live plugins, ready to be matched. */
export interface ProgramDomain {
  readonly name: string
  readonly pattern: HostPattern
  readonly plugins: readonly LivePlugin[]
}

/** What is live: immutable, and replaced as a whole. */
export interface Program {
  readonly version: number | string
  readonly enabled: boolean
  readonly skip: readonly HostPattern[]
  readonly domains: readonly ProgramDomain[]
  readonly plugins: readonly LivePlugin[]
  /** The plugins for a request's host; null when there are none. */
  match(ctx: Context): Chain | null
}

/** Hosts whose plugins are remembered, so that a known host costs one look-up. */
const REMEMBERED_HOSTS = 1000
/** A longer Host header is matched each time rather than remembered. */
const LONGEST_REMEMBERED_HOST = 256
/**
 * No name in DNS is longer. Over a Host header of many KB an expression that backtracks would hold up everybody; of such a
 * host the beginning is searched, so that `.*` stays every host and nobody gets past a plugin by an overlong name.
 */
const LONGEST_SEARCHED_HOST = 255
/** Koa cuts a host with these in it, how depends on where it comes from: nothing to remember anything under. */
const AMBIGUOUS_HOST = /[,@]/

/** Builds what a document's plugins, once compiled, mean for each host. */
export function createProgram(parts: Omit<Program, 'plugins' | 'match'>): Program {
  const { domains, skip } = parts
  const skipped = createMatcher(skip.map((pattern, order) => ({ pattern, order })))
  const matching = createMatcher(domains.map(({ pattern }, order) => ({ pattern, order })))
  const remembered = new LRUCache<string, { chain: Chain | null }>({ max: REMEMBERED_HOSTS })
  // By the domains that it is made of: any number of hosts may have the same ones.
  const chains = new LRUCache<string, { chain: Chain | null }>({ max: REMEMBERED_HOSTS })

  function find(host: string): Chain | null {
    if (skipped(host).length > 0) return null
    const orders = matching(host)
    const known = chains.get(orders.join())
    if (known !== undefined) return known.chain
    const all = orders.flatMap((order) => domains[order]?.plugins ?? [])
    const plugins = all.filter(({ spec }) => spec.scope.enabled)
    const chain = plugins.length === 0 ? null : createChain(plugins)
    chains.set(orders.join(), { chain })
    return chain
  }

  return Object.freeze({
    ...parts,
    plugins: Object.freeze(domains.flatMap((domain) => domain.plugins)),
    match(ctx) {
      const { req } = ctx
      // Koa's own reading of the host costs several times the whole look-up; without a proxy it comes from this header.
      const raw = (ctx.app.proxy || req.httpVersionMajor >= 2 ? ctx.host : req.headers.host) ?? ''
      const known = remembered.get(raw)
      if (known !== undefined) return known.chain
      const chain = find(normalizeHost(ctx.hostname))
      if (raw.length <= LONGEST_REMEMBERED_HOST && !AMBIGUOUS_HOST.test(raw)) remembered.set(raw, { chain })
      return chain
    },
  } satisfies Program)
}

/** Tells which patterns a host matches, as their orders in the document, ascending. */
function createMatcher(patterns: readonly { pattern: HostPattern; order: number }[]): (host: string) => number[] {
  const exact = new Map<string, number[]>()
  const rest: { matches: (host: string) => boolean; order: number }[] = []
  for (const { pattern, order } of patterns) {
    if (pattern.kind === 'literal') exact.set(pattern.host, [...(exact.get(pattern.host) ?? []), order])
    else rest.push({ matches: createTest(pattern), order })
  }
  return (host) => {
    const orders = [...(exact.get(host) ?? [])]
    for (const { matches, order } of rest) if (matches(host)) orders.push(order)
    return orders.sort((a, b) => a - b)
  }
}

function createTest(pattern: Exclude<HostPattern, { kind: 'literal' }>): (host: string) => boolean {
  if (pattern.kind === 'any') return () => true
  if (pattern.kind === 'expression') {
    return (host) => pattern.expression.test(host.slice(0, LONGEST_SEARCHED_HOST))
  }
  return (host) => host.length > pattern.suffix.length && host.endsWith(pattern.suffix)
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
  return Object.freeze({ ...Object.fromEntries(byPhase), by_path, isClosedAt }) as Chain
}
