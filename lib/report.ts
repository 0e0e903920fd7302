import { hostname } from 'node:os'
import type { Activated, Attempted } from './background/activator.ts'
import type { Failure } from './background/builder.ts'
import { reasonOf } from './background/refresher.ts'
import type { ReportOccasion } from './background/reporter.ts'
import type { BreakerState } from './breaker.ts'
import type { Phase } from './document.ts'
import { estimateQuantile } from './durations.ts'
import { CompileError, DocumentError, DynacodeError } from './errors.ts'
import type { NoUpdate, Origin } from './events.ts'
import { limitText } from './plain-error.ts'
import { listPlugins, type PluginState, type PluginStatus, type Standing } from './status.ts'
import type { Tallies, Tally } from './tally.ts'
import { VERSION } from './version.ts'

/** What an instance sends to `report_uri`. Times are in milliseconds since 1970. docs/reporting.md is its reference. */
export interface Report {
  /** Changes when something that was here is no longer, or means something else. */
  readonly format: 1
  /** Random for each instance. */
  readonly instance: string
  /** Grows with each report of the instance: one that comes late can be told from a new one. */
  readonly sequence: number
  /** `report_name`. */
  readonly name: string | null
  readonly host: string
  readonly pid: number
  readonly dynacode: string
  readonly node: string
  /** When the instance was made. */
  readonly started_at: number
  readonly sent_at: number
  /** `report_interval`, in seconds. */
  readonly interval: number
  /** Why there is a report now. */
  readonly occasions: readonly ReportOccasion[]
  /** Whether it is the last one of the instance. */
  readonly closing: boolean
  /** Whether this process's own kill switch is thrown. */
  readonly disabled: boolean
  readonly stale: boolean
  /** The document that is live; null before there is one. */
  readonly active: ReportedDocument | null
  /** The document that was looked at last, and what came of it. */
  readonly attempted: ReportedAttempt | null
  readonly last_refresh: ReportedRefresh | null
  readonly plugins: ReportedPlugins
  readonly counters: ReportedCounters
}

/** Which document: version, bytes and tag as the source had them. */
interface DocumentIdentity {
  /** `general.version`, or else the first 12 digits of `sha1`. */
  readonly version: number | string
  /** SHA-1 of the document's bytes as they came, after decompression, in hex. */
  readonly sha1: string
  /** The ETag that it came with; null where it had none. */
  readonly etag: string | null
  readonly from: Origin
}

/** The document that is live. */
export interface ReportedDocument extends DocumentIdentity {
  readonly since: number
  /** When it was last found to be what the source has. */
  readonly validated_at: number | null
  /** Whether it switches the plugins on. */
  readonly enabled: boolean
}

/** The document that was looked at last. */
export interface ReportedAttempt extends DocumentIdentity {
  readonly at: number
  /** `ack`: it is live; `partial`: it is live, but for what is `refused`; `nack`: it was refused whole. */
  readonly verdict: 'ack' | 'partial' | 'nack'
  /** Why it was refused whole. */
  readonly reason: NoUpdate['reason'] | null
  readonly error: ReportedError | null
  /** Its plugins and other parts that were refused. */
  readonly refused: readonly RefusedPart[]
  /** How many more there were. */
  readonly refused_left_out: number
}

/** An error, without its stack. */
export interface ReportedError {
  readonly code: string
  readonly message: string
  /** JSON path in the document; null where the fault has none. */
  readonly path: string | null
}

/** A plugin that was refused; or a domain or another part, with null in place of the plugin. */
export interface RefusedPart {
  readonly domain: string | null
  readonly name: string | null
  readonly phase: Phase | null
  readonly path: string
  readonly code: string
  readonly message: string
  /** In the plugin's own code, from 1. */
  readonly line: number | null
  readonly column: number | null
  readonly kept_last_good: boolean
}

/** What came of the last refresh. */
export interface ReportedRefresh {
  readonly at: number
  readonly result: 'updated' | NoUpdate['reason']
  readonly error: ReportedError | null
}

/** How the plugins of the live document fare. */
export interface ReportedPlugins {
  readonly total: number
  readonly states: Readonly<Record<PluginState, number>>
  readonly breakers: Readonly<Record<BreakerState, number>>
  /** Those that are not simply live, the ones in trouble first. */
  readonly notable: readonly PluginStatus[]
  readonly notable_left_out: number
}

/** What was counted since `started_at`. */
export interface ReportedCounters {
  /** How often each event came. */
  readonly events: Readonly<Record<string, number>>
  /** How refreshes ended. */
  readonly refreshes: Readonly<Record<string, number>>
  /** `on_error`, by section. */
  readonly errors: Readonly<Record<string, number>>
  /** The busiest plugins, first the busiest. */
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
  /** Calls that ended the request on purpose. */
  readonly exits: number
  readonly shadow_runs: number
  /** Shadow runs that would have ended the request, changed something in it, or failed; one may be several of these. */
  readonly shadow_exits: number
  readonly shadow_changes: number
  readonly shadow_errors: number
  /** Time of all calls together in which the event loop waited for the plugin. */
  readonly sync_ms: number
  /** Estimates of the median and the 99th percentile; null without calls. */
  readonly p50_ms: number | null
  readonly p99_ms: number | null
}

/** What a report is made of. */
export interface ReportSubject {
  readonly instance: string
  readonly name: string | undefined
  readonly started_at: number
  readonly interval: number
  readonly tallies: Tallies
  activated(): Activated | null
  attempted(): Attempted | null
  validated_at(): number | null
  isDisabled(): boolean
  isStale(): boolean
}

