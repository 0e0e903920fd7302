import type { Activated } from '../../background/preparation.ts'
import type { Phase } from '../../document.ts'
import { BOUNDS, type Durations, estimateQuantile } from '../durations.ts'
import type { Tallies } from '../tallies.ts'
import type { Tally } from '../tally.ts'
import type { LastError, LastErrors } from './last-errors.ts'
import { fill } from './rows.ts'

/** Counts since `started_at`. */
export interface ReportedCounters {
  /** How often each event was emitted. */
  readonly events: Readonly<Record<string, number>>
  /** The number of refreshes per result. */
  readonly refreshes: Readonly<Record<string, number>>
  /** The number of `on_error` events per section. */
  readonly errors: Readonly<Record<string, number>>
  /** Upper bounds of the buckets into which the durations of calls are counted. */
  readonly bounds_ms: readonly number[]
  /** Those that failed in the last five minutes, then the busiest. */
  readonly plugins: readonly PluginCounters[]
  readonly plugins_left_out: number
}

/** What one plugin did. */
export interface PluginCounters {
  readonly domain: string
  readonly name: string
  readonly phase: Phase
  readonly calls: number
  /** Calls that failed. */
  readonly errors: number
  /** Failed calls whose request got 503. */
  readonly errors_closed: number
  /** Calls that ended the request with `exit()` or an http-error. */
  readonly exits: number
  readonly shadow_runs: number
  /** Shadow runs that would have ended the request, changed something in it, or failed; one may be several of these. */
  readonly shadow_exits: number
  readonly shadow_changes: number
  readonly shadow_errors: number
  /** How long the plugin blocked the event loop, in all calls together. */
  readonly sync_ms: number
  /** Estimates of the median and the 99th percentile; null without calls. */
  readonly p50_ms: number | null
  readonly p99_ms: number | null
  /** How many calls fell into each bucket of `bounds_ms`; the last one counts those beyond all bounds. */
  readonly buckets: readonly number[]
  readonly last_error: LastError | null
}

/** What the list may take of a report, in bytes. */
const COUNTERS_BYTES = 22 * 1024
/** What has failed within this time comes first, in milliseconds. */
const RECENT_MS = 5 * 60_000
const BOUNDS_MS: readonly number[] = Object.freeze(BOUNDS.map((seconds) => milliseconds(seconds) as number))

/** Describes what was counted, and forgets what nobody needs any more. */
export function describeCounters(
  tallies: Tallies,
  last_errors: LastErrors,
  activated: Activated | null,
  now: number,
): ReportedCounters {
  tallies.retain(activated?.build.program.plugins.map(({ info }) => info) ?? [], now)
  const sorted = tallies
    .plugins()
    .map((tally) => ({
      tally,
      calls: callsOf(tally),
      fails: Number(now - last_errors.timeOf(tally) < RECENT_MS),
    }))
    .sort((a, b) => b.fails - a.fails || b.calls + b.tally.shadow.runs - a.calls - a.tally.shadow.runs)
  const { rows, left_out } = fill(sorted, COUNTERS_BYTES, ({ tally, calls }) =>
    count(tally, calls, last_errors.describe(tally, activated)),
  )
  const { events, refreshes, sections } = tallies
  return { events, refreshes, errors: sections, bounds_ms: BOUNDS_MS, plugins: rows, plugins_left_out: left_out }
}

const callsOf = ({ runs: { done, exit, open, closed } }: Tally) => done.count + exit.count + open.count + closed.count

function count(
  { domain, name, phase, runs, sync_seconds, shadow }: Tally,
  calls: number,
  last_error: LastError | null,
): PluginCounters {
  const { done, exit, open, closed } = runs
  const quantile = (share: number) => milliseconds(estimateQuantile(share, done, exit, open, closed))
  return {
    domain,
    name,
    phase,
    calls,
    errors: open.count + closed.count,
    errors_closed: closed.count,
    exits: exit.count,
    shadow_runs: shadow.runs,
    shadow_exits: shadow.exits,
    shadow_changes: shadow.changes,
    shadow_errors: shadow.errors,
    sync_ms: milliseconds(sync_seconds) as number,
    p50_ms: quantile(0.5),
    p99_ms: quantile(0.99),
    buckets: addBuckets(done, exit, open, closed),
    last_error,
  }
}

function addBuckets(...all: readonly Durations[]): number[] {
  return Array.from({ length: BOUNDS.length + 1 }, (_, at) =>
    all.reduce((sum, { buckets }) => sum + (buckets[at] as number), 0),
  )
}

/** To a microsecond. */
function milliseconds(seconds: number | undefined): number | null {
  return seconds === undefined ? null : Math.round(seconds * 1e6) / 1e3
}
