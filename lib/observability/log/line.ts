import type { EventName, EventTable, PluginInfo } from '../../events/table.ts'
import { describeError, limitText } from '../plain-error.ts'

/** How much a line of the log matters. */
export type Level = 'debug' | 'info' | 'warn' | 'error'

/** What a line of the log says beside its message: plain data. docs/logging.md lists the fields. */
export type LogFields = Readonly<Record<string, unknown>>

/** One line of the log. */
export interface LogLine {
  readonly level: Level
  readonly message: string
  /** Made when it is certain that the line is written. */
  fields(): LogFields
}

/** What comes in an event may be the client's choice (`host`) or the plugin's (`effects`): this much of it is kept. */
const MAX_TEXT_LENGTH = 300
const MAX_ITEMS = 20

type Line = readonly [level: Level, message: string]
type Lines = { readonly [N in EventName]: Line | ((payload: EventTable[N]) => Line) | undefined }

/** Messages are fixed, so that lines can be counted by them; what differs stands in the fields. */
const LINES: Lines = Object.freeze({
  bg_cache_hit: ['debug', 'took the document that another process fetched'],
  bg_cache_miss: ['debug', 'asked the source'],
  bg_fetch_api_success: ['debug', 'fetched'],
  bg_fetch_api_status_code_error: ['warn', 'could not fetch: wrong status'],
  bg_fetch_api_generic_error: ['warn', 'could not fetch'],
  bg_compile_success: ['debug', 'compiled a plugin'],
  bg_compile_error: ({ kept_last_good }) =>
    kept_last_good ? ['warn', 'refused a plugin, its last good version runs'] : ['error', 'refused a plugin'],
  bg_updated_plugins: ['info', 'a document went live'],
  bg_didnt_update_plugins({ reason }) {
    if (reason === 'unchanged') return ['debug', 'nothing new']
    // What was wrong with the fetch stands in the line before.
    return reason === 'fetch' ? ['debug', 'got no document'] : ['error', 'refused a document']
  },
  bg_stale: ['warn', 'the live document is stale'],
  rt_plugins_not_loaded: ['warn', 'a request came before the first document'],
  rt_plugins_disabled: ['debug', 'a request came while the plugins are switched off'],
  // One for each run: metrics are made for these.
  rt_plugins_starting: undefined,
  rt_plugins_done: undefined,
  rt_plugins_error: ['error', 'a plugin failed'],
  bg_plugin_expired: ['info', 'a plugin expired'],
  rt_plugins_shadow: ['info', 'a plugin ran in shadow mode'],
  rt_breaker_opened: ['error', 'a breaker opened: the plugin is not run for now'],
  rt_breaker_closed: ['info', 'a breaker closed: the plugin runs again'],
  rt_rollout_stopped: ['error', 'a rollout stopped itself: the plugin is not run any more'],
  rt_canary_stopped: ['error', 'a canary was stopped: every request gets the live document'],
  rt_canary_changed: ['info', 'a canary has another share'],
  bg_unit_reverted: ['error', 'a unit went back to its earlier version'],
  on_error: ({ section }) => [HARMLESS.has(section) ? 'warn' : 'error', 'an error outside the plugins'],
} satisfies Lines)

/** Sections of `on_error` that leave everything in working order. */
const HARMLESS: ReadonlySet<string> = new Set(['cache', 'fetch', 'watch', 'report'])

/** Whether there are lines for an event; to listen for the others costs every run. */
export const isLogged = (name: EventName): boolean => LINES[name] !== undefined

/** Puts an event into a line; undefined where there is none for it. */
export function describeLine<N extends EventName>(name: N, payload: EventTable[N]): LogLine | undefined {
  const line = LINES[name] as Line | ((payload: EventTable[N]) => Line) | undefined
  if (line === undefined) return undefined
  const [level, message] = typeof line === 'function' ? line(payload) : line
  return { level, message, fields: () => describeFields(payload) }
}

function describeFields(payload: object): LogFields {
  const { at: _at, plugin, error, ...rest } = payload as Record<string, unknown> & { plugin?: PluginInfo }
  const fields: Record<string, unknown> = {}
  if (plugin !== undefined) {
    fields.plugin = plugin.name
    fields.domain = plugin.domain
    fields.phase = plugin.phase
  }
  for (const [name, value] of Object.entries(rest)) fields[name] = limit(value)
  if (error !== undefined) fields.err = describeError(error)
  return fields
}

function limit(value: unknown): unknown {
  if (typeof value === 'string') return limitText(value, MAX_TEXT_LENGTH)
  return Array.isArray(value) ? value.slice(0, MAX_ITEMS).map(limit) : value
}
