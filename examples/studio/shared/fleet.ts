import { z } from 'zod'
import type { REPORT } from './report.ts'
import { TIME } from './values.ts'

/** What an instance said last, as it was taken in. */
export type Report = z.output<typeof REPORT>
export type Counters = NonNullable<Report['counters']>['plugins'][number]
export type LastError = NonNullable<Counters['last_error']>

const VERSION = z.union([z.int(), z.string()]).nullable()
/** A plugin that is not simply live in a process. */
export type Notable = Pick<
  NonNullable<Report['plugins']>['notable'][number],
  'domain' | 'name' | 'state' | 'breaker'
> & {
  readonly phase: string | null
}
/** Of a report, what lists and sums need. */
export interface Summary {
  readonly name: string | null
  /** In seconds. */
  readonly interval: number
  readonly disabled: boolean
  readonly stale: boolean
  readonly enabled: boolean
  readonly version: number | string | null
  /** The version that was refused whole. */
  readonly refused_version: number | string | null
  /** How many parts of the live one were refused. */
  readonly refused: number
  readonly quarantined: number
  readonly open_breakers: number
  /** Whether its candidate document was stopped; undefined in what was kept before that was known. */
  readonly canary_stopped?: boolean
  readonly notable: readonly Notable[]
}

/** How a process or a plugin fares; a process is also `silent`, or `closed`. */
const CONDITION = z.enum(['bad', 'warn', 'good', 'silent', 'closed'])
export type Condition = z.output<typeof CONDITION>

/** One process, in a line. `since`: when it was heard of last, where that is for long or for good. */
export const PROCESS = z.object({
  id: z.string(),
  name: z.string().nullable(),
  host: z.string(),
  pid: z.int(),
  version: VERSION,
  condition: CONDITION,
  text: z.string(),
  since: TIME.nullable(),
})
export type Process = z.output<typeof PROCESS>

/** Trouble first; those that are gone last. */
const ORDER: readonly Condition[] = ['bad', 'warn', 'good', 'silent', 'closed']
/** The order of processes, the same in the studio and in its pages. */
export function compareProcesses(a: Process, b: Process): number {
  const by_condition = ORDER.indexOf(a.condition) - ORDER.indexOf(b.condition)
  return by_condition || compare(a.host, b.host) || a.pid - b.pid || compare(a.id, b.id)
}
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

export function isGone({ condition }: Pick<Process, 'condition'>): boolean {
  return condition === 'silent' || condition === 'closed'
}

/** Whether a search finds a process. */
export function isFound({ host, pid, name, version, text }: Process, search: string | undefined): boolean {
  const wanted = search?.toLowerCase() ?? ''
  return wanted === '' || `${name ?? ''} ${host} ${pid} version ${version} ${text}`.toLowerCase().includes(wanted)
}

/** The fleet in one line. `live` processes are those that are neither silent nor closed; `on_version` of them run `version`. */
export const HEADLINE = z.object({
  version: z.int(),
  live: z.int(),
  on_version: z.int(),
  bad: z.int(),
  warn: z.int(),
  silent: z.int(),
  closed: z.int(),
})
export type Headline = z.output<typeof HEADLINE>

/** A page of processes. `next`: where the next one begins. */
export const FLEET = z.object({ headline: HEADLINE, processes: z.array(PROCESS), next: z.int().nullable() })
export type Fleet = z.output<typeof FLEET>

/** What a page that watches the fleet gets, as `fleet` of the event stream. */
export interface FleetChange {
  readonly headline: Headline
  /** Those that are new, or differ from what was told of them. */
  readonly changed: readonly Process[]
  /** Ids of those that were forgotten. */
  readonly gone: readonly string[]
}

/** All that a process reported last. */
export const INSTANCE = z.object({
  id: z.string(),
  received_at: TIME,
  report: z.record(z.string(), z.unknown()),
})
export type Instance = z.output<typeof INSTANCE> & { readonly report: Report }

const RATE = z.number().min(0)
const QUANTILE = z.number().min(0).nullable()
const PLUGIN = z.object({ domain: z.string(), name: z.string(), phase: z.string() })

/**
 * What a plugin does in all processes together, over the last minutes: per second. `owner`, `runbook`: who answers for it as it
 * is live, and the address of what to do when it fails; in lists, of those in trouble.
 */
export const PLUGIN_ACTIVITY = PLUGIN.extend({
  condition: z.enum(['bad', 'warn', 'good']),
  text: z.string(),
  is_off: z.boolean(),
  calls: RATE,
  errors: RATE,
  exits: RATE,
  p50_ms: QUANTILE,
  p99_ms: QUANTILE,
  last_error: z
    .object({
      at: TIME,
      host: z.string(),
      pid: z.int(),
      code: z.string().nullable(),
      message: z.string(),
      line: z.int().nullable(),
      column: z.int().nullable(),
      outcome: z.enum(['open', 'closed']),
    })
    .nullable(),
  owner: z.string().nullable(),
  runbook: z.string().nullable(),
})
export type PluginActivity = z.output<typeof PLUGIN_ACTIVITY>
/** What reports alone say of it. */
export type CountedActivity = Omit<PluginActivity, 'owner' | 'runbook'>
/** A page of plugins, trouble first. `minutes`: what the rates are of. */
export const PLUGINS_ACTIVITY = z.object({
  minutes: z.int(),
  bad: z.int(),
  plugins: z.array(PLUGIN_ACTIVITY),
  next: z.int().nullable(),
})
export type PluginsActivity = z.output<typeof PLUGINS_ACTIVITY>

/** What a plugin, or all of them together, did over an hour or a day; rates are per second. */
export const CHART = z.object({
  from: TIME,
  until: TIME,
  step_seconds: z.int(),
  points: z.array(z.object({ at: TIME, calls: RATE, errors: RATE, exits: RATE, p50_ms: QUANTILE, p99_ms: QUANTILE })),
  /** How many processes ran which version; none of it for a plugin. */
  processes: z.array(z.object({ at: TIME, versions: z.record(z.string(), z.int()) })),
  /** When versions went live. */
  marks: z.array(z.object({ at: TIME, version: z.int(), message: z.string() })),
})
export type Chart = z.output<typeof CHART>

const COUNT = z.int().min(0)
/** What shadow runs would have done: ended the request, changed something, failed. One run may be several of these. */
const SHADOW_COUNTS = z.object({ runs: COUNT, exits: COUNT, changes: COUNT, errors: COUNT })
export type ShadowCounts = z.output<typeof SHADOW_COUNTS>

/** What a plugin in shadow mode would have done, in all instances together and in each. */
export const SHADOW_RUNS = SHADOW_COUNTS.extend({
  domain: z.string(),
  plugin: z.string(),
  phase: z.string(),
  instances: z.array(SHADOW_COUNTS.extend({ id: z.string(), host: z.string(), pid: z.int(), received_at: TIME })),
})
export type ShadowRuns = z.output<typeof SHADOW_RUNS>
