import type { PluginKey } from '../../shared/changes.ts'
import type { RolloutStep } from '../../shared/rollouts.ts'
import { askLive } from '../publishing/ask-live.ts'
import type { Live } from '../publishing/documents.ts'
import { findOrigins } from '../publishing/live-states.ts'
import type { Press } from '../publishing/press.ts'
import { askForAll } from '../review/asking.ts'
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

/** Finds the guarded rollout of a plugin that is live; undefined where it has none. */
export type FindLiveRollout = (plugin: PluginKey) => Promise<GuardedRollout | undefined>

/** Looks for each once a version: every process of a fleet reports the same ones, and many do so at once. */
export function createLiveRollouts(press: Press): FindLiveRollout {
  let known = { version: -1, found: new Map<string, Promise<GuardedRollout | typeof CHANGING | undefined>>() }
  return async (plugin) => {
    const live = await press.documents.live()
    if (known.version !== live.version) known = { version: live.version, found: new Map() }
    const { found } = known
    const key = JSON.stringify([plugin.domain, plugin.name, plugin.phase])
    const forget = () => found.delete(key)
    let finding = found.get(key)
    if (finding === undefined) {
      finding = askForAll(() => find(press, live, plugin))
      found.set(key, finding)
      finding.then((rollout) => rollout === CHANGING && forget(), forget)
    }
    const rollout = await finding
    return rollout === CHANGING ? undefined : rollout
  }
}

/** Somebody publishes just now: the next report finds it. */
const CHANGING = Symbol('changing')

async function find(
  { reviewer, db }: Press,
  live: Live,
  plugin: PluginKey,
): Promise<GuardedRollout | typeof CHANGING | undefined> {
  const { domain, name, phase } = plugin
  const question = { about: 'rollout', domain, plugin: name, phase } as const
  const { rollout, steps } = await askLive<LiveRollout>(reviewer, live, question)
  const stop_when = rollout?.stop_when
  if (typeof stop_when !== 'object' || stop_when === null) return undefined
  const [origin] = await findOrigins(db, [plugin])
  if (origin === undefined || origin.version > live.version) return CHANGING
  const percent = typeof rollout?.percent === 'number' ? rollout.percent : 100
  return { version: origin.version, at: origin.at, percent, stop_when, steps: readSteps(steps) }
}
