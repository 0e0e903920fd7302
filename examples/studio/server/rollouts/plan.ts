import type { RolloutStep } from '../../shared/rollouts.ts'
import { lengthOf } from './steps.ts'

/** A rollout, as far as its next step depends on it. */
export interface Planned {
  readonly steps: readonly RolloutStep[] | null
  readonly percent: number
  readonly percent_since: Date
  /** Runs since then, and how many there have to be. */
  readonly step_runs: number
  readonly min_runs: number
  readonly paused_by: string | null
}

/** What processes say of the version that gave the rollout its share. */
export interface Standing {
  /** Processes that should report: those that did not close, and were not silent for long. */
  readonly expected: number
  /** Of those, how many report and run that version, or a later one. */
  readonly reporting: number
  /** What is wrong with the plugin in a process; undefined where nothing is. */
  readonly trouble: string | undefined
}

/** This share of the processes must report before the next step begins: one that was killed holds up no fleet. */
export const REPORTING_SHARE = 0.9

/** Which step a rollout is at, from 0; null where its share is none of them. */
export function stepOf({ steps, percent }: Pick<Planned, 'steps' | 'percent'>): number | null {
  const at = steps?.findIndex((step) => step.percent === percent) ?? -1
  return at < 0 ? null : at
}

/** When the next step may begin; null where there is none. */
export function dueAt(planned: Pick<Planned, 'steps' | 'percent' | 'percent_since'>): Date | null {
  const at = stepOf(planned)
  const step = at === null ? undefined : planned.steps?.[at]
  if (at === null || step?.for == null || planned.steps?.[at + 1] === undefined) return null
  return new Date(planned.percent_since.getTime() + lengthOf(step.for))
}

/** What is to be done: nothing for now (`wait`), nothing until something is well (`hold`), or another share. */
export type Decision =
  | { readonly kind: 'wait' }
  | { readonly kind: 'hold'; readonly why: string }
  | { readonly kind: 'advance'; readonly percent: number }

/**
 * Decides on the next step of a rollout that nothing has stopped: it begins when its time has come, and the rollout is healthy as
 * far as anybody can tell.
 *
 * @param now in milliseconds since 1970
 */
export function decide(planned: Planned, standing: Standing, now: number): Decision {
  const due = dueAt(planned)
  if (due === null) return { kind: 'wait' }
  if (planned.paused_by !== null) return { kind: 'hold', why: `paused by ${planned.paused_by}` }
  const { expected, reporting, trouble } = standing
  if (trouble !== undefined) return { kind: 'hold', why: trouble }
  if (due.getTime() > now) return { kind: 'wait' }
  if (reporting === 0 || reporting < expected * REPORTING_SHARE) {
    const why = `reports are missing: ${reporting} of ${expected} processes report and run this version`
    return { kind: 'hold', why }
  }
  const { step_runs, min_runs } = planned
  if (step_runs < min_runs) {
    const why = `too few runs to tell: ${step_runs} of ${min_runs} since this step began`
    return { kind: 'hold', why }
  }
  const next = planned.steps?.[(stepOf(planned) ?? 0) + 1]
  return next === undefined ? { kind: 'wait' } : { kind: 'advance', percent: next.percent }
}
