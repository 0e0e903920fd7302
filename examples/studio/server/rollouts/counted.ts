import type { Report } from '../../shared/fleet.ts'
import type { RolloutCounts } from '../../shared/rollouts.ts'

/** A guarded rollout as a process reports it. */
export type ReportedRollout = NonNullable<Report['rollouts']>['guarded'][number]

/** What is counted of the two groups, in this order. */
const INSIDE = [
  'requests',
  'runs',
  'errors',
  'exits',
  'slow_runs',
  'responses',
  'status_5xx',
  'slow_responses',
] as const satisfies readonly (keyof RolloutCounts['inside'])[]
const CONTROL = [
  'requests',
  'responses',
  'status_5xx',
  'slow_responses',
] as const satisfies readonly (keyof RolloutCounts['control'])[]

/** Nothing, as a list. */
export const NO_COUNTS: readonly number[] = Object.freeze([...INSIDE, ...CONTROL].map(() => 0))

/** Counts as a list. */
export function toList({ inside, control }: Pick<ReportedRollout, 'inside' | 'control'>): readonly number[] {
  return [...INSIDE.map((name) => inside?.[name] ?? 0), ...CONTROL.map((name) => control?.[name] ?? 0)]
}

/** The same by name. */
export function toCounts(list: readonly number[]): RolloutCounts {
  const take = (names: readonly string[], from: number) =>
    Object.fromEntries(names.map((name, at) => [name, list[from + at] ?? 0]))
  return { inside: take(INSIDE, 0), control: take(CONTROL, INSIDE.length) } as RolloutCounts
}

/** What was counted since an earlier report. Counters begin at 0 once more where a plugin was made anew. */
export function subtract(now: readonly number[], before: readonly number[] | undefined): readonly number[] {
  if (before === undefined || now.some((count, at) => count < (before[at] ?? 0))) return now
  return now.map((count, at) => count - (before[at] ?? 0))
}
