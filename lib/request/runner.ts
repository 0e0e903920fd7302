import type { Events } from '../events/emitter.ts'
import type { LivePlugin } from '../program.ts'
import type { Breaker } from '../time/breaker.ts'
import { whyLeftOut, whyNot } from './debug/run-record.ts'
import { createFailures, refuseIfClosed } from './failures.ts'
import { createGuard, type Guard } from './guard/containment.ts'
import { createTrampoline, type Trampoline } from './guard/strict.ts'
import type { Marker } from './guard/watchdog.ts'
import { createLiveRuns } from './live-run.ts'
import type { Observation } from './observation.ts'
import { createPhaseRunner, type RunPhase } from './phase.ts'
import type { RequestState } from './run/state.ts'
import { createShadowRuns } from './shadow-run.ts'

/** Runs plugins, one or a phase of them. A plugin that fails never harms the caller. */
export interface Runner {
  /** What instrumented code calls. */
  readonly guard: Guard
  /** What runs plugins under `strict`. */
  readonly trampoline: Trampoline
  readonly runPhase: RunPhase
  /**
   * Runs one plugin, and returns what it returned, in the phase `body_filter` the chunk that is to be sent; undefined when
   * it failed or ended the request.
   *
   * @throws as `runPhase`
   */
  runPlugin(state: RequestState, plugin: LivePlugin, chunk?: unknown, last?: boolean): unknown
  /** Whether a plugin is for this request. */
  applies(state: RequestState, plugin: LivePlugin): boolean
  /** Treats a plugin as failed that could not be run at all. */
  failPlugin(state: RequestState, plugin: LivePlugin, error: unknown): void
  /** Ends a version of a plugin: its timers are cleared, those of a run under way when that is over. */
  endPlugin(plugin: LivePlugin): void
  close(): void
}

/** What the runner is made of. */
export interface RunnerParts {
  readonly events: Events
  readonly observation: Observation
  readonly isClosed: () => boolean
  readonly now: () => number
  readonly marker: Marker
  readonly makeBreaker: (plugin: LivePlugin) => Breaker
  readonly rewriteStack: (plugin: LivePlugin, error: unknown) => void
}

/**
 * Makes the runner of one instance.
 *
 * @param isClosed whether `close()` was called: nothing runs after it, and what fails closed refuses
 * @param makeBreaker makes the breaker of a version of a plugin
 * @param rewriteStack puts the places in an error's stack where the plugin's author knows them
 */
export function createRunner({
  events,
  observation,
  isClosed,
  now,
  marker,
  makeBreaker,
  rewriteStack,
}: RunnerParts): Runner {
  const failures = createFailures(events, observation, makeBreaker, rewriteStack)
  const { failPlugin } = failures
  const guard = createGuard(failures.failDetached, marker)
  const trampoline = createTrampoline()
  const runLive = createLiveRuns({ events, observation, failures, guard, trampoline })
  const runShadow = createShadowRuns(runLive, failures.tellShadow)

  /** Where it cannot be told whether a plugin is for a request, that plugin has failed. */
  function applies(state: RequestState, plugin: LivePlugin): boolean {
    try {
      const holds = plugin.applies === null || plugin.applies(state.ctx)
      if (!holds && state.record !== null) {
        state.record.skipped.set(plugin, whyNot(plugin, state.ctx, now()) ?? whyLeftOut(plugin))
      }
      return holds
    } catch (error) {
      failPlugin(state, plugin, error)
      return false
    }
  }

  function runPlugin(state: RequestState, plugin: LivePlugin, chunk?: unknown, last?: boolean): unknown {
    const { shadow } = plugin.spec
    // Asked once: the answer may be the one try that an open breaker grants.
    if (isClosed() || !mayRun(state, plugin)) {
      state.record?.skipped.set(plugin, plugin.life.quarantined ? 'quarantined' : 'breaker')
      if (!shadow) refuseIfClosed(state, plugin)
      return undefined
    }
    if (!shadow) return runLive(state, plugin, chunk, last)
    // Its time is not the next one's.
    state.run_ended = -1
    return runShadow(state, plugin, chunk, last)
  }

  function mayRun({ ctx }: RequestState, { life }: LivePlugin): boolean {
    if (life.unit !== null && !life.quarantined) {
      if (!life.unit.mayRun(ctx)) return false
      // The others of its unit run for this request, whatever has opened in the meantime.
      life.breaker?.allows()
      return true
    }
    return !life.quarantined && (life.breaker === undefined || life.breaker.quiet || life.breaker.allows())
  }

  return Object.freeze({
    guard,
    trampoline,
    runPhase: createPhaseRunner(applies, runPlugin),
    runPlugin,
    applies,
    failPlugin,
    endPlugin({ life }) {
      life.ended = true
      life.forgetExpiry?.()
      life.rollout?.end()
      life.timers?.clear()
    },
    close: () => trampoline.close(),
  } satisfies Runner)
}
