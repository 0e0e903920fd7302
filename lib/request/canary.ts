import type { Context, Middleware, Next } from 'koa'
import * as z from 'zod'
import { OptionError } from '../errors.ts'
import { type DynacodeEmitter, ownListener } from '../events/emitter.ts'
import type { GroupCounts, RolloutCounts } from '../events/table.ts'
import { createDraw, findKeyFault, keyNamesSchema } from '../matching/request-key.ts'
import { createShare } from '../matching/rollout.ts'
import { readStopWhen, type StopRules, type StopWhen, stopWhenSchema } from '../matching/stop-when.ts'
import type { RolloutStop, RolloutWatch } from '../program.ts'
import { SYSTEM_CLOCK } from '../time/clock.ts'
import { checkArguments } from '../validation/arguments.ts'
import { callback } from '../validation/shapes.ts'
import { createDebugAccess } from './debug/access.ts'
import { type DebugOptions, debugOptionsSchema } from './debug/options.ts'
import { removeHeader } from './debug/requests.ts'
import { createRolloutWatch } from './rollout/watch.ts'

/** Under this an instance tells whether its plugins run for requests: a document is live, and nothing is switched off. */
export const SERVES: unique symbol = Symbol('serves')

/** An instance that `dynacode(options)` returned. */
type Instance = Middleware & { readonly events: DynacodeEmitter }

/** What `canary` is called with. */
export interface CanaryOptions {
  /** The instance with the live document. */
  live: Instance
  /** The instance with the candidate document. */
  candidate: Instance
  /** How much of the traffic gets the candidate, from 0 to 100. */
  percent: number
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
export interface CanaryStatus {
  /** The share of the candidate, from 0 to 100: 0 once it is stopped, or while it has no live document. */
  readonly percent: number
  /** Why it was stopped; null if it was not. */
  readonly stopped: RolloutStop | null
  /** Counts of the requests with the candidate; null without `stop_when`. */
  readonly candidate: GroupCounts | null
  /** Counts of the requests with the live document; null without `stop_when`. */
  readonly live: GroupCounts | null
}

/** Koa middleware in place of two instances. */
export interface Canary extends Middleware {
  /**
   * Gives the candidate another share of the traffic from now on: 0 drops it, 100 promotes it. A larger share only adds clients.
   * The watch begins again, also after a stop. At 100, conditions with `above_control` are paused.
   *
   * @throws OptionError if it is not a number from 0 to 100
   */
  set_percent(percent: number): void
  status(): CanaryStatus
}

const percentSchema = z.number().min(0).max(100)
const instance = z.custom<Instance>(
  (value) => typeof (value as { [SERVES]?: unknown } | null)?.[SERVES] === 'function',
  'an instance that dynacode(options) returned',
)
const schema = z.strictObject({
  live: instance,
  candidate: instance,
  percent: percentSchema,
  by: keyNamesSchema.default('ip'),
  stop_when: stopWhenSchema.optional(),
  choose: debugOptionsSchema.optional(),
  on_stop: (callback as z.ZodType<NonNullable<CanaryOptions['on_stop']>>).optional(),
})

const HEADER = 'dynacode-side'
/** What keeps these clients apart from those of plugins. */
const SALT = 'dynacode candidate'

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
  const { live, candidate, by, choose, on_stop, ...options } = checkArguments('canary', schema, given)
  const rules = readRules(options.stop_when as StopWhen | undefined)
  const fault = findKeyFault(by)
  if (fault !== undefined) throw new OptionError(`by${fault.path}`, `canary: option by${fault.path}: ${fault.message}`)
  const mayChoose = choose === undefined ? undefined : createDebugAccess(choose, SYSTEM_CLOCK)
  const draw = createDraw()
  const serves = () => (candidate as Instance & { [SERVES](): boolean })[SERVES]()
  // A callback that throws or rejects harms nobody.
  const stopped = (stop: RolloutStop, counts: RolloutCounts) =>
    void (async () => on_stop?.({ ...stop, ...counts }))().catch(() => undefined)
  checkControl(rules, options.percent)
  let percent = options.percent
  let watch: RolloutWatch | null = null
  let isInside = begin()

  /** A new share, and a watch that knows nothing yet. */
  function begin() {
    watch?.end()
    watch = rules === undefined ? null : createRolloutWatch(rules, SYSTEM_CLOCK, stopped)
    watch?.begin()
    return createShare({ by, from: 0, to: percent, salt: SALT }, draw, watch)
  }

  // Another version of the candidate is another candidate.
  candidate.events.on(
    'bg_updated_plugins',
    ownListener(() => {
      isInside = begin()
    }),
  )

  function decide(ctx: Context): Instance {
    if (!serves() || !isInside(ctx)) return live
    watch?.ran(ctx, 'done', undefined, false)
    return candidate
  }

  async function chosen(ctx: Context, next: Next, text: string): Promise<unknown> {
    const [, side, token = ''] = /^(candidate|live) (.+)$/.exec(text) ?? []
    const may = side !== undefined && (await mayChoose?.(token, ctx.hostname)) === true
    if (!may) return decide(ctx)(ctx, next)
    return side === 'candidate' && serves() ? candidate(ctx, next) : live(ctx, next)
  }

  function middleware(ctx: Context, next: Next): Promise<unknown> {
    const text = mayChoose === undefined ? undefined : ctx.req.headers[HEADER]
    if (text === undefined) return decide(ctx)(ctx, next)
    removeHeader(ctx.req, HEADER)
    return chosen(ctx, next, String(text))
  }

  return Object.assign(middleware as Middleware, {
    set_percent(next: number) {
      percent = checkArguments('canary.set_percent', percentSchema, next)
      isInside = begin()
    },
    status() {
      const stopped = watch?.stop() ?? null
      const counts = watch?.counts()
      return Object.freeze({
        percent: stopped === null && serves() ? percent : 0,
        stopped,
        candidate: counts?.inside ?? null,
        live: counts?.control ?? null,
      })
    },
  })
}

/** A document is judged by the responses: a run of one of its plugins says nothing of the whole. */
function readRules(stop_when: StopWhen | undefined): StopRules | undefined {
  if (stop_when === undefined) return undefined
  const { error_rate, exit_rate, p99_ms } = stop_when
  const wrong = [
    error_rate === undefined ? [] : ['error_rate', 'status_5xx_rate or p99_ms'],
    exit_rate === undefined ? [] : ['exit_rate', 'status_5xx_rate or p99_ms'],
    typeof p99_ms === 'number' ? ['p99_ms', '{ above_control: … }'] : [],
  ].find(([name]) => name !== undefined)
  if (wrong === undefined) return readStopWhen(stop_when, Number.POSITIVE_INFINITY)
  const option = `stop_when.${wrong[0]}`
  throw new OptionError(option, `canary: option ${option}: expected ${wrong[1]}: a document is judged by its responses`)
}

function checkControl(rules: StopRules | undefined, percent: number): void {
  if (percent < 100 || rules?.rules.every(({ above_control }) => !above_control) !== false) return
  const message = 'expected less than 100: no request is left for the control group of stop_when'
  throw new OptionError('percent', `canary: option percent: ${message}, got ${percent}`)
}
