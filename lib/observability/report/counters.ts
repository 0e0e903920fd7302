import type { Activated } from '../../background/preparation.ts'
import type { Phase } from '../../document.ts'
import { estimateQuantile } from '../durations.ts'
import type { Tallies } from '../tallies.ts'
import type { Tally } from '../tally.ts'
import { fill } from './rows.ts'

/** Counts since `started_at`. */
export interface ReportedCounters {
  /** How often each event was emitted. */
  readonly events: Readonly<Record<string, number>>
  /** The number of refreshes per result. */
  readonly refreshes: Readonly<Record<string, number>>
  /** The number of `on_error` events per section. */
  readonly errors: Readonly<Record<string, number>>
  /** The busiest plugins, busiest first. */
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
}

/** What the list may take of a report, in bytes. */
const COUNTERS_BYTES = 22 * 1024

/** Describes what was counted, and forgets what nobody needs any more. */
export function describeCounters(tallies: Tallies, activated: Activated | null, now: number): ReportedCounters {
  tallies.retain(activated?.build.program.plugins.map(({ info }) => info) ?? [], now)
  const busiest = tallies
    .plugins()
    .map((tally) => ({ tally, calls: callsOf(tally) }))
    .sort((a, b) => b.calls + b.tally.shadow.runs - a.calls - a.tally.shadow.runs)
  const { rows, left_out } = fill(busiest, COUNTERS_BYTES, ({ tally, calls }) => count(tally, calls))
  const { events, refreshes, sections } = tallies
  return { events, refreshes, errors: sections, plugins: rows, plugins_left_out: left_out }
}

const callsOf = ({ runs: { done, exit, open, closed } }: Tally) => done.count + exit.count + open.count + closed.count

function count({ domain, name, phase, runs, sync_seconds, shadow }: Tally, calls: number): PluginCounters {
  const { done, exit, open, closed } = runs
  const quantile = (share: number) => milliseconds(estimateQuantile(share, done, exit, open, closed))
  return {
    domain,
    name,
    phase,
    calls,
    errors: open.count + closed.count,
    exits: exit.count,
    shadow_runs: shadow.runs,
    shadow_exits: shadow.exits,
    shadow_changes: shadow.changes,
    shadow_errors: shadow.errors,
    sync_ms: milliseconds(sync_seconds) as number,
    p50_ms: quantile(0.5),
    p99_ms: quantile(0.99),
  }
}

/** To a microsecond. */
function milliseconds(seconds: number | undefined): number | null {
  return seconds === undefined ? null : Math.round(seconds * 1e6) / 1e3
}
