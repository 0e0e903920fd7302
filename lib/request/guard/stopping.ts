import { DynacodeError } from '../../errors.ts'
import { killRun, type Run } from '../run/record.ts'
import type { OwnTime } from './own-time.ts'

/** Stops runs that take more than their budget. */
export interface Stopping {
  /** Looks at the clock, and goes no further where the run's time is over. */
  over(run: Run): void
  /** Counts a run's time by now, and stops it when that is more than it may take. */
  look(run: Run): void
}

/** Makes what stops the runs of one instance. */
export function createStopping(time: OwnTime): Stopping {
  function over(run: Run): void {
    look(run)
    stopDead(run)
  }

  function look(run: Run): void {
    if (run.dead !== null) return
    time.count(run)
    if (time.isOver(run)) kill(run)
  }

  return Object.freeze({ over, look } satisfies Stopping)
}

function stopDead(run: Run): void {
  if (run.dead === null) return
  run.n = 0
  throw run.dead
}

function kill(run: Run): void {
  try {
    killRun(run, overrun(run))
  } catch {
    // No room is left for a stack trace.
    const { stackTraceLimit } = Error
    try {
      Error.stackTraceLimit = 0
      killRun(run, overrun(run))
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
  }
}

/** The error of a run that took more than its budget. */
export function overrun({ plugin, budget_ms }: Run): DynacodeError {
  const message = `plugin ${JSON.stringify(plugin.info.name)} kept the event loop for more than ${budget_ms} ms (budget_ms)`
  return new DynacodeError('ERR_DYNACODE_BUDGET', message)
}
