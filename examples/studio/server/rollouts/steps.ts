import { z } from 'zod'
import type { RolloutStep } from '../../shared/rollouts.ts'

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const LENGTH = /^(\d{1,6})(s|m|h|d)$/
const LONGEST_MS = 90 * 86_400_000
const MOST_STEPS = 20

/** As a plugin has them, in its field `x-steps`. */
const STEPS = z
  .array(
    z.strictObject({
      percent: z.number().gt(0).max(100),
      for: z
        .string()
        .regex(LENGTH, 'expected a length of time such as "10m"')
        .refine(
          (text) => !LENGTH.test(text) || (lengthOf(text) > 0 && lengthOf(text) <= LONGEST_MS),
          'expected "1s" to "90d"',
        )
        .nullish(),
    }),
  )
  .min(1)
  .max(MOST_STEPS)

/** In milliseconds. */
export function lengthOf(text: string): number {
  const [, count, unit] = LENGTH.exec(text) as RegExpExecArray
  return Number(count) * (UNITS_MS[unit as string] as number)
}

/** The steps of a plugin; null where it has none that can be taken. */
export function readSteps(given: unknown): readonly RolloutStep[] | null {
  const steps = STEPS.safeParse(given).data
  if (steps === undefined || findOrderFault(steps) !== undefined) return null
  return steps.map(({ percent, for: length }) => ({ percent, for: length ?? null }))
}

function findOrderFault(steps: z.output<typeof STEPS>): string | undefined {
  for (const [at, { percent, for: length }] of steps.entries()) {
    const before = steps[at - 1]
    if (before !== undefined && percent <= before.percent)
      return `expected more than the ${before.percent} of the step before, got ${percent}`
    if (at < steps.length - 1 && length == null) return 'expected a length of time for each step but the last'
  }
  return undefined
}

type Fields = Readonly<Record<string, unknown>>

/** What is wrong with the steps of a plugin, as a document has it; undefined where nothing is, or it has none. */
export function findStepsFault(plugin: Fields): string | undefined {
  const given = plugin['x-steps']
  if (given === undefined || given === null) return undefined
  const read = STEPS.safeParse(given)
  if (!read.success) {
    const [issue] = read.error.issues
    return `${issue?.path.join('.') ?? ''}: ${issue?.message}`.replace(/^: /, '')
  }
  const fault = findOrderFault(read.data)
  if (fault !== undefined) return fault
  if (plugin.variants != null) return 'variants have no steps: their percentages are their own'
  const rollout = (plugin.rollout ?? {}) as Fields
  if (rollout.steps != null) return 'expected either rollout.steps, which follow the clock, or x-steps; got both'
  if (rollout.stop_when == null) return 'expected rollout.stop_when: without it nothing says whether to go on'
  const shares = read.data.map(({ percent }) => percent)
  if (rollout.percent !== 0 && !shares.includes(rollout.percent as number))
    return `expected rollout.percent to be that of a step, or 0; got ${JSON.stringify(rollout.percent) ?? 'nothing'}`
  return undefined
}
