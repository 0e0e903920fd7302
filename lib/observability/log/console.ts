import type { Events } from '../../events/emitter.ts'
import type { EventName, EventTable, PluginInfo } from '../../events/table.ts'
import { describeError, limitText } from '../plain-error.ts'
import { createLogLimit } from './limit.ts'

/** A line for a person: how much it matters, and one sentence. */
type Line = readonly [level: 'info' | 'warn' | 'error', text: string]

const MAX_LINE_LENGTH = 500
/** So many lines of one kind about one plugin at once, and one a minute after that. */
const LIMIT = { burst: 3, per_second: 1 / 60 }

/** Says in one line each what does not work, where nobody else would: the app has no logger and does not listen. */
type Lines = { readonly [N in EventName]?: (payload: EventTable[N]) => Line | undefined }

const LINES: Lines = Object.freeze({
  bg_fetch_api_status_code_error: ({ error }) => ['warn', `could not fetch plugins: ${say(error)}`],
  bg_fetch_api_generic_error: ({ error }) => ['warn', `could not fetch plugins: ${say(error)}`],
  bg_compile_error: ({ error, kept_last_good }) =>
    kept_last_good
      ? ['warn', `refused a plugin, its last good version keeps running: ${say(error)}`]
      : ['error', `refused a plugin: ${say(error)}`],
  bg_didnt_update_plugins({ reason, error }) {
    // A failed fetch has its own line.
    if (reason === 'unchanged' || reason === 'fetch') return undefined
    return ['error', `refused a document (${reason}), what was live stays live: ${say(error)}`]
  },
  bg_stale: ({ reason }) => [
    'warn',
    reason === 'age'
      ? 'the live document is stale: nobody has confirmed it for max_stale_seconds'
      : 'the live document is stale: it is past its own general.expires',
  ],
  rt_plugins_not_loaded: () => ['warn', 'a request came before the first document was live (see when_not_loaded)'],
  rt_plugins_error: ({ plugin, error, outcome }) => [
    'error',
    `${name(plugin)} failed, the request ${outcome === 'open' ? 'went on without it' : 'got 503'}: ${say(error)}`,
  ],
  rt_breaker_opened: ({ plugin, retry_at }) => [
    'error',
    `${name(plugin)} keeps failing and is skipped (breaker open) until ${new Date(retry_at).toISOString()}`,
  ],
  rt_rollout_stopped: (stop) => ['error', `the rollout of ${name(stop.plugin)} stopped itself: ${limitOf(stop)}`],
  rt_canary_stopped: (stop) => ['error', `the candidate document was stopped: ${limitOf(stop)}`],
  bg_unit_reverted: ({ error }) => ['error', say(error)],
  on_error: ({ section, error }) => ['warn', `${section}: ${say(error)}`],
} satisfies Lines)

const name = ({ name, phase, domain }: PluginInfo) => `plugin ${JSON.stringify(name)} (${phase}, ${domain})`
const limitOf = ({ condition, limit, above_control }: EventTable['rt_canary_stopped']) =>
  `${condition} is ${above_control ? 'more than' : 'above'} ${limit}${above_control ? ' above the control group' : ''}`
const say = (error: unknown) => describeError(error).message

/** All of it: what the app prints on stdout may be for another program to read. */
const TO_STDERR: Pick<Console, Line[0]> = {
  info: (line) => console.warn(line),
  warn: (line) => console.warn(line),
  error: (line) => console.error(line),
}

/**
 * Writes warnings and errors to the console, one line each, for every event that the app does not listen for itself; and
 * the first document that goes live.
 */
export function startConsoleLog(events: Events, target: Pick<Console, Line[0]> = TO_STDERR): void {
  const limit = createLogLimit(LIMIT)
  let is_first = true

  function write([level, text]: Line, left_out: number): void {
    const more = left_out === 0 ? '' : ` (and ${left_out} more like it)`
    // What comes in a message may be a client's choice: no line of it passes for one of ours.
    const line = limitText(text.replace(/\p{Cc}+/gu, ' '), MAX_LINE_LENGTH)
    try {
      target[level](`dynacode: ${line}${more}`)
    } catch {
      // A console that fails harms nothing.
    }
  }

  events.setUnheard((event, payload) => {
    if (event === 'bg_updated_plugins' && is_first) {
      const { version, plugins } = payload as EventTable['bg_updated_plugins']
      write(['info', `version ${version} is live, plugins: ${plugins}`], 0)
      is_first = false
    }
    const line = (LINES[event] as ((payload: object) => Line | undefined) | undefined)?.(payload)
    const left_out = line && limit.admit(event, (payload as { plugin?: PluginInfo }).plugin)
    if (line !== undefined && left_out !== undefined) write(line, left_out)
  })
}
