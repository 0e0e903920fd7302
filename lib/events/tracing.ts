import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import type { Context } from 'koa'
import type { Phase } from '../document.ts'
import type { NoUpdate, PluginInfo, Update } from './table.ts'

/**
 * What subscribers of `tracing:dynacode:plugin:run:*` are called with. One object for each run, the same from its start
 * to its end; what is known at the end only is undefined until then.
 */
export interface PluginRunMessage {
  readonly plugin: PluginInfo
  readonly phase: Phase
  /** The request's host, in lower case and without port. */
  readonly host: string
  /** The Koa context; in shadow mode, the plugin's copy of it. */
  readonly ctx: Context
  /** Whether the plugin is in shadow mode, so that its run has no effect. */
  readonly shadow: boolean
  /** `done`; `exit`: it ended the request; `open`: it failed and the request went on; `closed`: it failed and the request got 503. */
  outcome: 'done' | 'exit' | 'open' | 'closed' | undefined
  /** From the start of the run to its end, in milliseconds. */
  duration_ms: number | undefined
  /** How long it blocked the event loop, as far as it can be measured. */
  sync_ms: number | undefined
  /** What the plugin failed with. */
  error: unknown
}

/** What subscribers of `tracing:dynacode:refresh:*` are called with. One object for each refresh. */
export interface RefreshMessage {
  /**
   * `poll`: the interval was over; `asked`: `refresh()` was called; `noticed`: the source reported a change; `shared`: another
   * process of this machine wrote the cache.
   */
  readonly occasion: 'poll' | 'asked' | 'noticed' | 'shared'
  /** What `refresh()` resolves with; undefined until the end. */
  result: ({ readonly updated: true } & Update) | ({ readonly updated: false } & NoUpdate) | undefined
  /** Why no document went live; also undefined if nothing had changed. */
  error: Error | undefined
}

/**
 * A tracing channel of Node's, and what its subscribers are called with. Not for the declarations of the package: the order of its
 * type parameters is another one from one version of @types/node to the next.
 *
 * @internal
 */
type Channel<M extends object> = TracingChannel<unknown, M>

/**
 * The channel on which runs of plugins are traced. Node has one of this name for the whole process.
 *
 * @internal
 */
export function openPluginRunChannel(): Channel<PluginRunMessage> {
  return tracingChannel('dynacode:plugin:run')
}

/** Runs a refresh, under the eyes of whoever has subscribed. */
export type RefreshTracing = (
  occasion: RefreshMessage['occasion'],
  refresh: () => Promise<NonNullable<RefreshMessage['result']>>,
) => Promise<NonNullable<RefreshMessage['result']>>

/** Makes what traces refreshes: nothing but the refresh itself, as long as nobody has subscribed. */
export function createRefreshTracing(): RefreshTracing {
  const channel: Channel<RefreshMessage> = tracingChannel('dynacode:refresh')

  return (occasion, refresh) => {
    if (!channel.hasSubscribers) return refresh()
    const message: RefreshMessage = { occasion, result: undefined, error: undefined }
    const traced = async () => {
      const result = await refresh()
      if (!result.updated && result.error !== undefined) {
        message.error = result.error
        channel.error.publish(message)
      }
      return result
    }
    return channel.tracePromise(traced, message)
  }
}
