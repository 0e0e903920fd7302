import type { Activated } from '../../background/preparation.ts'
import { describeRollout, type RolloutStatus } from '../../control/status.ts'
import type { Phase } from '../../document.ts'
import type { LivePlugin } from '../../program.ts'
import { fill } from './rows.ts'

/** The guarded rollouts of the live document, also of units that went back because of one. */
export interface ReportedRollouts {
  /** Rollouts with a `stop_when`, the stopped ones first. */
  readonly guarded: readonly ReportedRollout[]
  /** How many were omitted. */
  readonly left_out: number
}

/** How one of them goes. */
export interface ReportedRollout extends RolloutStatus {
  readonly domain: string
  readonly name: string
  readonly phase: Phase
  /** SHA-1 of the name and code that run. */
  readonly sha1: string
}

/** What the list may take of a report, in bytes. */
const ROLLOUTS_BYTES = 8 * 1024

/** Describes how the guarded rollouts go, with the counts of both groups. */
export function describeRollouts(activated: Activated | null, now: number): ReportedRollouts {
  const { plugins, domains } = activated?.build.program ?? { plugins: [], domains: [] }
  // A unit that went back has stopped the rollout of the document's version.
  const gone = domains.flatMap(({ units }) =>
    [...(units?.values() ?? [])].flatMap(({ rejected }) => rejected?.stopped ?? []),
  )
  const guarded = [...gone, ...plugins.filter(({ life }) => life.rollout !== null)]
  const isStopped = ({ life }: LivePlugin) => life.rollout?.stop() !== null
  const ordered = [...guarded.filter(isStopped), ...guarded.filter((plugin) => !isStopped(plugin))]
  const { rows, left_out } = fill(ordered, ROLLOUTS_BYTES, (plugin) => {
    const { info, phase, sha1 } = plugin
    const { domain, name } = info
    return { domain, name, phase, sha1, ...(describeRollout(plugin, now) as RolloutStatus) }
  })
  return { guarded: rows, left_out }
}
