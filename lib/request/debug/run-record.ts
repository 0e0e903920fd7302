import type { Context } from 'koa'
import type { PluginRunMessage } from '../../events/tracing.ts'
import { createPredicate } from '../../matching/condition.ts'
import type { Chain, LivePlugin } from '../../program.ts'

/** What a plugin has done to one request. */
export interface RecordedRun {
  /** `running`: it goes on still. */
  outcome: NonNullable<PluginRunMessage['outcome']> | 'running'
  /** All of its runs together, in milliseconds. */
  duration_ms: number
}

/** Why a plugin did not run. */
export type SkipReason =
  | 'not_started'
  | 'expired'
  | 'condition'
  | 'rollout'
  | 'rollout_stopped'
  | 'breaker'
  | 'quarantined'
  | 'ended'
  | 'later'

/** What plugins did to one request, for somebody who wants to know exactly. */
export interface RunRecord {
  /** The version of the document that is live; null when none is. */
  version: number | string | null
  chain: Chain | null
  readonly runs: Map<LivePlugin, RecordedRun>
  readonly skipped: Map<LivePlugin, SkipReason>
}

/** Begins to record. */
export function createRunRecord(): RunRecord {
  return { version: null, chain: null, runs: new Map(), skipped: new Map() }
}

/** Notes that a plugin has run; `running` where it is not over. */
export function noteRun(
  { runs }: RunRecord,
  plugin: LivePlugin,
  outcome: RecordedRun['outcome'],
  duration_ms: number,
): void {
  const run = runs.get(plugin)
  if (run === undefined) {
    runs.set(plugin, { outcome, duration_ms })
    return
  }
  run.outcome = outcome
  run.duration_ms += duration_ms
}

/** Why its rollout leaves a request out for which a plugin is. */
export function whyLeftOut({ life }: LivePlugin): SkipReason {
  return (life.rollout?.stop() ?? null) === null ? 'rollout' : 'rollout_stopped'
}

/** Why a plugin is not for a request as it is now; undefined when it is, or is left out of a rollout. Never throws. */
export function whyNot({ spec }: LivePlugin, ctx: Context, now: number): SkipReason | undefined {
  const { starts_at, expires_at, when } = spec.scope
  if (starts_at !== undefined && now < starts_at) return 'not_started'
  if (expires_at !== undefined && now >= expires_at) return 'expired'
  try {
    return when === undefined || createPredicate(when)(ctx) ? undefined : 'condition'
  } catch {
    // It cannot be told, of a context that somebody has tampered with.
    return 'condition'
  }
}
