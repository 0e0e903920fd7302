import { performance } from 'node:perf_hooks'
import { CALL_WEIGHT } from '../../program.ts'
import { steadyNow } from '../../time/steady-clock.ts'
import { queue } from '../run/microtask.ts'
import { FIRST_BATCH, type Run } from '../run/record.ts'

/**
 * Counts the time that the code of each run takes: from where the run is entered, or goes on, to where it is left. What
 * others do in between is nobody's whose code is not on the stack.
 */
export interface OwnTime {
  /** A run's code is about to be called; returns whose code was running, for `leave`. */
  enter(run: Run): Run | null
  /** The call is over. */
  leave(run: Run, outer: Run | null): void
  /** A run goes on by itself, as nothing but the queue of microtasks can have it. */
  goOn(run: Run): void
  /** A run's code is running: what it has taken by now is counted, and the next look seen to. */
  count(run: Run): void
  /** Whether a run has taken more of this turn than it may. */
  isOver(run: Run): boolean
  /** A function of a run's may have been the last of its code to run for now. */
  pause(run: Run): void
}

/** A plugin that has been quick so far may still come to slow calls: no more than so many go unnoticed. */
const LARGEST_BATCH = 64 * CALL_WEIGHT
/** Time between looks that the batches are fitted to, in milliseconds. */
const LOOK_EVERY_MS = 1
/**
 * What a call or an await may cost outside of the code itself, in milliseconds: a run that does nothing but keep the queue
 * of microtasks filled takes that much of the turn for each.
 */
const HOP_MS = 0.002
/** How much longer a run may seem to take where it is the machine that has left the process without a processor. */
const WAITED_MS = 50

// What plugins or the app put in place of these later is not asked for the time.
const { nodeTiming } = performance
const { cpuUsage } = process

/**
 * Makes the count of one instance.
 *
 * @param now milliseconds of a steady clock
 * @param readTurn the number of the event loop's turn
 * @param readCpu milliseconds for which the process has had a processor
 */
export function createOwnTime(
  now: () => number = steadyNow,
  readTurn: () => number = () => nodeTiming.uvMetricsInfo.loopCount,
  readCpu: () => number = () => {
    const { user, system } = cpuUsage()
    return (user + system) / 1000
  },
): OwnTime {
  /** Whose code is running, as far as that can be told: the end of a stretch may not be seen. */
  let current: Run | null = null
  let isEnding = false

  const end = () => {
    isEnding = false
    current = null
  }

  /** From here on the run's code is running. What was before may have been anybody's. */
  function begin(run: Run, at: number): void {
    current = run
    // Which turn it is takes long to ask, and does not matter to who has hardly begun.
    run.earlier = run.spent
    if (run.spent > run.budget_ms / 4) startTurn(run)
    if (run.is_timed) add(run, Math.min(at - run.last, ((run.batch - run.n) / CALL_WEIGHT) * HOP_MS))
    run.is_timed = true
    run.last = at
    if (isEnding) return
    isEnding = true
    // A stretch ends with the microtask that it is in; whatever it leads to comes after this.
    queue(end)
  }

  /** What was taken before this stretch counts only if that was in the same turn. */
  function startTurn(run: Run): void {
    const turn = readTurn()
    if (turn !== run.turn) {
      run.turn = turn
      run.spent -= run.earlier
      run.cpu_at = readCpu()
    }
    run.earlier = -1
  }

  function add(run: Run, time_ms: number): void {
    run.spent += time_ms
    run.own_ms += time_ms
  }

  function charge(run: Run, at: number): void {
    add(run, at - run.last)
    run.last = at
  }

  /** Whether its code is running by all that is known: a run that has paused is, once it has come to a check since. */
  const isRunning = (run: Run) => current === run && run.n !== run.paused_n

  function pause(run: Run): void {
    if (run.is_timed && isRunning(run)) charge(run, now())
    run.paused_n = run.n
  }

  return Object.freeze({
    enter(run) {
      const outer = current
      if (outer !== null && isRunning(outer)) {
        if (outer === run) return outer
        if (outer.is_timed) charge(outer, now())
      }
      if (run.is_timed) begin(run, now())
      else current = run
      return outer
    },
    leave(run, outer) {
      pause(run)
      current = outer
      if (outer?.is_timed) outer.last = now()
    },
    goOn(run) {
      if (!run.is_timed) current = run
      else begin(run, now())
    },
    count(run) {
      const at = now()
      // What was before is not known; what comes now is looked at closely, until it has turned out to be quick.
      let fitting = run.turn === -1 ? FIRST_BATCH / 8 : 1
      if (run.is_timed && isRunning(run)) {
        if (run.turn !== -1) fitting = ((run.batch - run.n) * LOOK_EVERY_MS) / Math.max(at - run.last, 0.01)
        charge(run, at)
      } else begin(run, at)
      // Whoever has hardly begun may have used what it has: observed or not, it begins with a full budget.
      if (run.turn === -1) run.earlier = run.spent
      if (run.earlier !== -1 && (run.turn === -1 || run.spent - run.earlier > LOOK_EVERY_MS / 2)) startTurn(run)
      run.batch = Math.min(Math.max(Math.ceil(Math.min(fitting, run.batch * 8)), 1), LARGEST_BATCH)
      run.n = run.batch
    },
    isOver({ spent, budget_ms, cpu_at }) {
      return spent > budget_ms && (spent > budget_ms + WAITED_MS || readCpu() - cpu_at >= budget_ms)
    },
    pause,
  } satisfies OwnTime)
}
