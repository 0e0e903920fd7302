import type { PluginRunMessage } from '../../events/tracing.ts'
import { authorityOf } from '../../matching/request-host.ts'
import { CALL_WEIGHT, type Exit, type LivePlugin, type Say } from '../../program.ts'
import type { Snapshot } from '../response/snapshot.ts'
import { queue } from './microtask.ts'
import type { RequestState } from './state.ts'

/**
 * The record of one run of a plugin, and of whatever that run leaves behind: timers, listeners, promises. Instrumented
 * code finds it in scope, wherever and whenever that code goes on: it is kept for as long as any function of that code is,
 * and so must not keep the request.
 */
export interface Run {
  /** The request; null when the run is over. */
  state: RequestState | null
  /** What the request's host is read from; known when the run is over. */
  host: string
  plugin: LivePlugin
  budget_ms: number
  /** Whether the record may be used for another run when this one is over: nothing that is left behind has it in scope. */
  is_reusable: boolean
  /** Which time of the plugin's breaker the run belongs to. */
  breaker_period: number
  /** Checks left until the next look at the clock. */
  n: number
  /** Checks from one look to the next. */
  batch: number
  /** Whether the clock is read whenever its code is entered and left; not before it has turned out to do much. */
  is_timed: boolean
  /** Checks that were left when its code may have been left: where as many still are, others may have had the thread. */
  paused_n: number
  /** Until when its time is counted, in milliseconds of the steady clock. */
  last: number
  /** The turn of the event loop that `spent` is of. */
  turn: number
  /** Time that its code has taken of that turn, in milliseconds. */
  spent: number
  /** How much of it was taken before its code was last entered or went on, maybe in a turn before; -1 once that is known. */
  earlier: number
  /** How much processor time the process had used when that began to be counted, in milliseconds. */
  cpu_at: number
  /** Time that its code has taken in all, as far as it was timed, in milliseconds. */
  own_ms: number
  /** Why this run may do nothing any more; null while it may. */
  dead: Error | null
  finished: boolean
  /** Whether the reason of its death was reported: once is enough, wherever else it surfaces. */
  told: boolean
  /** When it began, in milliseconds of the steady clock, for the guard of its rollout; -1 where that did not ask. */
  rollout_started: number
  /** When the run began, in milliseconds of `steadyNow()`; -1 where nobody wants to know how long it takes. */
  started: number
  /** Whether it has returned a promise, so that others have the event loop in between. */
  is_asynchronous: boolean
  /** What those are called with who trace the run; null where nobody does. */
  trace: PluginRunMessage | null
  /** Rejections that nobody has handled so far, and their reasons; judged when the run is over. */
  rejections: Map<object, unknown> | null
  /** How the request was before the run; null where it can change nothing of it. */
  before: Snapshot | null
  /** What the run has in scope as `exit` and `say`; made when its code uses them. */
  exit: Exit | undefined
  say: Say | undefined
  /** What the run has in scope in place of timers and the like; made when the code uses them. */
  kit: object | undefined
  /** Aborts the run's signal; made when the code uses it. */
  abort: ((reason: Error) => void) | undefined
  /** Ends the wait for the run's outcome: it is dead, and nothing may be left that could settle it. */
  give_up: (() => void) | undefined
  /** Takes off what the signal listens with; called when the run is over. */
  release: (() => void) | undefined
}

/** Checks until the first look at the clock: few calls, each of which may be a slow one into native code. */
export const FIRST_BATCH = 32 * CALL_WEIGHT

/** No count of checks comes to this one: below zero it is looked at the clock, and counted anew. */
const NEVER_LEFT = -(2 ** 30)

/** Begins a run of a plugin. */
export function createRun(state: RequestState, plugin: LivePlugin, is_reusable = false): Run {
  return {
    state,
    host: '',
    plugin,
    budget_ms: plugin.spec.budget_ms,
    is_reusable,
    breaker_period: 0,
    n: FIRST_BATCH,
    batch: FIRST_BATCH,
    is_timed: false,
    paused_n: NEVER_LEFT,
    last: 0,
    turn: -1,
    spent: 0,
    earlier: 0,
    cpu_at: 0,
    own_ms: 0,
    dead: null,
    finished: false,
    told: false,
    rollout_started: -1,
    started: -1,
    is_asynchronous: false,
    trace: null,
    rejections: null,
    before: null,
    exit: undefined,
    say: undefined,
    kit: undefined,
    abort: undefined,
    give_up: undefined,
    release: undefined,
  }
}

/** Begins another run with the record of one that is over, and has left nothing behind. */
export function restartRun(run: Run, state: RequestState, plugin: LivePlugin): void {
  run.state = state
  run.plugin = plugin
  run.budget_ms = plugin.spec.budget_ms
  run.breaker_period = 0
  run.n = FIRST_BATCH
  run.batch = FIRST_BATCH
  run.paused_n = NEVER_LEFT
  run.finished = false
  run.started = -1
  run.rollout_started = -1
  if (!run.is_timed) return
  run.is_timed = false
  run.last = 0
  run.turn = -1
  run.spent = 0
  run.earlier = 0
  run.cpu_at = 0
  run.own_ms = 0
}

/** Lets go of the request, and of whoever waited for the run. */
export function leaveRequest(run: Run): void {
  if (run.state === null) return
  if (!run.is_reusable) run.host = authorityOf(run.state.ctx)
  run.state = null
  run.trace = null
  run.give_up = undefined
  run.release = undefined
}

/** Ends a run before its time: its code stops at the next check, call or await. */
export function killRun(run: Run, error: Error): void {
  run.dead ??= error
  run.n = 0
  // Not at once: the plugin's code, which may have used up the stack, is still there.
  queue(() => {
    run.abort?.(error)
    run.give_up?.()
  })
}
