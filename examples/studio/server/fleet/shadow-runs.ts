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

/** More than any fleet has: of further ones nothing is said. */
const MOST_PLUGINS = 10_000
/** Of plugins, those that ran most, and of the instances of each, as many are told of. */
const MOST_TOLD = 200

/**
 * Adds up what instances have reported of shadow runs. What cannot be read of a report counts as not there.
 *
 * @param parts some instances at a time
 */
export async function countShadowRuns(
  parts: AsyncIterable<readonly Instance[]> | Iterable<readonly Instance[]>,
  wanted: { readonly domain?: string | undefined; readonly plugin?: string | undefined },
): Promise<readonly ShadowRuns[]> {
  const found = new Map<string, ShadowRuns>()
  for await (const part of parts) for (const instance of part) addRuns(found, instance, wanted)
  return [...found.values()]
    .sort(byRuns)
    .slice(0, MOST_TOLD)
    .map(({ instances, ...rest }) => ({ ...rest, instances: instances.slice(0, MOST_TOLD) }))
}

function addRuns(
  found: Map<string, ShadowRuns>,
  { id, host, pid, received_at, report }: Instance,
  wanted: { readonly domain?: string | undefined; readonly plugin?: string | undefined },
): void {
  for (const each of COUNTERS.safeParse(JSON.parse(report)).data?.counters.plugins ?? []) {
    const counted = COUNTED.safeParse(each).data
    if (counted === undefined) continue
    const { domain, name: plugin, phase } = counted
    if ((wanted.domain ?? domain) !== domain || (wanted.plugin ?? plugin) !== plugin) continue
    const counts = toCounts(counted)
    const key = JSON.stringify([domain, plugin, phase])
    const own = { id, host, pid, received_at: received_at.toISOString(), ...counts }
    const before = found.get(key)
    if (before !== undefined) {
      Object.assign(before, add(before, counts))
      before.instances.push(own)
    } else if (found.size < MOST_PLUGINS) found.set(key, { domain, plugin, phase, ...counts, instances: [own] })
  }
}

const byRuns = (a: { readonly runs: number }, b: { readonly runs: number }) => b.runs - a.runs

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
