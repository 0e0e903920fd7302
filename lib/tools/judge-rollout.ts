import * as z from 'zod'
import { readStopWhen, type StopRule, type StopWhen, stopWhenSchema } from '../matching/stop-when.ts'
import { placeBets } from '../request/rollout/evidence.ts'
import { FALSE_STOPS } from '../request/rollout/watch.ts'
import { checkArguments } from '../validation/arguments.ts'
import { dealBlocks } from './blocks.ts'

const number = z.number().min(0)
const group = { responses: number, status_5xx: number, slow_responses: number }
const countsSchema = z.object({
  inside: z.object({ runs: number, errors: number, exits: number, slow_runs: number, ...group }),
  control: z.object(group),
})
const evidenceSchema = z.object({
  runs: number,
  sums: z.record(z.string(), z.tuple([number, number])),
  capitals: z.record(z.string(), z.array(z.number())),
})

/** Requests of one group. */
interface AddedResponses {
  responses: number
  status_5xx: number
  slow_responses: number
}

/** What was counted since the last time, of both groups: a part of what the `rollouts` of reports have. */
export interface AddedCounts {
  inside: AddedResponses & { runs: number; errors: number; exits: number; slow_runs: number }
  control: AddedResponses
}

/** What is known of a rollout so far, as plain JSON. */
export interface RolloutEvidence {
  /** Runs so far. */
  runs: number
  /** By condition: how many there were, and how many of them count against the limit. */
  sums: Record<string, [number, number]>
  /** By condition that is compared with the control group: the logarithm of each bet's capital. */
  capitals: Record<string, number[]>
}

/** The result of `judge_rollout`. */
export interface JudgedRollout {
  /** Pass it with the next counts. */
  readonly evidence: RolloutEvidence
  /** The first limit that is exceeded; null if none is. */
  readonly exceeded: StopRule | null
}

/** The share of runs that may take longer than the 99th percentile. */
const SLOWEST = 0.01

/**
 * Adds counts to what is known of a rollout, and says whether it is over a limit: by the test of a single process
 * (`gatherEvidence`), over the whole rollout. What the plugin does is judged by the sums alone, whoever counted them. The two
 * groups are compared within these counts, in up to 8 blocks: what is wrong with one process, or at one time, is wrong in both of
 * them.
 */
export function judgeRollout(
  stop_when: StopWhen,
  evidence: RolloutEvidence | undefined,
  counts: AddedCounts,
): JudgedRollout {
  const conditions = checkArguments('judge_rollout', stopWhenSchema, stop_when)
  const { rules, min_runs } = readStopWhen(conditions, Number.POSITIVE_INFINITY)
  const before = evidence ?? { runs: 0, sums: {}, capitals: {} }
  const { runs, sums, capitals } = structuredClone(checkArguments('judge_rollout', evidenceSchema, before))
  const { inside, control } = checkArguments('judge_rollout', countsSchema, counts)
  const now = runs + inside.runs
  let exceeded: StopRule | null = null
  for (const rule of rules) {
    const { condition, limit, above_control } = rule
    const is_compared = above_control && (condition === 'status_5xx_rate' || condition === 'p99_ms')
    const {
      bets,
      won,
      lost,
      limit: rate,
    } = placeBets(condition !== 'p99_ms' ? limit : is_compared ? 0 : SLOWEST, is_compared)
    if (is_compared) {
      const field = condition === 'p99_ms' ? 'slow_responses' : 'status_5xx'
      // Of one group alone there is nothing to compare.
      const differences = dealBlocks({
        inside: inside.responses,
        inside_bad: inside[field],
        outside: control.responses,
        outside_bad: control[field],
      })
      const known = capitals[condition] ?? bets.map(() => 0)
      capitals[condition] = known.map((capital, at) =>
        differences.reduce((sum, each) => sum + Math.log1p((bets[at] as number) * (each - rate)), capital),
      )
    } else {
      const [all, bad] = sums[condition] ?? [0, 0]
      const [more, more_bad] = OWN[condition](inside)
      sums[condition] = [all + more, bad + Math.min(more, more_bad)]
    }
    const [all, bad] = sums[condition] ?? [0, 0]
    const logarithms =
      capitals[condition] ?? bets.map((_, at) => bad * (won[at] as number) + (all - bad) * (lost[at] as number))
    if (now >= min_runs && meanOf(logarithms) >= Math.log(rules.length / FALSE_STOPS)) exceeded ??= rule
  }
  return { evidence: { runs: now, sums, capitals }, exceeded }
}

/** How many there were, and how many of them count against a limit. Not every run is timed: the others count as quick. */
const OWN: Record<StopRule['condition'], (inside: AddedCounts['inside']) => readonly [all: number, bad: number]> = {
  error_rate: ({ runs, errors }) => [runs, errors],
  exit_rate: ({ runs, exits }) => [runs, exits],
  status_5xx_rate: ({ responses, status_5xx }) => [responses, status_5xx],
  p99_ms: ({ runs, slow_runs }) => [runs, slow_runs],
}

/** The logarithm of the mean of what these are the logarithms of. */
function meanOf(logarithms: readonly number[]): number {
  const most = Math.max(...logarithms)
  return most + Math.log(logarithms.reduce((sum, each) => sum + Math.exp(each - most), 0) / logarithms.length)
}