// A report is never larger than 64 KiB. This is what its lists may take of that, in bytes; what remains is more than all
// else can take.
const REFUSED_BYTES = 12 * 1024
const NOTABLE_BYTES = 14 * 1024
const COUNTERS_BYTES = 22 * 1024
const MAX_TEXT_LENGTH = 300
/** An ETag that is cut off is none. */
const MAX_ETAG_LENGTH = 256

const STATES = [
  'live',
  'last_good',
  'refused',
  'guarded',
  'quarantined',
  'disabled',
  'scheduled',
  'expired',
  'shadow',
] as const
const TROUBLE: ReadonlySet<PluginState> = new Set(['last_good', 'refused', 'guarded', 'quarantined'])

/** Writes a report of how things are now. */
export type ReportWriter = (occasions: readonly ReportOccasion[], last_refresh: ReportedRefresh | null) => Report

/** Makes what writes the reports of one instance. */
export function createReportWriter(subject: ReportSubject): ReportWriter {
  const host = limitText(hostname(), MAX_TEXT_LENGTH)
  let sequence = 0

  return function write(occasions, last_refresh) {
    const now = Date.now()
    const { instance, name, started_at, interval, tallies } = subject
    const activated = subject.activated()
    sequence += 1
    return {
      format: 1,
      instance,
      sequence,
      name: name ?? null,
      host,
      pid: process.pid,
      dynacode: VERSION,
      node: process.versions.node,
      started_at,
      sent_at: now,
      interval,
      occasions,
      closing: occasions.includes('close'),
      disabled: subject.isDisabled(),
      stale: subject.isStale(),
      active: activated && describeActive(activated, subject.validated_at()),
      attempted: describeAttempt(subject.attempted(), activated),
      last_refresh,
      plugins: describePlugins(activated, now),
      counters: describeCounters(tallies, activated, now),
    }
  }
}

function describeActive(activated: Activated, validated_at: number | null): ReportedDocument {
  return { ...identify(activated), since: activated.at, validated_at, enabled: activated.build.program.enabled }
}

function identify({ version, sha1, tag, from }: Activated | Attempted): DocumentIdentity {
  return {
    version: typeof version === 'string' ? limitText(version, MAX_TEXT_LENGTH) : version,
    sha1,
    etag: tag === undefined || tag.length > MAX_ETAG_LENGTH ? null : tag,
    from,
  }
}

function describeAttempt(attempted: Attempted | null, activated: Activated | null): ReportedAttempt | null {
  if (attempted === null) return null
  const { at, error } = attempted
  const identity = identify(attempted)
  if (error !== null) {
    const refusal = { reason: reasonOf(error), error: reportError(error), refused: [], refused_left_out: 0 }
    return { ...identity, at, verdict: 'nack', ...refusal }
  }
  const { faults, failures } = activated?.build ?? { faults: [], failures: [] }
  const { rows, left_out } = fill([...faults, ...failures], REFUSED_BYTES, describeRefused)
  const verdict = rows.length + left_out > 0 ? 'partial' : 'ack'
  return { ...identity, at, verdict, reason: null, error: null, refused: rows, refused_left_out: left_out }
}

function describeRefused(refused: DocumentError | Failure): RefusedPart {
  if (!('info' in refused)) {
    const { code, message, path } = reportError(refused)
    const nobody = { domain: null, name: null, phase: null, line: null, column: null, kept_last_good: false }
    return { ...nobody, path: path ?? '', code, message }
  }
  const { info, path, error, kept_last_good } = refused
  const { domain, name, phase } = info
  const { line = null, column = null } = error instanceof CompileError ? error : {}
  const { code, message } = reportError(error)
  return { domain, name, phase, path: limitText(path, MAX_TEXT_LENGTH), code, message, line, column, kept_last_good }
}

function describePlugins(activated: Activated | null, now: number): ReportedPlugins {
  const states = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<PluginState, number>
  const breakers = { closed: 0, open: 0, half_open: 0 }
  const trouble: Standing[] = []
  const others: Standing[] = []
  let total = 0
  for (const plugin of activated === null ? [] : listPlugins(activated, now)) {
    const { state, breaker } = plugin
    total += 1
    states[state] += 1
    breakers[breaker] += 1
    if (breaker !== 'closed' || TROUBLE.has(state)) trouble.push(plugin)
    else if (state !== 'live') others.push(plugin)
  }
  const { rows, left_out } = fill([...trouble, ...others], NOTABLE_BYTES, ({ describe }) => {
    const status = describe()
    return { ...status, error: status.error && limitText(status.error, MAX_TEXT_LENGTH) }
  })
  return { total, states, breakers, notable: rows, notable_left_out: left_out }
}

function describeCounters(tallies: Tallies, activated: Activated | null, now: number): ReportedCounters {
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

/** Puts an error into a report. */
export function reportError(error: Error): ReportedError {
  const code = error instanceof DynacodeError ? error.code : 'ERR_DYNACODE_FETCH'
  const path = error instanceof DocumentError ? limitText(error.path, MAX_TEXT_LENGTH) : null
  return { code, message: limitText(error.message, MAX_TEXT_LENGTH), path }
}

/** Takes rows for as long as their JSON fits. */
function fill<T, R>(items: readonly T[], max_bytes: number, describe: (item: T) => R): { rows: R[]; left_out: number } {
  const rows: R[] = []
  let bytes = 0
  for (const item of items) {
    const row = describe(item)
    bytes += Buffer.byteLength(JSON.stringify(row)) + 1
    if (bytes > max_bytes) break
    rows.push(row)
  }
  return { rows, left_out: items.length - rows.length }
}
