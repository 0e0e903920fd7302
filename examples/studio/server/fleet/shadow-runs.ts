import { z } from 'zod'
import type { ShadowCounts, ShadowRuns } from '../../shared/fleet.ts'
import type { Instance } from './reports.ts'

/** As REPORT has it; what an earlier studio took in may be more. */
const COUNT = z.int().min(0).max(1_000_000_000_000)
/** Instances of versions that count no more than the runs tell no more than these. */
const COUNTED = z.object({
  domain: z.string(),
  name: z.string(),
  phase: z.string(),
  shadow_runs: COUNT.min(1),
  shadow_exits: COUNT.default(0),
  shadow_changes: COUNT.default(0),
  shadow_errors: COUNT.default(0),
})
const COUNTERS = z.object({ counters: z.object({ plugins: z.array(z.unknown()) }) })

/** Adds up what instances have reported of shadow runs. What cannot be read of a report counts as not there. */
export function countShadowRuns(
  instances: readonly Instance[],
  wanted: { readonly domain?: string | undefined; readonly plugin?: string | undefined },
): readonly ShadowRuns[] {
  const found = new Map<string, ShadowRuns>()
  for (const { id, host, pid, received_at, report } of instances) {
    for (const each of COUNTERS.safeParse(report).data?.counters.plugins ?? []) {
      const counted = COUNTED.safeParse(each).data
      if (counted === undefined) continue
      const { domain, name: plugin, phase } = counted
      if ((wanted.domain ?? domain) !== domain || (wanted.plugin ?? plugin) !== plugin) continue
      const counts = toCounts(counted)
      const key = JSON.stringify([domain, plugin, phase])
      const before = found.get(key) ?? { domain, plugin, phase, ...NONE, instances: [] }
      const own = { id, host, pid, received_at: received_at.toISOString(), ...counts }
      found.set(key, { ...before, ...add(before, counts), instances: [...before.instances, own] })
    }
  }
  return [...found.values()].sort((a, b) => b.runs - a.runs)
}

const NONE: ShadowCounts = { runs: 0, exits: 0, changes: 0, errors: 0 }

function toCounts({
  shadow_runs,
  shadow_exits,
  shadow_changes,
  shadow_errors,
}: z.output<typeof COUNTED>): ShadowCounts {
  return { runs: shadow_runs, exits: shadow_exits, changes: shadow_changes, errors: shadow_errors }
}

function add(a: ShadowCounts, b: ShadowCounts): ShadowCounts {
  return {
    runs: a.runs + b.runs,
    exits: a.exits + b.exits,
    changes: a.changes + b.changes,
    errors: a.errors + b.errors,
  }
}
