import { steadyNow } from '../../time/steady-clock.ts'
import type { Run } from '../run/record.ts'

/** No more errors of one run are told, */
const MOST_TOLD = 10
/** within so many milliseconds: each costs time that other requests could use. */
const TOLD_WITHIN_MS = 1000

/** Has no more of a run's errors reported than are of use. */
export function limitReports(report: (run: Run, error: unknown) => void): (run: Run, error: unknown) => void {
  const told = new WeakMap<Run, { since: number; count: number }>()
  return (run, error) => {
    const at = steadyNow()
    let sum = told.get(run)
    if (sum === undefined || at - sum.since > TOLD_WITHIN_MS) {
      sum = { since: at, count: 0 }
      told.set(run, sum)
    }
    sum.count += 1
    if (sum.count <= MOST_TOLD) report(run, error)
  }
}
