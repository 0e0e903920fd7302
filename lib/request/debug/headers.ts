import type { Context } from 'koa'
import { PHASES, type Phase } from '../../document.ts'
import type { LivePlugin } from '../../program.ts'
import { type RunRecord, type SkipReason, whyNot } from './run-record.ts'

/** What `Server-Timing` and the debug header may take, in characters: many servers end at 8 KB for all headers. */
const LONGEST_HEADER = 3000
const LONGEST_NAME = 100
/** Phases that come, as a whole or in part, when the headers have been sent. */
const LATE: ReadonlySet<Phase> = new Set(['header_filter', 'body_filter'])

/** One plugin in the debug header. */
interface Line {
  readonly name: string
  readonly domain: string
  readonly phase: Phase
  readonly shadow?: true
  readonly outcome?: string
  readonly duration_ms?: number
  readonly skipped?: SkipReason
}

/**
 * The debug header: JSON in ASCII, with the version that is live, and every plugin that the request's host has, in the order
 * in which they run.
 */
export function formatDebugHeader(record: RunRecord, ctx: Context, now: number): string {
  const { version, chain } = record
  const plugins = chain === null ? [] : PHASES.filter((phase) => phase !== 'log').flatMap((phase) => chain[phase])
  const lines = plugins.map((plugin) => JSON.stringify(describe(plugin, record, ctx, now)))
  const { kept, omitted } = fit(lines)
  const more = omitted === 0 ? '' : `,"omitted":${omitted}`
  return toAscii(`{"version":${JSON.stringify(version)},"plugins":[${kept.join()}]${more}}`)
}

/** The metrics of `Server-Timing` (W3C): one for each plugin that ran, named by phase and name. */
export function formatServerTiming({ runs }: RunRecord): string {
  const metrics = [...runs].map(([{ info, phase }, { outcome, duration_ms }]) => {
    const name = `${phase}.${shorten(info.name)}`
    // A metric's name is a token (RFC 9110, 5.6.2).
    return `${name.replace(/[^\w!#$%&'*+.^`|~-]/g, '_')};desc="${phase}: ${outcome}";dur=${round(duration_ms)}`
  })
  return fit(metrics).kept.join(', ')
}

function describe(plugin: LivePlugin, record: RunRecord, ctx: Context, now: number): Line {
  const { info, phase, spec } = plugin
  const about = { name: shorten(info.name), domain: shorten(info.domain), phase }
  const line: Line = spec.shadow ? { ...about, shadow: true } : about
  const run = record.runs.get(plugin)
  if (run !== undefined) return { ...line, outcome: run.outcome, duration_ms: round(run.duration_ms) }
  const skipped = record.skipped.get(plugin) ?? whyNot(plugin, ctx, now) ?? (LATE.has(phase) ? 'later' : 'ended')
  return { ...line, skipped }
}

/** Keeps as many as there is room for. */
function fit(parts: readonly string[]): { kept: readonly string[]; omitted: number } {
  let room = LONGEST_HEADER
  // Everything beyond ASCII takes six characters a unit there.
  const end = parts.findIndex((part) => {
    room -= toAscii(part).length + 2
    return room < 0
  })
  return end === -1 ? { kept: parts, omitted: 0 } : { kept: parts.slice(0, end), omitted: parts.length - end }
}

function toAscii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function shorten(name: string): string {
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}...` : name
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
