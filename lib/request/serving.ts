import type { Context, Next } from 'koa'
import type { Events } from '../events/emitter.ts'
import type { BodyFilter } from './body-filter.ts'
import { applyEnding } from './ending.ts'
import { type ErrorFilters, type Filtered, filterErrorResponse } from './error-response.ts'
import { createLogPhase } from './log-phase.ts'
import type { Observation } from './observation.ts'
import { cutResponse } from './response/cut.ts'
import { headOf } from './response/head.ts'
import { isNodeStream } from './response/stream.ts'
import type { RequestState } from './run/state.ts'
import type { Runner } from './runner.ts'

/** Takes a request through the phases of its chain, and through the app in between. */
export type Serve = (state: RequestState, next: Next) => Promise<unknown>

/** Makes what serves the requests of one instance that have plugins. */
export function createServing({
  events,
  observation,
  runner,
  bodyFilter,
}: {
  events: Events
  observation: Observation
  runner: Runner
  bodyFilter: BodyFilter
}): Serve {
  const filters: ErrorFilters = {
    filterHeaders(state) {
      state.run_ended = -1
      return runner.runPhase(state, state.chain.header_filter, state.chain.by_path.header_filter)
    },
    filterText: bodyFilter.filterWhole,
    filterBody: bodyFilter.filterBody,
  }
  const logLater = createLogPhase(observation, runner)

  // Not async: each async function, and each turn of the microtask queue, costs every request with a plugin.
  function serve(state: RequestState, next: Next): Promise<unknown> {
    const { ctx, chain } = state
    // Over HTTP/2 the response's methods are watched: from the beginning, below those that are put in their place.
    if (ctx.req.httpVersionMajor >= 2) headOf(state)
    if (chain.log.length > 0) logLater(ctx, chain)
    try {
      const pending = chain.before_app.length > 0 ? runBeforeApp(state, 0) : undefined
      if (pending === undefined) return passOn(state, next)
      return pending.then(
        () => passOn(state, next),
        (error) => Promise.reject(toThrow(state, error, 'nothing')),
      )
    } catch (error) {
      return Promise.reject(toThrow(state, error, 'nothing'))
    }
  }

  /** Runs the phases before the app, from one on; a promise only when a plugin is asynchronous. */
  function runBeforeApp(state: RequestState, from: number): void | Promise<void> {
    const steps = state.chain.before_app
    for (let index = from; index < steps.length && state.ending === null && !state.is_made; index += 1) {
      const { phase, plugins, by_path } = steps[index] as (typeof steps)[number]
      const pending = phase === 'content' ? runContent(state) : runner.runPhase(state, plugins, by_path)
      if (pending !== undefined) return pending.then(() => runBeforeApp(state, index + 1))
    }
    return undefined
  }

  function runContent(state: RequestState): void | Promise<void> {
    const { ctx, chain } = state
    const { body } = ctx.response
    const { statusCode, headersSent } = ctx.res
    const { respond } = ctx
    const chosen = isStatusChosen(ctx)
    const look = () => {
      // Everything by which a response can have been made.
      state.is_made =
        ctx.response.body !== body ||
        ctx.res.statusCode !== statusCode ||
        isStatusChosen(ctx) !== chosen ||
        ctx.res.headersSent !== headersSent ||
        ctx.respond !== respond
    }
    const pending = runner.runPhase(state, chain.content, chain.by_path.content)
    return pending === undefined ? look() : pending.then(look)
  }

  /** The app's turn, unless a plugin has answered. */
  function passOn(state: RequestState, next: Next): Promise<unknown> {
    state.run_ended = -1
    if (state.chain.is_filtered) return passAndFilter(state, next)
    if (isForApp(state)) return next()
    applyEnding(state, events, false)
    return Promise.resolve()
  }

  async function passAndFilter(state: RequestState, next: Next): Promise<void> {
    const { ctx, chain } = state
    let filtered: Filtered = 'nothing'
    try {
      const asked = isForApp(state)
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
      throw toThrow(state, error, filtered)
    }
  }

  /** @returns what is thrown on: the error as it is, whose response is seen to */
  function toThrow(state: RequestState, error: unknown, filtered: Filtered): unknown {
    // A filter that throws on purpose wants nobody to get what is being sent.
    if (filtered !== 'nothing' && state.ctx.headerSent) cutResponse(state.ctx.res, error)
    filterErrorResponse(state, error, filtered, filters, events)
    return error
  }

  return serve
}

function isForApp({ ctx, ending, is_made }: RequestState): boolean {
  return ending === null && !is_made && !ctx.res.headersSent
}

/** Whether somebody has set the status: 404 is also what Koa begins with. */
function isStatusChosen(ctx: Context): boolean {
  return (ctx.response as { _explicitStatus?: boolean })._explicitStatus === true
}

function ignore(): void {}
