import type { Dispatcher } from 'undici'
import { z } from 'zod'
import { MOST_ALIKE_EXPRESSIONS } from './background/reading/alike-expressions.ts'
import type { GuardMode } from './document.ts'
import { OptionError } from './errors.ts'
import { CALLBACKS, type Callbacks } from './events/table.ts'
import type { Logger } from './observability/log/logger.ts'
import { checkGlobals } from './plugin/globals.ts'
import { type DebugOptions, debugOptionsSchema } from './request/debug/options.ts'
import type { Source } from './sources/contract.ts'
import { type ApiHeaders, apiHeadersSchema, type HeadersFunction } from './sources/http/request-headers.ts'
import { LONGEST_TIMER_MS } from './time/clock.ts'
import { describeKind, describeMismatch, describeValue } from './validation/schema-error.ts'
import { suggest } from './validation/suggestion.ts'
import { type TrustedKeys, trustedKeysSchema } from './validation/trusted-keys.ts'

/** The options of `dynacode(options)`. Durations are in seconds, as in lua-resty-dynacode. */
export interface DynacodeOptions extends Callbacks {
  /**
   * Address of the API that answers with the document of plugins. `http:` or `https:`.
   * Required, unless `source` is given.
   *
   * @example 'http://api:9090/plugins.json'
   */
  plugin_api_uri?: string
  /** Where documents come from, in place of `plugin_api_uri`. */
  source?: Source
  /**
   * Time between polls, in seconds. At least 0.001 and, with the jitter, at most 2 147 483.647: the range of Node's
   * timers.
   *
   * @default 30
   */
  plugin_api_polling_interval?: number
  /**
   * Whether to poll at once, rather than after the first interval. The second wait is then spread over the whole
   * interval, so that processes started together do not poll together.
   *
   * @default true
   */
  plugin_api_poll_at_init?: boolean
  /**
   * Random time added to every wait, in seconds. 0: none.
   *
   * @default 10 % of `plugin_api_polling_interval`
   */
  workers_max_jitter?: number
  /**
   * Deadline of one whole fetch, in seconds, from the look-up of the address to the last byte of the body. The same
   * range as the interval's.
   *
   * @default 5
   */
  plugin_api_timeout?: number
  /**
   * How long the API may hold back its answer until there is something new, in whole seconds: long polling, so that a
   * change is live within milliseconds. Asked for by `Prefer: wait=…` (RFC 7240) beside the ordinary polls; an API that
   * does not know it is polled as ever. 0: no long polling.
   *
   * @default 0
   */
  plugin_api_wait?: number
  /**
   * Headers of each request to the API: an object, or a function (async, too) that is asked each time, and once more
   * when the API answers 401. They never go to another origin.
   *
   * @default {}
   * @example { authorization: 'Bearer …' }
   */
  plugin_api_headers?: ApiHeaders | HeadersFunction
  /**
   * undici dispatcher that carries the requests to the API: for client certificates, a proxy, an agent of your own.
   * It stays yours to close, and its sockets may keep the process alive.
   *
   * @default an agent of dynacode's own
   */
  plugin_api_dispatcher?: Dispatcher
  /**
   * Limit on the document's size, in bytes after decompression. At most 536 870 888, the longest text that Node can
   * hold.
   *
   * @default 16 777 216
   */
  plugin_api_max_bytes?: number
  /**
   * How many redirects of the API are followed. 0: none, they are errors.
   *
   * @default 0
   */
  plugin_api_redirects?: number
  /**
   * Longest wait after failed fetches, in seconds. The first one is random up to twice the interval, each later one up to
   * twice the one before. A Retry-After of the API is honoured beyond it, up to an hour.
   *
   * @default twice `plugin_api_polling_interval`
   */
  plugin_api_backoff_max?: number
  /**
   * File in which the live document is kept, so that a restart without the API finds it, and through which the processes
   * of a machine share what one of them has fetched. Give it a folder that only the app's user can write to. The one
   * before is kept beside it.
   *
   * @default none: nothing is written
   * @example '/var/lib/app/dynacode.cache'
   */
  cache_path?: string
  /**
   * The document to begin with where there is no cache: itself, or the path of a file. The first one from the API or the
   * cache takes its place.
   *
   * @default none
   */
  bootstrap?: object | string
  /**
   * How long the live document may go without being found current, in seconds, until it counts as stale.
   *
   * @default Infinity
   */
  max_stale_seconds?: number
  /**
   * What requests get when the live document is stale, or past its own `general.expires`: `serve`: as before; `closed`:
   * 503.
   *
   * @default 'serve'
   */
  when_stale?: 'serve' | 'closed'
  /**
   * How many domains a document may have; one with more is refused.
   *
   * @default 100000
   */
  max_domains?: number
  /**
   * How many regular expressions without fixed text of their own a document may have among the names of its domains and its
   * `skip_domains`; one with more is refused. All of them are tried for each host that is not known yet.
   *
   * @default 300
   */
  max_alike_expressions?: number
  /**
   * How many plugins a document may have, all domains together; one with more is refused.
   *
   * @default 100000
   */
  max_plugins?: number
  /**
   * How long the code of a plugin may be, in bytes of UTF-8; a document with a longer one is refused.
   *
   * @default 1 048 576
   */
  max_code_bytes?: number
  /**
   * Share of the live plugins that a document may drop at once, from 0 to 1. One that drops more is held, unless it says
   * `"allow_removal": true` in `general`. 1: any.
   *
   * @default 1
   */
  max_removed_ratio?: number
  /**
   * Public keys, as a JWK Set. Given some, only documents signed by one of them are accepted, and only ones that are newer
   * than any before; docs/trust.md has the whole of it.
   *
   * @default none: documents are not signed
   */
  trusted_keys?: TrustedKeys
  /**
   * How many compiled plugins are remembered, those that are live among them, which always are. At most 1 000 000: room
   * for that many is made at once.
   *
   * @default 10000
   */
  compile_cache_max?: number
  /**
   * What a request gets before the first document is live: `open`: the app, without plugins; `closed`: 503; `wait`: it
   * waits for the document, at most `plugin_api_timeout` seconds, and gets 503 after that.
   *
   * @default 'open'
   */
  when_not_loaded?: 'open' | 'closed' | 'wait'
  /**
   * How plugins are kept from harming the app, unless the document says otherwise for one: `on`: checks inside their code
   * stop whatever takes too long; `strict`: besides, V8 ends what has no place for a check (some 10 µs a run); `off`:
   * nothing does.
   *
   * @default 'on'
   */
  guard?: GuardMode
  /**
   * How long a plugin may keep the event loop in one of its turns, in milliseconds.
   *
   * @default 50
   */
  budget_ms?: number
  /**
   * How long an asynchronous run of a plugin may take in all, in milliseconds.
   *
   * @default 5000
   */
  timeout_ms?: number
  /**
   * After how many failures in a row, or overruns within a minute, a plugin is not run for a while. 0: never.
   *
   * @default 5
   */
  breaker_failures?: number
  /**
   * Whether V8 may give up on regular expressions that backtrack too much, and run them in linear time. A setting of the
   * whole process, the app's own expressions included, and never taken back.
   *
   * @default false
   */
  linear_regexp?: boolean
  /**
   * A thread that watches the main one, for what no check inside the code can stop. A plugin that keeps the event loop
   * for more than `limit_ms` (1000) is named on stderr and put into quarantine: a file in the folder `quarantine_path`,
   * which keeps its code from running, after a restart too, until the code changes or somebody deletes the file. So is a
   * plugin in whose midst the process died. With `exit`, the process is killed on the spot (SIGKILL: a thread that hangs
   * hears nothing else), for its supervisor to start it anew.
   *
   * @default none
   * @example { quarantine_path: '/var/lib/app/quarantine', exit: true }
   */
  watchdog?: { quarantine_path: string; limit_ms?: number; exit?: boolean }
  /**
   * Names of the app's own that plugin code may use: configuration, flags, clients. Taken over when the instance is made;
   * the values stay the app's, and plugins can change what is inside them.
   *
   * @default {}
   * @example { flags, redis }
   */
  globals?: Record<string, unknown>
  /**
   * Where the log goes: pino, or another logger of its kind. Each event becomes a line of plain data, and so does what
   * plugins say with `log(...)`. What `debug` prints stays as it is.
   *
   * @default none: `debug` alone, under `dynacode:*`
   * @example pino({ name: 'shop' })
   */
  logger?: Logger
  /**
   * Address that is told how this instance fares: by POST, after whatever changes, and at least once in each
   * `report_interval`. `http:` or `https:`. docs/reporting.md has the format.
   *
   * @default none: nothing is reported
   * @example 'https://studio.internal/reports'
   */
  report_uri?: string
  /** The app's name in its reports. At most 200 characters. */
  report_name?: string
  /**
   * Headers of each report: an object, or a function (async, too) that is asked each time, and once more when the receiver
   * answers 401.
   *
   * @default {}
   */
  report_headers?: ApiHeaders | HeadersFunction
  /**
   * undici dispatcher that carries the reports. That of the API is not used for them: its certificate is for the API. It
   * stays yours to close, and its sockets may keep the process alive.
   *
   * @default an agent of dynacode's own
   */
  report_dispatcher?: Dispatcher
  /**
   * Longest time between reports, in seconds, but for a random tenth. What changes is reported within a tenth of it. The
   * same range as `plugin_api_polling_interval`.
   *
   * @default 60
   */
  report_interval?: number
  /**
   * Deadline of one report, in seconds.
   *
   * @default 5
   */
  report_timeout?: number
  /**
   * Who may see what plugins did to their own requests, in the headers of the response. A request asks by a header,
   * `dynacode-debug` unless `header` says otherwise, with one of `tokens` or a token that one of `trusted_keys` has signed.
   *
   * @default none: nobody
   * @example { trusted_keys: JSON.parse(readFileSync('debug/trusted-keys.json', 'utf8')) }
   */
  debug_requests?: DebugOptions
}

