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

/** Reads each once a version: every process of a fleet reports the same ones, and many do so at once. */
export function createLiveRollouts({ documents, reviewer, db }: Press): FindLiveRollout {
  let known = { version: -1, read: new Map<string, Promise<LiveRollout>>() }

  function readRollout(live: Live, { domain, name, phase }: PluginKey): Promise<LiveRollout> {
    if (known.version !== live.version) known = { version: live.version, read: new Map() }
    const { read } = known
    const key = JSON.stringify([domain, name, phase])
    const earlier = read.get(key)
    if (earlier !== undefined) return earlier
    const reading = askForAll(() => askLive(reviewer, live, { about: 'rollout', domain, plugin: name, phase }))
    read.set(key, reading)
    reading.catch(() => read.delete(key))
    return reading
  }

  return async (plugin) => {
    const live = await documents.live()
    const { rollout, steps } = await readRollout(live, plugin)
    const stop_when = rollout?.stop_when
    if (typeof stop_when !== 'object' || stop_when === null) return undefined
    const [origin] = await findOrigins(db, [plugin])
    // Somebody publishes just now: the next report finds it.
    if (origin === undefined || origin.version > live.version) return undefined
    const percent = typeof rollout?.percent === 'number' ? rollout.percent : 100
    return { version: origin.version, at: origin.at, percent, stop_when, steps: readSteps(steps) }
  }
}
