import type { Context, Middleware, Next } from 'koa'
import onFinished from 'on-finished'
import type { Events } from '../events/emitter.ts'
import { authorityOf, otherHostOf, settleHost } from '../matching/request-host.ts'
import type { Chain, LivePlugin, Program } from '../program.ts'
import type { BodyFilter } from './body-filter.ts'
import type { DebugRequests } from './debug/requests.ts'
import type { RunRecord } from './debug/run-record.ts'
import { applyEnding } from './ending.ts'
import { type ErrorFilters, type Filtered, filterErrorResponse } from './error-response.ts'
import type { Observation } from './observation.ts'
import { cutResponse } from './response/cut.ts'
import { isNodeStream } from './response/stream.ts'
import { changesOf, createState, type RequestState } from './run/state.ts'
import type { Runner } from './runner.ts'

/** What a request without a program gets. */
export interface NotLoaded {
  readonly policy: 'open' | 'closed' | 'wait'
  /** Resolves when a program is live, with false when that takes longer than a request may wait. */
  readonly wait: () => Promise<boolean>
}

/** Makes the request line: matches, then runs the phases around the app. */
export function createMiddleware({
  program,
  isClosed,
  isStale,
  isDisabled,
  notLoaded,
  debugging,
  events,
  observation,
  runner,
  bodyFilter,
}: {
  program: () => Program | null
  isClosed: () => boolean
  /** Whether requests are refused because the document may be too old. */
  isStale: () => boolean
  /** Whether this process's own kill switch is thrown. */
  isDisabled: () => boolean
  notLoaded: NotLoaded
  /** Who may see what plugins did to a request; null where nobody may. */
  debugging: DebugRequests | null
  events: Events
  observation: Observation
  runner: Runner
  bodyFilter: BodyFilter
}): Middleware {
  const filters: ErrorFilters = {
    filterHeaders: (state) => runner.runPhase(state, state.chain.header_filter, state.chain.by_path.header_filter),
    filterText: bodyFilter.filterWhole,
    filterBody: bodyFilter.filterBody,
  }

  // Not async: without plugins for the host, the app's own promise is handed through as it is.
  function dynacode(ctx: Context, next: Next): Promise<unknown> {
    const token = debugging?.takeToken(ctx)
    return token === undefined ? pass(ctx, next, null) : debug(ctx, next, token)
  }

  async function debug(ctx: Context, next: Next, token: string): Promise<unknown> {
    const record = isClosed() ? null : await (debugging as DebugRequests).open(ctx, token)
    return pass(ctx, next, record)
  }

  function pass(ctx: Context, next: Next, record: RunRecord | null): Promise<unknown> {
    const current = program()
    if (record !== null) record.version = current?.version ?? null
    if (current === null && !isDisabled()) return passNotLoaded(ctx, next, record)
    if (current === null || !current.enabled || isDisabled()) {
      if (events.has('rt_plugins_disabled')) events.emit('rt_plugins_disabled', { host: observation.readHost(ctx) })
      return next()
    }
    if (isStale()) return refuse(ctx)
    const chain = current.match(ctx)
    const other = otherHostOf(ctx)
    // An app that went by the other one would let requests past the plugins of that host.
    if (other !== undefined && current.matchHost(other) !== chain) settleHost(ctx, authorityOf(ctx))
    if (chain === null) return next()
    if (isClosed()) return chain.isClosedAt(Date.now()) ? refuse(ctx) : next()
    if (record !== null) record.chain = chain
    return serve(createState(ctx, chain, record !== null || observation.isWanted(), record, refuseLeftover), next)
  }

  function refuseLeftover(state: RequestState, plugin: LivePlugin, error: unknown): boolean {
    runner.failPlugin(state, plugin, error)
    return plugin.spec.on_failure !== 'closed'
  }

  async function passNotLoaded(ctx: Context, next: Next, record: RunRecord | null): Promise<unknown> {
    if (events.reaches('rt_plugins_not_loaded'))
      events.emit('rt_plugins_not_loaded', { host: observation.readHost(ctx) })
    if (notLoaded.policy === 'open') return next()
    // The kill switch may have been thrown in the meantime.
    if (notLoaded.policy === 'wait' && ((await notLoaded.wait()) || isDisabled())) return pass(ctx, next, record)
    return refuse(ctx)
  }

  // One function, and no awaiting of nothing: each function that is async and each turn of the microtask queue costs every
  // request with a plugin. So do Koa's shorthands on `ctx`.
  async function serve(state: RequestState, next: Next): Promise<void> {
    const { ctx, chain } = state
    // Over HTTP/2 the response's methods are watched: from the beginning, below those that are put in their place.
    if (ctx.req.httpVersionMajor >= 2) changesOf(state)
    const { res } = ctx
    if (chain.log.length > 0) {
      // Node knows the address of a socket that is gone if it was asked in time.
      void ctx.req.socket.remoteAddress
      onFinished(res, () => runLog(state))
    }
    let filtered: Filtered = 'nothing'
    let made = false
    try {
      if (chain.rewrite.length > 0) {
        const pending = runner.runPhase(state, chain.rewrite, chain.by_path.rewrite)
        if (pending !== undefined) await pending
      }
      if (chain.access.length > 0 && state.ending === null) {
        const pending = runner.runPhase(state, chain.access, chain.by_path.access)
        if (pending !== undefined) await pending
      }
      if (chain.content.length > 0 && state.ending === null) {
        const { body } = ctx.response
        const { statusCode, headersSent } = res
        const { respond } = ctx
        const chosen = isStatusChosen(ctx)
        const pending = runner.runPhase(state, chain.content, chain.by_path.content)
        if (pending !== undefined) await pending
        // Everything by which a response can have been made.
        made =
          ctx.response.body !== body ||
          res.statusCode !== statusCode ||
          isStatusChosen(ctx) !== chosen ||
          res.headersSent !== headersSent ||
          ctx.respond !== respond
      }
      if (chain.balancer.length > 0 && state.ending === null && !made) {
        const pending = runner.runPhase(state, chain.balancer, chain.by_path.balancer)
        if (pending !== undefined) await pending
      }
      const asked = state.ending === null && !made && !res.headersSent
      if (asked) {
        const returned = chain.body_filter.length > 0 ? bodyFilter.prepare(state) : undefined
        if (returned === undefined) await next()
        else await next().finally(returned)
        // Until Koa sends it, nobody else listens to it.
        if (isNodeStream(ctx.response.body)) ctx.response.body.on('error', ignore)
      }
      if (state.ending !== null) applyEnding(state, events, asked)
      if (chain.header_filter.length > 0) {
        filtered = 'headers'
        const pending = runner.runPhase(state, chain.header_filter, chain.by_path.header_filter)
        if (pending !== undefined) await pending
        if (state.ending !== null) applyEnding(state, events, true)
      }
      if (chain.body_filter.length > 0) {
        filtered = 'body'
        await bodyFilter.filterBody(state)
      }
    } catch (error) {
      // A filter that throws on purpose wants nobody to get what is being sent.
      if (filtered !== 'nothing' && ctx.headerSent) cutResponse(res, error)
      filterErrorResponse(state, error, filtered, filters, events)
      throw error
    }
  }

  /** Every plugin runs, however the request or the plugins before it ended. */
  function runLog({ ctx, chain }: RequestState): unknown {
    return runLogFrom(ctx, chain, chain.by_path.log?.(ctx) ?? chain.log, 0)
  }

  function runLogFrom(ctx: Context, chain: Chain, plugins: readonly LivePlugin[], from: number): unknown {
    for (let index = from; index < plugins.length; index += 1) {
      const plugin = plugins[index] as LivePlugin
      const state = createState(ctx, chain, observation.isWanted())
      if (plugin.applies !== null && !runner.applies(state, plugin)) continue
      const pending = runner.runPlugin(state, plugin)
      if (pending instanceof Promise) return pending.then(() => runLogFrom(ctx, chain, plugins, index + 1))
    }
    return undefined
  }

  return dynacode as Middleware
}

/** Whether somebody has set the status: 404 is also what Koa begins with. */
function isStatusChosen(ctx: Context): boolean {
  return (ctx.response as { _explicitStatus?: boolean })._explicitStatus === true
}

function ignore(): void {}

async function refuse(ctx: Context): Promise<void> {
  ctx.status = 503
}