type Optional =
  | 'plugin_api_uri'
  | 'source'
  | 'plugin_api_dispatcher'
  | 'cache_path'
  | 'bootstrap'
  | 'trusted_keys'
  | 'logger'
  | 'report_uri'
  | 'report_name'
  | 'report_dispatcher'
  | 'debug_requests'

/** The options as every part of dynacode uses them: complete and frozen. */
export type Options = Readonly<Required<Omit<DynacodeOptions, keyof Callbacks | Optional | 'watchdog'>>> &
  Readonly<Pick<DynacodeOptions, Optional>> & {
    readonly watchdog: Readonly<Required<NonNullable<DynacodeOptions['watchdog']>>> | undefined
    readonly callbacks: Readonly<Callbacks>
  }

// The range of setTimeout, outside of which it fires at once.
const SHORTEST_TIMER_SECONDS = 0.001
const LONGEST_TIMER_SECONDS = LONGEST_TIMER_MS / 1000
const LONGEST_TEXT = 536_870_888

const seconds = z.number().min(SHORTEST_TIMER_SECONDS).max(LONGEST_TIMER_SECONDS)
const milliseconds = z.number().positive().max(LONGEST_TIMER_MS)
const count = z.int().positive()
const callback = z.custom<() => unknown>((value) => typeof value === 'function', 'a function')
const withMethod = <T>(method: string, message: string) =>
  z.custom<T>((value) => typeof (value as Record<string, unknown> | null)?.[method] === 'function', message)

