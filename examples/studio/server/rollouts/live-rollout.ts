import type { PluginKey } from '../../shared/changes.ts'
import type { RolloutStep } from '../../shared/rollouts.ts'
import { findOrigins } from '../publishing/live-states.ts'
import type { Press } from '../publishing/press.ts'
import type { LiveRollout } from '../review/live-index.ts'
import { readSteps } from './steps.ts'

/** A guarded rollout that is live, and the version that made it so. */
export interface GuardedRollout {
  readonly version: number
  readonly at: Date
  readonly percent: number
  readonly stop_when: object
  readonly steps: readonly RolloutStep[] | null
}

/** The guarded rollout of a plugin that is live; undefined where it has none. */
export async function findLiveRollout(press: Press, plugin: PluginKey): Promise<GuardedRollout | undefined> {
  const { documents, reviewer, db } = press
  const { domain, name, phase } = plugin
  const { version, document } = await documents.live()
  const question = { about: 'rollout', domain, plugin: name, phase } as const
  const { rollout, steps } = ((await reviewer.askLive(question, version)) ??
    (await reviewer.askLive(question, version, document))) as LiveRollout
  const stop_when = rollout?.stop_when
  if (typeof stop_when !== 'object' || stop_when === null) return undefined
  const [origin] = await findOrigins(db, [plugin])
  // Somebody publishes just now: the next report finds it.
  if (origin === undefined || origin.version > version) return undefined
  const percent = typeof rollout?.percent === 'number' ? rollout.percent : 100
  return { version: origin.version, at: origin.at, percent, stop_when, steps: readSteps(steps) }
}
