import * as z from 'zod'
import { durationSchema, readDuration } from './duration.ts'

/** A step of a rollout, as a document has it. */
export interface RolloutStep {
  /** From 0 to 100. */
  percent: number
  /** How long it lasts, such as `10m`; the last step may go without, and lasts in any case. */
  for?: string | undefined
}

/**
 * A step of a rollout.
 *
 * @internal
 */
export const stepSchema = z.strictObject({ percent: z.number().min(0).max(100), for: durationSchema.optional() })

/** The share of the traffic from one time on. */
export interface Step {
  readonly percent: number
  /** In milliseconds since 1970. */
  readonly from: number
}

/** When each step begins, in order. Frozen. */
export type Schedule = readonly Step[]

/** Puts the steps of a document into a schedule, once they were checked. */
export function createSchedule(steps: readonly RolloutStep[], starts_at: number): Schedule {
  let from = starts_at
  return Object.freeze(
    steps.map(({ percent, for: length }) => {
      const step = Object.freeze({ percent, from })
      from += length === undefined ? 0 : readDuration(length)
      return step
    }),
  )
}

/** The step that a rollout is at; undefined before the first. */
export function stepAt(schedule: Schedule, time: number): Step | undefined {
  return schedule.findLast(({ from }) => time >= from)
}

/** What is wrong with the steps of a document: a path from `steps`, and what to say; undefined where nothing is. */
export function findStepFault(
  steps: readonly RolloutStep[],
): { readonly path: string; readonly message: string } | undefined {
  for (const [index, { percent, for: length }] of steps.entries()) {
    const before = steps[index - 1]
    if (before !== undefined && percent <= before.percent) {
      const message = `expected more than the ${before.percent} of the step before, got ${percent}`
      return { path: `[${index}].percent`, message }
    }
    if (length === undefined ? index < steps.length - 1 : readDuration(length) <= 0) {
      const message = 'expected a length of time such as "10m" for each step but the last'
      return { path: `[${index}].for`, message: `${message}, got ${length === undefined ? 'nothing' : `"${length}"`}` }
    }
  }
  return undefined
}

/** How long the steps take in all, without the last one where that says nothing, in milliseconds. */
export function lengthOf(steps: readonly RolloutStep[]): number {
  return steps.reduce((sum, { for: length }) => sum + (length === undefined ? 0 : readDuration(length)), 0)
}