const ADDRESSES = ['plugin_api_uri', 'report_uri'] as const
const LOG_METHODS = ['debug', 'info', 'warn', 'error'] as const

const callbacks = Object.fromEntries(Object.values(CALLBACKS).map((name) => [name, callback.optional()]))

const schema = z.strictObject({
  plugin_api_uri: z.url({ protocol: /^https?$/, error: 'an http: or https: URL' }).optional(),
  source: withMethod<Source>('fetch', 'an object with a fetch method').optional(),
  plugin_api_polling_interval: seconds.default(30),
  plugin_api_poll_at_init: z.boolean().default(true),
  workers_max_jitter: z.number().nonnegative().max(LONGEST_TIMER_SECONDS).optional(),
  plugin_api_timeout: seconds.default(5),
  plugin_api_wait: z.int().nonnegative().max(3600).default(0),
  plugin_api_headers: z.union([apiHeadersSchema, callback as z.ZodType<HeadersFunction>]).default({}),
  plugin_api_dispatcher: withMethod<Dispatcher>('dispatch', 'an undici Dispatcher').optional(),
  plugin_api_max_bytes: count.max(LONGEST_TEXT).default(16 * 1024 * 1024),
  plugin_api_redirects: z.int().nonnegative().max(20).default(0),
  plugin_api_backoff_max: seconds.optional(),
  cache_path: z.string().min(1).optional(),
  bootstrap: z
    .union([z.string().min(1), z.custom<object>((value) => typeof value === 'object' && value !== null, 'an object')])
    .optional(),
  max_stale_seconds: z
    .union([z.literal(Number.POSITIVE_INFINITY), z.number().positive()])
    .default(Number.POSITIVE_INFINITY),
  when_stale: z.enum(['serve', 'closed']).default('serve'),
  max_domains: count.default(100_000),
  max_alike_expressions: count.default(MOST_ALIKE_EXPRESSIONS),
  max_plugins: count.default(100_000),
  max_code_bytes: count.default(1024 * 1024),
  max_removed_ratio: z.number().min(0).max(1).default(1),
  trusted_keys: trustedKeysSchema.optional(),
  compile_cache_max: count.max(1_000_000).default(10_000),
  when_not_loaded: z.enum(['open', 'closed', 'wait']).default('open'),
  guard: z.enum(['on', 'strict', 'off']).default('on'),
  budget_ms: milliseconds.default(50),
  timeout_ms: milliseconds.default(5000),
  breaker_failures: z.int().nonnegative().default(5),
  linear_regexp: z.boolean().default(false),
  debug_requests: debugOptionsSchema.optional(),
  watchdog: z
    .strictObject({
      quarantine_path: z.string().min(1),
      limit_ms: milliseconds.default(1000),
      exit: z.boolean().default(false),
    })
    .optional(),
  globals: z
    .custom<Record<string, unknown>>(
      (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
      'an object',
    )
    .default({}),
  logger: z
    .custom<Logger>(
      (value) => (typeof value === 'object' && value !== null) || typeof value === 'function',
      'an object',
    )
    .superRefine((logger, context) => {
      const missing = LOG_METHODS.find((method) => typeof logger[method] !== 'function')
      if (missing === undefined) return
      context.addIssue({ code: 'custom', path: [missing], message: 'a method, as pino has it' })
    })
    .optional(),
  report_uri: z.url({ protocol: /^https?$/, error: 'an http: or https: URL' }).optional(),
  report_name: z.string().min(1).max(200).optional(),
  report_headers: z.union([apiHeadersSchema, callback as z.ZodType<HeadersFunction>]).default({}),
  report_dispatcher: withMethod<Dispatcher>('dispatch', 'an undici Dispatcher').optional(),
  report_interval: seconds.default(60),
  report_timeout: seconds.default(5),
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
  const result = schema.safeParse(given)
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
