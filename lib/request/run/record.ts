import type { PluginRunMessage } from '../../events/tracing.ts'
import { CALL_WEIGHT, type LivePlugin } from '../../program.ts'
import { queue } from './microtask.ts'
import type { RequestState } from './state.ts'
import type { Stopwatch } from './stopwatch.ts'

/** What a run may leave behind, as far as its end is concerned. */
export interface RunKit {
  /** Whether any timer is left. */
  pending(): boolean
  /** Clears every timer that is left, and any that comes later. */
  clear(): void
  /** Told that the plugin's version has ended: clears the timers, at once or when the run under way is over. */
  end(): void
}

/**
 * The record of one run of a plugin, and of whatever that run leaves behind: timers, listeners, promises. Instrumented
 * code finds it in scope, wherever and whenever that code goes on.
 */
export interface Run {
  readonly state: RequestState
  readonly plugin: LivePlugin
  readonly budget_ms: number
  /** Checks left until the next look at the clock. */
  n: number
  /** Checks from one look to the next. */
  batch: number
  /** When the last look was, in milliseconds of the steady clock. */
  last: number
  /** The turn of the event loop in which the last look was. */
  turn: number
  /** Time this run has used of that turn, in milliseconds. */
  spent: number
  /** Time of that turn that this run or another may have used, in milliseconds. */
  doubted: number
  /** How many times to come the run is not charged for more than its checks are worth where others may have run. */
  close: number
  /** Whether no other code can have run since the last look. */
  straight: boolean
  /** Why this run may do nothing any more; null while it may. */
  dead: Error | null
  finished: boolean
  /** Whether the reason of its death was reported: once is enough, wherever else it surfaces. */
  told: boolean
  /** Measures the run; null where nobody wants to know. */
  watch: Stopwatch | null
  /** What those are called with who trace the run; null where nobody does. */
  trace: PluginRunMessage | null
  /** Rejections that nobody has handled so far; judged when the run is over. */
  rejections: Rejection[] | null
  /** What the run has in scope in place of timers and the like; made when the code uses them. */
  kit: RunKit | undefined
  /** Aborts the run's signal; made when the code uses it. */
  abort: ((reason: Error) => void) | undefined
  /** Ends the wait for the run's outcome: it is dead, and nothing may be left that could settle it. */
  give_up: (() => void) | undefined
  /** Takes off what the signal listens with; called when the run is over. */
  release: (() => void) | undefined
}

/** A promise of a plugin's that instrumented code keeps an eye on. */
export interface Rejection {
  readonly run: Run
  handled: boolean
  reason: unknown
}

/** Checks until the first look at the clock: few calls, each of which may be a slow one into native code. */
export const FIRST_BATCH = 32 * CALL_WEIGHT

/** Begins a run of a plugin. */
export function createRun(state: RequestState, plugin: LivePlugin): Run {
  return {
    state,
    plugin,
    budget_ms: plugin.spec.budget_ms,
    n: FIRST_BATCH,
    batch: FIRST_BATCH,
    last: 0,
    turn: -1,
    spent: 0,
    doubted: 0,
    close: 0,
    straight: false,
    dead: null,
    finished: false,
    told: false,
    watch: null,
    trace: null,
    rejections: null,
    kit: undefined,
    abort: undefined,
    give_up: undefined,
    release: undefined,
  }
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
