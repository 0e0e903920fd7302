import type { Counters, Report } from '../../shared/fleet.ts'

/** What plugins did between two reports of a process. */
export interface Delta {
  readonly domain: string
  readonly name: string
  readonly phase: string
  readonly calls: number
  readonly errors: number
  readonly errors_closed: number
  readonly exits: number
  readonly buckets: readonly number[]
}
/** What of an earlier report a later one is compared with. */
export type Baseline = Partial<Pick<Report, 'started_at' | 'counters'>>

/** Bounds of the buckets of durations that can be added up, in milliseconds: those of dynacode. */
export const BOUNDS_MS: readonly number[] = [0.01, 0.025, 0.1, 0.25, 1, 2.5, 10, 25, 50, 250, 1000, 5000]
const NO_BUCKETS: readonly number[] = Array.from({ length: BOUNDS_MS.length + 1 }, () => 0)
/** A process that has been up for longer, and was not known, did most of what it counts at no known time: in milliseconds. */
const YOUNG_MS = 2 * 60_000

/**
 * What a process did since its report before.
 *
 * @param before of the same process; undefined if there is none
 */
export function findDeltas(before: Baseline | undefined, report: Report): readonly Delta[] {
  const { counters, started_at, sent_at } = report
  if (counters === undefined) return []
  const is_same = before !== undefined && before.started_at === started_at
  // Of one that has just begun, all that it counts is new.
  if (!is_same && (started_at === undefined || (sent_at ?? 0) - started_at > YOUNG_MS)) return []
  const known = new Map(is_same ? before.counters?.plugins.map((plugin) => [keyOf(plugin), plugin]) : [])
  const can_add = isSameList(counters.bounds_ms, BOUNDS_MS)
  return counters.plugins.flatMap((plugin) => {
    const earlier = known.get(keyOf(plugin))
    const { domain, name, phase } = plugin
    // Counters that were freed meanwhile begin at 0 once more. One that was left out of the last report may be old.
    const is_anew = earlier === undefined || plugin.calls < earlier.calls
    if (earlier === undefined && is_same && (before.counters?.plugins_left_out ?? 0) > 0) return []
    const since = (field: 'calls' | 'errors' | 'errors_closed' | 'exits') =>
      Math.max(0, plugin[field] - (is_anew ? 0 : earlier[field]))
    const calls = since('calls')
    if (calls === 0) return []
    const buckets = can_add ? subtract(plugin.buckets, is_anew ? [] : earlier.buckets) : NO_BUCKETS
    return [
      {
        domain,
        name,
        phase,
        calls,
        errors: since('errors'),
        errors_closed: since('errors_closed'),
        exits: since('exits'),
        buckets,
      },
    ]
  })
}

const keyOf = ({ domain, name, phase }: Pick<Counters, 'domain' | 'name' | 'phase'>) =>
  JSON.stringify([domain, name, phase])

const isSameList = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((value, at) => value === b[at])

function subtract(now: readonly number[], before: readonly number[]): readonly number[] {
  return NO_BUCKETS.map((_, at) => Math.max(0, (now[at] ?? 0) - (before[at] ?? 0)))
}

/** The duration that a share of all calls did not exceed, as dynacode estimates it; null without calls. */
export function estimateQuantile(share: number, buckets: readonly number[]): number | null {
  const total = buckets.reduce((sum, count) => sum + count, 0)
  if (total <= 0) return null
  let below = 0
  for (const [at, upper] of BOUNDS_MS.entries()) {
    const here = buckets[at] ?? 0
    if (here > 0 && below + here >= total * share) {
      const lower = at === 0 ? 0 : (BOUNDS_MS[at - 1] as number)
      return lower + (upper - lower) * ((total * share - below) / here)
    }
    below += here
  }
  return BOUNDS_MS.at(-1) as number
}
