import { z } from 'zod'
import { TIME } from './values.ts'

/** A step of a rollout that the studio raises by itself: `x-steps` of a plugin. Only the last one goes without `for`. */
export const ROLLOUT_STEP = z.object({ percent: z.number(), for: z.string().nullable() })
export type RolloutStep = z.output<typeof ROLLOUT_STEP>

const COUNT = z.number().min(0)
const GROUP = { requests: COUNT, responses: COUNT, status_5xx: COUNT, slow_responses: COUNT }
/** What all processes have counted together, of the requests that a rollout includes, and of those that it leaves out. */
export const ROLLOUT_COUNTS = z.object({
  inside: z.object({ runs: COUNT, errors: COUNT, exits: COUNT, slow_runs: COUNT, ...GROUP }),
  control: z.object(GROUP),
})
export type RolloutCounts = z.output<typeof ROLLOUT_COUNTS>

/**
 * Why a rollout stops. `seen_by`: a process by itself, which `host` and `pid` name; the studio by the sums of all; or the person
 * whose name is `by`. For the first two, `by` is the token by which the report came that led to it.
 */
export const ROLLOUT_STOP = z.object({
  seen_by: z.enum(['process', 'sums', 'person']),
  by: z.string().nullable(),
  host: z.string().nullable(),
  pid: z.int().nullable(),
  condition: z.string().nullable(),
  limit: z.number(),
  above_control: z.boolean(),
  /** What that process, or all of them, had counted. */
  counts: ROLLOUT_COUNTS.nullable(),
})
export type RolloutStop = z.output<typeof ROLLOUT_STOP>

/** `replaced`: somebody has changed the plugin since. */
export const ROLLOUT_STATES = ['running', 'stopped', 'replaced'] as const
export type RolloutState = (typeof ROLLOUT_STATES)[number]

/**
 * A guarded rollout of a plugin. `steps`: those that the studio takes by itself; `step`: the one that it is at, null where the
 * share is none of them; `due_at`: when the next one may begin; `hold`: why it does not. `first_version`, `version`: the versions
 * that began it, and that gave it its share; `reason`: why it was stopped, in words.
 */
export const ROLLOUT = z.object({
  id: z.int(),
  domain: z.string(),
  name: z.string(),
  phase: z.string(),
  state: z.enum(ROLLOUT_STATES),
  percent: z.number(),
  percent_since: TIME,
  first_version: z.int(),
  version: z.int(),
  steps: z.array(ROLLOUT_STEP).nullable(),
  step: z.int().nullable(),
  due_at: TIME.nullable(),
  hold: z.string().nullable(),
  paused_by: z.string().nullable(),
  reason: z.string().nullable(),
  stopped_version: z.int().nullable(),
  counts: ROLLOUT_COUNTS,
  limits: z.array(z.string()),
  created_at: TIME,
  ended_at: TIME.nullable(),
})
export type Rollout = z.output<typeof ROLLOUT>

/** Shares over time, in percent: of the requests, of the runs, and of the responses of both groups; null where there were none. */
const SHARE = z.number().nullable()
export const ROLLOUT_CHART = z.object({
  from: TIME,
  until: TIME,
  step_seconds: z.int(),
  points: z.array(
    z.object({
      at: TIME,
      share: SHARE,
      errors: SHARE,
      exits: SHARE,
      slow_runs: SHARE,
      status_5xx: SHARE,
      control_status_5xx: SHARE,
      slow_responses: SHARE,
      control_slow_responses: SHARE,
    }),
  ),
  /** When it got which share. */
  marks: z.array(z.object({ at: TIME, version: z.int(), message: z.string() })),
})
export type RolloutChart = z.output<typeof ROLLOUT_CHART>

const share = (value: number) => `${Number((value * 100).toPrecision(3))} %`

/** A limit in plain words: what there may be no more of. */
export function describeLimit(condition: string, limit: number, above_control: boolean): string {
  const above = above_control ? ' above the requests without it' : ''
  switch (condition) {
    case 'error_rate':
      return `runs that fail: at most ${share(limit)}`
    case 'exit_rate':
      return `runs that end the request: at most ${share(limit)}`
    case 'status_5xx_rate':
      return above_control
        ? `5xx responses: at most ${Number((limit * 100).toPrecision(3))} percentage points${above}`
        : `5xx responses: at most ${share(limit)}`
    case 'p99_ms':
      return `99th percentile of the duration: at most ${limit} ms${above}`
    default:
      return condition
  }
}

/** Why a rollout stops, and who has seen it, in plain words. */
export function describeStop({ seen_by, by, host, pid, ...reason }: RolloutStop): string {
  if (seen_by === 'person') return `stopped by ${by}`
  return `${describeReason(reason)}, ${seen_by === 'sums' ? 'in all processes together' : `on ${host} (process ${pid})`}`
}

/** Which limit was exceeded, in plain words, with what was counted. */
export function describeReason({
  condition,
  limit,
  above_control,
  counts,
}: Pick<RolloutStop, 'condition' | 'limit' | 'above_control' | 'counts'>): string {
  return describeExceeded(condition ?? '', limit, above_control) + describeCounts(condition ?? '', counts)
}

function describeExceeded(condition: string, limit: number, above_control: boolean): string {
  const points = `${Number((limit * 100).toPrecision(3))} percentage points`
  switch (condition) {
    case 'error_rate':
      return `more than ${share(limit)} of the runs fail`
    case 'exit_rate':
      return `more than ${share(limit)} of the runs end the request`
    case 'status_5xx_rate':
      return above_control
        ? `the share of 5xx responses is more than ${points} above that of the requests without it`
        : `more than ${share(limit)} of the responses are 5xx`
    case 'p99_ms':
      return above_control
        ? `responses are slower than those of the requests without it, by more than ${limit} ms`
        : `more than 1 % of the runs take longer than ${limit} ms`
    default:
      return `${condition} is exceeded`
  }
}

function describeCounts(condition: string, counts: RolloutCounts | null): string {
  if (counts === null) return ''
  const { inside, control } = counts
  const of = (bad: number, all: number) => `${bad.toLocaleString('en')} of ${all.toLocaleString('en')}`
  switch (condition) {
    case 'error_rate':
      return `: ${of(inside.errors, inside.runs)}`
    case 'exit_rate':
      return `: ${of(inside.exits, inside.runs)}`
    case 'status_5xx_rate':
      return `: ${of(inside.status_5xx, inside.responses)}, without it ${of(control.status_5xx, control.responses)}`
    case 'p99_ms':
      return inside.slow_responses > 0 || control.slow_responses > 0
        ? `: ${of(inside.slow_responses, inside.responses)}, without it ${of(control.slow_responses, control.responses)}`
        : `: ${inside.slow_runs.toLocaleString('en')} slow runs`
    default:
      return ''
  }
}
