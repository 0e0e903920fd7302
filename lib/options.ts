import * as z from 'zod'
import { type UpdateOptions, type UpdateSettings, updateOptions } from './background/options.ts'
import { OptionError } from './errors.ts'
import { CALLBACKS, type Callbacks } from './events/table.ts'
import { type Logger, loggerOption } from './observability/log/logger.ts'
import { type ReportOptions, type ReportSettings, reportOptions } from './observability/report/options.ts'
import { checkGlobals, globalsOption } from './plugin/globals.ts'
import { type RequestOptions, type RequestSettings, requestOptions } from './request/options.ts'
import { type ApiOptions, type ApiSettings, apiOptions } from './sources/http/options.ts'
import { describeKind, describeMismatch, describeValue } from './validation/schema-error.ts'
import { callback, LONGEST_TIMER_SECONDS } from './validation/shapes.ts'
import { suggest } from './validation/suggestion.ts'

/** The options of `dynacode(options)`. Durations are in seconds, as in lua-resty-dynacode. */
export interface DynacodeOptions extends ApiOptions, UpdateOptions, RequestOptions, ReportOptions, Callbacks {
  /**
   * Names of your app that plugin code may use: configuration, flags, clients. The object is copied when the instance is
   * created. Its values are not copied, so plugins can change what is inside them.
   *
   * @default {}
   * @example { flags, redis }
   */
  globals?: Record<string, unknown>
  /**
   * Your app's logger: pino, or an object with the same methods. It gets each event as a line of plain data, and each
   * `log(...)` of a plugin. Without a logger, warnings and errors that have no listener go to the console. `false`: no console
   * output. The output of `DEBUG=dynacode:*` is not affected.
   *
   * @default none: the console
   * @example pino({ name: 'shop' })
   */
  logger?: Logger | false
}

/** The options as the parts of dynacode use them: complete and frozen. */
export type Options = ApiSettings &
  UpdateSettings &
  RequestSettings &
  ReportSettings & {
    readonly globals: Readonly<Record<string, unknown>>
    readonly logger?: Logger | false | undefined
    readonly callbacks: Readonly<Callbacks>
  }

const ADDRESSES = ['plugin_api_uri', 'report_uri'] as const

const callbacks = Object.fromEntries(Object.values(CALLBACKS).map((name) => [name, callback.optional()]))

const schema = z.strictObject({
  ...apiOptions,
  ...updateOptions,
  ...requestOptions,
  ...reportOptions,
  globals: globalsOption,
  logger: z.union([z.literal(false), loggerOption]).optional(),
  ...callbacks,
})

/** The name of every option, callbacks included. */
export const OPTION_NAMES: readonly string[] = Object.freeze(Object.keys(schema.shape))

/**
 * Checks the options and fills in the defaults. The caller's object is left as it is.
 *
 * @throws OptionError that names the option, what was expected and what came
 */
export function parseOptions(given: DynacodeOptions): Options {
  // Once: a function that V8 compiles for this schema is not worth it.
  const result = schema.safeParse(given, { jitless: true })
  if (!result.success) {
    const { path, message } = describeMismatch(result.error, given, describeGiven)
    if (path === '') throw new OptionError('', `dynacode(options): ${message}`)
    const unknown = result.error.issues[0]?.code === 'unrecognized_keys'
    throw new OptionError(path, `option ${path}: ${message}${unknown ? suggest(path, OPTION_NAMES) : ''}`)
  }
  const { on: given_callbacks, rest } = splitCallbacks(result.data)
  const options = rest as unknown as Omit<Options, 'callbacks'>
  if ((options.plugin_api_uri === undefined) === (options.source === undefined)) {
    throw new OptionError(
      'plugin_api_uri',
      `option plugin_api_uri: expected it or source, got ${options.source ? 'both' : 'neither'}`,
    )
  }
  for (const name of ADDRESSES) refuseCredentials(name, options[name])
  return Object.freeze({
    ...options,
    workers_max_jitter: readJitter(options),
    plugin_api_backoff_max:
      options.plugin_api_backoff_max ?? Math.min(options.plugin_api_polling_interval * 2, LONGEST_TIMER_SECONDS),
    globals: checkGlobals(options.globals),
    callbacks: Object.freeze(given_callbacks),
  })
}

/** The longest wait, interval and jitter together, must be one that a timer can wait. */
function readJitter({
  plugin_api_polling_interval: interval,
  workers_max_jitter: jitter,
}: Pick<DynacodeOptions, 'workers_max_jitter'> & Pick<Options, 'plugin_api_polling_interval'>): number {
  const longest = LONGEST_TIMER_SECONDS - interval
  if (jitter === undefined) return Math.min(interval / 10, longest)
  if (jitter <= longest) return jitter
  throw new OptionError(
    'workers_max_jitter',
    `option workers_max_jitter: expected at most ${LONGEST_TIMER_SECONDS} together with plugin_api_polling_interval, got ${jitter} and ${interval}`,
  )
}

/** What came, without what may be secret in it: messages end up in logs. */
function describeGiven(value: unknown, path: string): string {
  if (/^(plugin_api_headers|report_headers|trusted_keys|debug_requests)/.test(path)) return describeKind(value)
  if (!ADDRESSES.some((name) => name === path) || typeof value !== 'string') return describeValue(value)
  return describeValue(value.replace(/\/\/.*@/, '//…@').replace(/\?.*$/s, '?…'))
}

function splitCallbacks(data: Record<string, unknown>): { on: Callbacks; rest: Record<string, unknown> } {
  const entries = Object.entries(data)
  return {
    on: Object.fromEntries(entries.filter(([name]) => name in callbacks)) as Callbacks,
    rest: Object.fromEntries(entries.filter(([name]) => !(name in callbacks))),
  }
}

/** Credentials in an address end up in logs; there is a header for them. */
function refuseCredentials(option: (typeof ADDRESSES)[number], uri: string | undefined): void {
  if (uri === undefined) return
  const { username, password } = new URL(uri)
  if (username === '' && password === '') return
  throw new OptionError(
    option,
    `option ${option}: expected a URL without user and password (put them into ${option.replace('uri', 'headers')}), got one with them`,
  )
}
