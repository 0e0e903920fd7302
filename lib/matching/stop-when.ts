import * as z from 'zod'
import { durationSchema, readDuration } from './duration.ts'

/** What a guarded rollout can be stopped for. */
export const STOP_CONDITIONS = Object.freeze(['error_rate', 'exit_rate', 'status_5xx_rate', 'p99_ms'] as const)
/** A condition of `stop_when`. */
export type StopCondition = (typeof STOP_CONDITIONS)[number]

/** How much more of it there may be than among the requests that the rollout leaves out. */
interface AboveControl {
  above_control: number
}

/** When a rollout stops itself, as a document has it. */
export interface StopWhen {
  error_rate?: number | AboveControl | undefined
  exit_rate?: number | AboveControl | undefined
  status_5xx_rate?: number | AboveControl | undefined
  p99_ms?: number | AboveControl | undefined
  min_runs?: number | undefined
  window?: string | undefined
}

const SHORTEST_WINDOW_MS = 1000
const LONGEST_WINDOW_MS = 7 * 86_400_000

// A share of nothing is passed by the first failure there is, and one of everything never.
const share = z.number().gt(0).lt(1)
/** Of what only happens where the plugin runs: in the control group it is never above 0. */
const own_rate = z.union([share, z.strictObject({ above_control: share })])
const rate = z.union([share, z.strictObject({ above_control: z.number().min(0).lt(1) })])
const time = z.union([z.number().gt(0), z.strictObject({ above_control: z.number().min(0) })])

/**
 * When a rollout stops itself. Strict: a condition that is misspelled would never be met.
 *
 * @internal
 */
export const stopWhenSchema = z
  .strictObject({
    error_rate: own_rate.optional(),
    exit_rate: own_rate.optional(),
    status_5xx_rate: rate.optional(),
    p99_ms: time.optional(),
    min_runs: z.int().min(1).max(1_000_000).optional(),
    window: durationSchema
      .refine((text) => {
        if (!durationSchema.safeParse(text).success) return true
        const window_ms = readDuration(text)
        return window_ms >= SHORTEST_WINDOW_MS && window_ms <= LONGEST_WINDOW_MS
      }, 'a length of time from "1s" to "7d"')
      .optional(),
  })
  .refine(
    (given) => STOP_CONDITIONS.some((name) => given[name] !== undefined),
    `at least one of ${STOP_CONDITIONS.join(', ')}`,
  ) satisfies z.ZodType<StopWhen>

/** One bound of a guarded rollout. Frozen. */
export interface StopRule {
  readonly condition: StopCondition
  /** A share from 0 to 1; of `p99_ms`, milliseconds. */
  readonly limit: number
  /** Whether the limit is how much more it may be than among the requests that the rollout leaves out. */
  readonly above_control: boolean
}

/** When a rollout stops itself. Frozen. */
export interface StopRules {
  readonly rules: readonly StopRule[]
  readonly min_runs: number
  readonly window_ms: number
}

const DEFAULT_MIN_RUNS = 20
const DEFAULT_WINDOW_MS = 600_000

/**
 * Puts the document's conditions into rules.
 *
 * @param schedule_ms how long the steps of the rollout take; Infinity without steps
 */
export function readStopWhen(given: StopWhen, schedule_ms: number): StopRules {
  const rules = STOP_CONDITIONS.flatMap((condition): StopRule[] => {
    const bound = given[condition]
    if (bound === undefined) return []
    const above_control = typeof bound === 'object'
    return [Object.freeze({ condition, limit: above_control ? bound.above_control : bound, above_control })]
  })
  return Object.freeze({
    rules: Object.freeze(rules),
    min_runs: given.min_runs ?? DEFAULT_MIN_RUNS,
    window_ms: given.window === undefined ? Math.min(DEFAULT_WINDOW_MS, schedule_ms) : readDuration(given.window),
  })
}
