import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type Koa from 'koa'
import type { Context, Middleware, Next } from 'koa'
import type { RolloutCounts } from '../../events/table.ts'
import type { Predicate } from '../../matching/condition.ts'
import type { RolloutStep } from '../../matching/rollout-steps.ts'
import type { StopWhen } from '../../matching/stop-when.ts'
import type { RolloutStop } from '../../program.ts'
import { SYSTEM_CLOCK } from '../../time/clock.ts'
import { checkArguments } from '../../validation/arguments.ts'
import { createDebugAccess } from '../debug/access.ts'
import type { DebugOptions } from '../debug/options.ts'
import { removeHeader } from '../debug/requests.ts'
import { CANDIDATE, type CandidateStatus } from '../rollout/candidate.ts'
import type { Upgrade } from '../upgrade.ts'
import { type CanarySettings, type Instance, percentSchema, readCanaryOptions } from './options.ts'
import { beginTrial } from './trial.ts'

/** What `canary` is called with. */
export interface CanaryOptions {
  /** The instance with the live document. */
  live: Instance
  /** The instance with the candidate document. It emits what becomes of the canary, and shows it in its status and reports. */
  candidate: Instance
  /** How much of the traffic gets the candidate, from 0 to 100. Not with `steps`. */
  percent?: number
  /**
   * Shares that follow each other from `starts_at` on, in place of `percent`, as in `rollout.steps` of a plugin.
   *
   * @example [{ percent: 1, for: '10m' }, { percent: 10, for: '1h' }, { percent: 100 }]
   */
  steps?: RolloutStep[]
  /** When the first step begins: an ISO 8601 time with its zone, such as `2030-01-31T12:00:00Z`. Required with `steps`. */
  starts_at?: string
  /**
   * The key of a request, as in `rollout.by` of a plugin: the same key always gets the same document.
   *
   * @default 'ip'
   * @example ['cookie:sid', 'ip']
   */
  by?: string | string[]
  /**
   * When the candidate is stopped: `status_5xx_rate`, and `p99_ms` with `above_control`. The requests that get the live document
   * are the control group. See docs/guarded-rollouts.md.
   *
   * @default none: it is not stopped
   */
  stop_when?: Pick<StopWhen, 'status_5xx_rate' | 'p99_ms' | 'min_runs' | 'window'>
  /**
   * Anyone who sends one of these tokens chooses the document for a request: `dynacode-side: candidate <token>`, or `live`.
   *
   * @default none: nobody chooses
   */
  choose?: Omit<DebugOptions, 'header'>
  /** Called when the candidate is stopped. What it throws is ignored. */
  on_stop?: (stop: RolloutStop & RolloutCounts) => unknown
}

/** How a canary goes. Frozen. */
export type CanaryStatus = CandidateStatus

/** Koa middleware in place of two instances. */
export interface Canary extends Middleware {
  /**
   * Gives the candidate another share of the traffic from now on: 0 drops it, 100 promotes it. A larger share only adds clients.
   * The watch begins again, also after a stop; `steps` end. At 100, conditions with `above_control` are paused.
   *
   * @throws OptionError if it is not a number from 0 to 100
   */
  set_percent(percent: number): void
  status(): CanaryStatus
  /**
   * Has the client's document decide about an upgrade request, as `upgrade` of an instance does: call it in the server's
   * `upgrade` listener. These requests are not counted.
   */
  readonly upgrade: Upgrade
}

const HEADER = 'dynacode-side'

/**
 * Runs a candidate document beside the live one, for a share of the traffic. Each request gets one of the two, through all
 * phases. Whatever happens to the candidate, the live instance goes on as if there were none.
 *
 * @returns Koa middleware. Mount it in place of the live instance
 * @throws OptionError if an option is wrong
 * @example
 * app.use(canary({ live, candidate, percent: 5, by: ['cookie:sid', 'ip'] }))
 */
export function canary(given: CanaryOptions): Canary {
  const { live, candidate, choose, ...settings } = readCanaryOptions(given)
  const { serves } = candidate[CANDIDATE]
  const mayChoose = choose === undefined ? undefined : createDebugAccess(choose, SYSTEM_CLOCK)
  const trial = beginTrial(settings, candidate)

  const isCandidates = (ctx: Context, meets: Predicate) => serves() && meets(ctx)

  function decide(ctx: Context) {
    if (!isCandidates(ctx, trial.isInside)) return live
    trial.ran(ctx)
    return candidate
  }

  /** What the client chose; undefined where it chose nothing, or may not. Nobody behind this sees that it tried. */
  function findChoice({ req, hostname }: Context): Promise<CanarySettings['live'] | undefined> | undefined {
    const text = mayChoose === undefined ? undefined : req.headers[HEADER]
    if (text === undefined) return undefined
    removeHeader(req, HEADER)
    return read(String(text), hostname)
  }

  async function read(text: string, hostname: string) {
    const [, side, token = ''] = /^(candidate|live) (.+)$/.exec(text) ?? []
    if (side === undefined || (await mayChoose?.(token, hostname)) !== true) return undefined
    return side === 'candidate' && serves() ? candidate : live
  }

  function middleware(ctx: Context, next: Next): Promise<unknown> {
    const choice = findChoice(ctx)
    if (choice === undefined) return decide(ctx)(ctx, next)
    return choice.then((chosen) => (chosen ?? decide(ctx))(ctx, next))
  }

  async function upgrade(app: Koa, req: IncomingMessage, socket: Duplex) {
    const ignore = () => undefined
    // Node has taken its own listener off: a client that leaves while its token is checked must not end the process.
    socket.on('error', ignore)
    const ctx = app.createContext(req, new ServerResponse(req)) as Context
    const instance = (await findChoice(ctx)) ?? (isCandidates(ctx, trial.isInsideUncounted) ? candidate : live)
    const decided = instance.upgrade(app, req, socket)
    socket.off('error', ignore)
    return decided
  }

  return Object.assign(middleware as Middleware, {
    upgrade,
    status: trial.status,
    set_percent(percent: number) {
      trial.set({ to: checkArguments('canary.set_percent', percentSchema, percent) })
    },
  })
}
