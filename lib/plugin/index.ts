import type { ParameterizedContext } from 'koa'
import type { Phase } from '../document.ts'
import type { Exit, Say } from '../program.ts'
import type { Store } from '../request/store.ts'

export type { Exit, Phase, Say }

/**
 * What the app has hung on Koa's context, for plugins to know of it.
 *
 * @example
 * declare module 'dynacode/plugin' {
 *   interface ContextExtras { user?: { name: string } }
 * }
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there for apps to add to
export interface ContextExtras {}

/** Koa's context as plugin code finds it. Unlike Koa's own type, it flags a name that is not there. */
// biome-ignore lint/suspicious/noExplicitAny: what is in `state` and `body` is the app's and the plugins' own
export type PluginContext = ParameterizedContext<any, ContextExtras & Untyped & { readonly response: Untyped }, any>

/** What Koa has, and its types do not know. */
interface Untyped {
  /** Whether the response has this header. */
  has(field: string): boolean
}

/** The store as plugin code finds it. */
export interface PluginStore extends Omit<Store, 'get'> {
  /** The value, or undefined when there is none or its time is over. */
  // biome-ignore lint/suspicious/noExplicitAny: JavaScript could not say what it has put there
  get(key: string): any
}

/** Writes to the `debug` namespace `dynacode:plugin:<name>`. */
export type Log = (...message: unknown[]) => void

/** The `params` of a plugin of which the document says nothing more. */
// biome-ignore lint/suspicious/noExplicitAny: as in any JSON
export type Params = Readonly<Record<string, any>>

/** The body, or a part of it: bytes of a stream or Buffer, text of a string or JSON. */
export type Chunk = string | Buffer

interface EveryPhase<P> {
  readonly ctx: PluginContext
  readonly params: P
  readonly store: PluginStore
  readonly log: Log
  readonly fetch: typeof globalThis.fetch
  /** Aborts when the client goes away, and when `timeout_ms` is over. */
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

/** What is in scope of a plugin's code, by its phase. */
export interface ScopeTable<P = Params> {
  rewrite: EveryPhase<P> & Ends & Says
  access: EveryPhase<P> & Ends & Says
  content: EveryPhase<P> & Ends & Says
  balancer: EveryPhase<P> & Ends & Says
  header_filter: EveryPhase<P> & Ends & Says
  body_filter: EveryPhase<P> & Ends & Filters
  log: EveryPhase<P>
}

/** What is in scope of a plugin's code in one phase. */
export type Scope<Name extends Phase, P = Params> = ScopeTable<P>[Name]
