import type { Context, Middleware, Next } from 'koa'
import type { Events } from '../events/emitter.ts'
import { authorityOf, otherHostOf, settleHost } from '../matching/request-host.ts'
import type { Program } from '../program.ts'
import type { BodyFilter } from './body-filter.ts'
import type { DebugRequests } from './debug/requests.ts'
import type { RunRecord } from './debug/run-record.ts'
import type { Observation } from './observation.ts'
import type { Refuse } from './response/header-changes.ts'
import { createState, type RequestState } from './run/state.ts'
import type { Runner } from './runner.ts'
import { createServing } from './serving.ts'

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
  const serve = createServing({ events, observation, runner, bodyFilter })

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
    const observed = record !== null || observation.isWanted()
    return serve(createState(ctx, chain, observed, record, refuseLeftover), next)
  }

  const refuseLeftover: Refuse = (request, plugin, error) => {
    // What is refused was written for a request of this function's.
    runner.failPlugin(request as RequestState, plugin, error)
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

  return dynacode as Middleware
}

async function refuse(ctx: Context): Promise<void> {
  ctx.status = 503
}
