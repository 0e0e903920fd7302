import type { RolloutCounts } from '../../events/table.ts'
import type { StopRule, StopRules } from '../../matching/stop-when.ts'
import type { RolloutStop, RolloutWatch } from '../../program.ts'
import type { Clock } from '../../time/clock.ts'
import { type Comparison, compareGroups } from './groups.ts'
import { holdLimit, type Limit } from './limit.ts'
import { awaitResponse, countResponse, type ResponseWatcher } from './responses.ts'
import { learnSlowness } from './slowness.ts'

/** The probability that a process stops a rollout, ever, which stays within all of its limits: one in ten thousand. */
export const FALSE_STOPS = 1e-4
/** The share of runs that may take longer than the 99th percentile. */
const SLOWEST = 0.01

/** So many runs are each timed at first; after that one in so many, and these many after one that was slow. */
const TIMED_FIRST = 1000
const TIMED_ONE_IN = 8
const TIMED_AFTER_SLOW = 200

/** What a rule of the rollout is held by. */
interface Held {
  readonly rule: StopRule
  readonly limit: Limit
  readonly comparison: Comparison | undefined
}

/**
 * Makes what watches a rollout.
 *
 * @param stopped called once, when it stops itself
 * @param together how many are watched as one: together they are stopped by mistake no more often than one
 */
export function createRolloutWatch(
  { rules, min_runs, window_ms }: StopRules,
  clock: Clock,
  stopped: (stop: RolloutStop, counts: RolloutCounts) => void,
  together = 1,
): RolloutWatch {
  const inside = { requests: 0, runs: 0, errors: 0, exits: 0, slow_runs: 0, ...NO_RESPONSES }
  const control = { requests: 0, ...NO_RESPONSES }
  let stop: RolloutStop | null = null
  let timed = 0
  let slow_at = Number.NEGATIVE_INFINITY
  let forgetTurn: (() => void) | undefined

  const held = rules.map((rule) => hold(rule, FALSE_STOPS / rules.length / together))
  const find = (condition: StopRule['condition'], is_of_responses: boolean) =>
    held.find(({ rule, comparison }) => rule.condition === condition && (comparison !== undefined) === is_of_responses)
  const errors = find('error_rate', false)
  const exits = find('exit_rate', false)
  const slow_runs = find('p99_ms', false)
  const statuses = held.find(({ rule }) => rule.condition === 'status_5xx_rate')
  const slow_responses = find('p99_ms', true)
  const slowness = slow_responses && learnSlowness()
  const awaits = statuses !== undefined || slow_responses !== undefined

  function trip(rule: StopRule): void {
    if (stop !== null) return
    stop = Object.freeze({ ...rule, at: clock.now() })
    forgetTurn?.()
    stopped(stop, counts())
  }

  /** One of the rollout that a limit without a control group is for. */
  function check(one: Held | undefined, is_bad: boolean, may_stop: boolean): void {
    if (one === undefined) return
    if (!is_bad) one.limit.pass()
    else if (one.limit.observe(1) && may_stop) trip(one.rule)
  }

  const watcher: ResponseWatcher = {
    is_timed: slow_responses !== undefined,
    responded(is_control, status, duration_ms) {
      if (stop !== null) return
      const may_stop = inside.runs >= min_runs
      const group = is_control ? control : inside
      const is_5xx = status >= 500
      group.responses += 1
      if (is_5xx) group.status_5xx += 1
      if (statuses?.comparison?.add(is_control, is_5xx) && may_stop) trip(statuses.rule)
      if (statuses?.comparison === undefined && !is_control) check(statuses, is_5xx, may_stop)
      if (duration_ms === undefined || slowness === undefined) return
      const bound_ms = slowness.bound_ms()
      if (bound_ms !== undefined) compareTimes(slow_responses as Held, is_control, duration_ms, bound_ms, may_stop)
      if (is_control && slowness.add(duration_ms)) slow_responses?.comparison?.restart()
    },
  }

  function compareTimes(one: Held, is_control: boolean, time_ms: number, bound_ms: number, may_stop: boolean): void {
    const is_slow = time_ms > bound_ms + (is_control ? 0 : one.rule.limit)
    if (is_slow) (is_control ? control : inside).slow_responses += 1
    if (one.comparison?.add(is_control, is_slow) && may_stop && stop === null) trip(one.rule)
  }

  function turn(): void {
    for (const { limit } of held) limit.turn()
    forgetTurn = clock.at(clock.now() + window_ms / 2, turn)
  }

  const counts = (): RolloutCounts =>
    Object.freeze({ inside: Object.freeze({ ...inside }), control: Object.freeze({ ...control }) })

  return {
    stop: () => stop,
    counts,
    isTimed() {
      if (slow_runs === undefined) return false
      timed += 1
      return timed <= TIMED_FIRST || timed - slow_at <= TIMED_AFTER_SLOW || timed % TIMED_ONE_IN === 0
    },
    met(ctx, is_inside) {
      const group = is_inside ? inside : control
      group.requests += 1
      if (awaits) awaitResponse(ctx, watcher, !is_inside)
    },
    ran(ctx, outcome, duration_ms, is_skipped_next) {
      if (stop !== null) return
      inside.runs += 1
      // One that is not run for now, since it failed too often in a row, would not come to the number of runs.
      const may_stop = inside.runs >= min_runs || is_skipped_next
      if (outcome === 'failed') inside.errors += 1
      else if (outcome === 'exit') inside.exits += 1
      if (awaits) countResponse(ctx, watcher)
      check(errors, outcome === 'failed', may_stop)
      check(exits, outcome === 'exit', may_stop)
      if (duration_ms === undefined || slow_runs === undefined) return
      const is_slow = duration_ms > slow_runs.rule.limit
      if (is_slow) {
        inside.slow_runs += 1
        slow_at = timed
      }
      check(slow_runs, is_slow, may_stop)
    },
    halt(given) {
      stop ??= given
      forgetTurn?.()
    },
    begin() {
      forgetTurn ??= clock.at(clock.now() + window_ms / 2, turn)
    },
    end: () => forgetTurn?.(),
  }
}

const NO_RESPONSES = { responses: 0, status_5xx: 0, slow_responses: 0 }

function hold(rule: StopRule, alpha: number): Held {
  const { condition, above_control, limit } = rule
  // The plugin does not run for the control group: there is no error, and no exit, to be above of.
  const is_compared = above_control && (condition === 'status_5xx_rate' || condition === 'p99_ms')
  const rate = condition !== 'p99_ms' ? limit : is_compared ? 0 : SLOWEST
  const held = holdLimit(rate, is_compared, alpha)
  return { rule, limit: held, comparison: is_compared ? compareGroups(held) : undefined }
}
