import type { Middleware } from 'koa'
import * as z from 'zod'
import { pluginSchema } from '../../document.ts'
import { OptionError } from '../../errors.ts'
import type { DynacodeEmitter } from '../../events/emitter.ts'
import type { RolloutCounts } from '../../events/table.ts'
import { readDuration } from '../../matching/duration.ts'
import { findKeyFault, type KeyNames, keyNamesSchema } from '../../matching/request-key.ts'
import type { Share } from '../../matching/rollout.ts'
import { createSchedule, findStepFault, lengthOf, stepSchema } from '../../matching/rollout-steps.ts'
import { readStopWhen, type StopRules, type StopWhen, stopWhenSchema } from '../../matching/stop-when.ts'
import type { RolloutStop } from '../../program.ts'
import { checkArguments } from '../../validation/arguments.ts'
import { callback } from '../../validation/shapes.ts'
import { type DebugOptions, debugOptionsSchema } from '../debug/options.ts'
import { CANDIDATE, type Candidate } from '../rollout/candidate.ts'
import type { Upgrade } from '../upgrade.ts'

/** An instance that `dynacode(options)` returned. */
export type Instance = Middleware & { readonly events: DynacodeEmitter; readonly upgrade: Upgrade }

/** The options once they are checked. Frozen. */
export interface CanarySettings {
  readonly live: Instance
  readonly candidate: Instance & { readonly [CANDIDATE]: Candidate }
  readonly by: KeyNames
  /** The first share: a percentage, or a schedule. */
  readonly share: Pick<Share, 'to' | 'schedule'>
  readonly rules: StopRules | undefined
  readonly choose: Omit<DebugOptions, 'header'> | undefined
  readonly on_stop: ((stop: RolloutStop & RolloutCounts) => unknown) | undefined
}

/** @internal */
export const percentSchema = z.number().min(0).max(100)
const instance = z.custom<CanarySettings['candidate']>(
  (value) => typeof (value as { [CANDIDATE]?: Candidate } | null)?.[CANDIDATE]?.serves === 'function',
  'an instance that dynacode(options) returned',
)
const schema = z.strictObject({
  live: instance,
  candidate: instance,
  percent: percentSchema.optional(),
  steps: z.array(stepSchema).min(1).max(100).optional(),
  starts_at: pluginSchema.shape.starts_at.unwrap().unwrap().optional(),
  by: keyNamesSchema.default('ip'),
  stop_when: stopWhenSchema.optional(),
  choose: debugOptionsSchema.optional(),
  on_stop: (callback as z.ZodType<NonNullable<CanarySettings['on_stop']>>).optional(),
})
type Given = z.infer<typeof schema>

/**
 * Checks what `canary` was called with.
 *
 * @throws OptionError that names the option, what was expected and what came
 */
export function readCanaryOptions(given: unknown): CanarySettings {
  const options = checkArguments('canary', schema, given)
  const { live, candidate, by, choose, on_stop } = options
  const fault = findKeyFault(by)
  if (fault !== undefined) refuse(`by${fault.path}`, fault.message)
  const share = readShare(options)
  const rules = readRules(options)
  return Object.freeze({ live, candidate, by, share, rules, choose, on_stop })
}

function readShare({ percent, steps, starts_at }: Given): CanarySettings['share'] {
  if (steps === undefined) {
    if (starts_at !== undefined) refuse('starts_at', 'expected steps with it, which begin then')
    if (percent === undefined) refuse('percent', 'expected a number, or steps, got nothing')
    return { to: percent as number }
  }
  if (percent !== undefined) refuse('steps', 'expected either percent or steps, got both')
  if (starts_at === undefined) refuse('starts_at', 'expected the time at which the first step begins, got nothing')
  const fault = findStepFault(steps)
  if (fault !== undefined) refuse(`steps${fault.path}`, fault.message)
  return { to: steps.at(-1)?.percent as number, schedule: createSchedule(steps, Date.parse(starts_at as string)) }
}

/** A document is judged by the responses: a run of one of its plugins says nothing of the whole. */
function readRules({ stop_when, percent, steps }: Given): StopRules | undefined {
  if (stop_when === undefined) return undefined
  const { error_rate, exit_rate, p99_ms, window } = stop_when
  const judged = 'a document is judged by its responses'
  if (error_rate !== undefined) refuse('stop_when.error_rate', `expected status_5xx_rate or p99_ms: ${judged}`)
  if (exit_rate !== undefined) refuse('stop_when.exit_rate', `expected status_5xx_rate or p99_ms: ${judged}`)
  if (typeof p99_ms === 'number') refuse('stop_when.p99_ms', `expected { above_control: … }: ${judged}`)
  // A single step, or the last one, may last for ever.
  const length_ms = lengthOf(steps ?? []) || Number.POSITIVE_INFINITY
  if (window !== undefined && readDuration(window) > length_ms) {
    refuse('stop_when.window', `expected at most the ${length_ms / 1000} s that the steps take, got "${window}"`)
  }
  const rules = readStopWhen(stop_when as StopWhen, length_ms)
  const first = steps?.[0]?.percent ?? percent ?? 0
  if (first === 100 && rules.rules.some(({ above_control }) => above_control)) {
    const message = `expected less than 100: no request is left for the control group of stop_when, got ${first}`
    refuse(steps === undefined ? 'percent' : 'steps[0].percent', message)
  }
  return rules
}

function refuse(option: string, message: string): never {
  throw new OptionError(option, `canary: option ${option}: ${message}`)
}
