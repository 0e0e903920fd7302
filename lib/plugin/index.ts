import type { ParameterizedContext } from 'koa'
import type { Phase } from '../document.ts'
import type { Exit, Say } from '../program.ts'
import type { Store } from '../request/store.ts'

export type { Exit, Phase, Say }

/**
 * Declare here what your app adds to Koa's context, so that plugin code can use it.
 *
 * @example
 * declare module 'dynacode/plugin' {
 *   interface ContextExtras { user?: { name: string } }
 * }
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there for apps to add to
export interface ContextExtras {}

/** Koa's context in plugin code. Unlike with Koa's own type, unknown names are type errors. */
// biome-ignore lint/suspicious/noExplicitAny: what is in `state` and `body` is the app's and the plugins' own
export type PluginContext = ParameterizedContext<any, ContextExtras & Untyped & { readonly response: Untyped }, any>

/** Members of Koa that its types lack. */
interface Untyped {
  /** Whether the response has this header. */
  has(field: string): boolean
}

/** The store in plugin code. */
export interface PluginStore extends Omit<Store, 'get'> {
  /** The value, or undefined if there is none or it has expired. */
  // biome-ignore lint/suspicious/noExplicitAny: JavaScript could not say what it has put there
  get(key: string): any
}

/** Writes to the `debug` namespace `dynacode:plugin:<name>`, and to the app's logger if it has one. */
export type Log = (...message: unknown[]) => void

/** The `params` of a plugin, without more specific types. */
// biome-ignore lint/suspicious/noExplicitAny: as in any JSON
export type Params = Readonly<Record<string, any>>

/** The body, or a part of it: bytes if the body is a stream or Buffer, text if it is a string or JSON. */
export type Chunk = string | Buffer

interface EveryPhase<P> {
  readonly ctx: PluginContext
  readonly params: P
  readonly store: PluginStore
  readonly log: Log
  readonly fetch: typeof globalThis.fetch
  /** Aborts when the client disconnects, and after `timeout_ms`. */
  readonly signal: AbortSignal
}

interface Ends {
  readonly exit: Exit
}

interface Says {
  readonly say: Say
}

interface Filters {
  readonly chunk: Chunk
  /** Whether this is the last chunk. */
  readonly last: boolean
}

/** The names that plugin code can use, by phase. */
export interface ScopeTable<P = Params> {
  rewrite: EveryPhase<P> & Ends & Says
  access: EveryPhase<P> & Ends & Says
  content: EveryPhase<P> & Ends & Says
  balancer: EveryPhase<P> & Ends & Says
  header_filter: EveryPhase<P> & Ends & Says
  body_filter: EveryPhase<P> & Ends & Filters
  log: EveryPhase<P>
}

/** The names that plugin code can use in one phase. */
export type Scope<Name extends Phase, P = Params> = ScopeTable<P>[Name]
