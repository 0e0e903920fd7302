import Koa from 'koa'
import onFinished from 'on-finished'
import * as z from 'zod'
import { readDocument } from '../background/reading/validator.ts'
import type { Refresh } from '../background/refresh.ts'
import { createDynacode, type Dynacode } from '../dynacode.ts'
import { CALLBACKS, type EventName, type Payload } from '../events/table.ts'
import type { DynacodeOptions } from '../options.ts'
import { checkArguments } from '../validation/arguments.ts'
import { createGivenSource, type Given } from './given.ts'
import { createDate, createTestClock, type Time } from './manual-clock.ts'
import { createRecorder, type RecordedEvent } from './recorder.ts'
import { throwRefusals } from './refusals.ts'
import { findRolloutKey } from './rollout-key.ts'
import { createUpstream, type Upstream } from './upstream.ts'

/** Options of `plugin_app`. */
export interface PluginAppOptions {
  /**
   * The app behind the plugins: middleware, an array of middleware, an error to throw, or a body. With `null` there is no app,
   * and Koa answers 404. For a streamed body, pass `stream_body(chunks)`.
   *
   * @default 'app'
   */
  app?: Upstream
  /** Names that plugin code may use, as in the option of `dynacode`. */
  globals?: Record<string, unknown>
  /**
   * The current time for `starts_at` and `expires_at`, breakers, the store, events, and the plugins' own `Date`. A fixed time
   * does not advance; a function is called each time. Timers use real time.
   *
   * @default the machine's time
   * @example '2030-01-31T12:00:00Z'
   */
  now?: Time | (() => Time)
  /** Further options of `dynacode`. */
  options?: Omit<DynacodeOptions, 'source' | 'plugin_api_uri' | 'globals'>
  /**
   * Whether to run without plugins that are refused or do not compile, as in production. By default, `plugin_app` and
   * `document` reject.
   *
   * @default false
   */
  allow_refused?: boolean
}

/** A Koa app with plugins in front of it. */
export interface PluginApp extends Koa {
  readonly dyna: Dynacode
  /** Every event so far, in order. */
  readonly events: readonly RecordedEvent[]
  /** The payloads of one event so far, in order. */
  events_of<N extends EventName>(name: N): readonly Payload<N>[]
  /** Errors that reached Koa, each once. They are not printed to stderr. */
  readonly errors: readonly unknown[]
  /** Sets the current time. It does not advance by itself. */
  set_time(time: Time): void
  /** Advances the current time. It does not advance by itself. */
  advance_seconds(seconds: number): void
  /**
   * Loads another document, plugin or folder, as a poll would. Without an argument, it reloads the current one, and reads a
   * folder again.
   *
   * @throws like `plugin_app`. The last good plugins stay live
   */
  document(next?: Given): Promise<Refresh>
  /**
   * Finds a key inside the rollout of a plugin, or of a variant (`plugin/variant`). Send it as the header, cookie or parameter
   * that `rollout.by` names, or that is the first in its list.
   *
   * @param options.inside `false`: finds a key outside of the rollout
   */
  rollout_key(plugin: string, options?: { readonly inside?: boolean }): string
  /** Waits until every response has been sent and the `log` plugins are done. */
  settled(): Promise<void>
  /** Closes dynacode: the app then answers without plugins. The process can exit without it. */
  close(): Promise<void>
}

/** For what plugin_app sees to itself. */
const NOTHING = z.undefined('nothing').optional()

const schema = z.strictObject({
  app: z.unknown().optional(),
  globals: z.unknown().optional(),
  now: z.unknown().optional(),
  options: z.looseObject({ source: NOTHING, plugin_api_uri: NOTHING, globals: NOTHING }).optional(),
  allow_refused: z.boolean().default(false),
})

/**
 * Creates a Koa app with plugins in front of it, for supertest or the like. It needs no API, and starts no timers or sockets
 * that keep the process alive.
 *
 * @param given one plugin, an array of plugins, a whole document, or the path of a folder with a `dynacode.json`
 * @throws CompileError, DocumentError or an AggregateError of them if a plugin is refused; OptionError
 * @example
 * const app = await plugin_app({ phase: 'access', code: 'exit(403)' })
 * await request(app.callback()).get('/').expect(403)
 */
export async function plugin_app(given: Given, options: PluginAppOptions = {}): Promise<PluginApp> {
  const { allow_refused } = checkArguments('plugin_app(given, options)', schema, options)
  const clock = createTestClock(options.now)
  let source = await createGivenSource(given)
  let text = ''
  const dyna = createDynacode(
    {
      ...options.options,
      globals: { Date: createDate(clock), ...options.globals },
      source: {
        // A document that is brought anew is one, even if nothing in it has changed.
        async fetch(signal) {
          const fetched = await source.fetch(signal, undefined)
          if (fetched.unchanged !== true) text = Buffer.from(fetched.bytes).toString()
          return fetched
        },
      },
    },
    { clock },
  )
  const recorder = createRecorder(dyna, Object.keys(CALLBACKS) as EventName[])
  const app = new Koa()
  const errors: unknown[] = []
  let responses = 0

  async function refresh(): Promise<Refresh> {
    const from = recorder.events.length
    const refreshed = await dyna.refresh()
    clock.check()
    if (!allow_refused) throwRefusals(refreshed, recorder.events.slice(from))
    return refreshed
  }

  // A stream that breaks is reported twice.
  app.on('error', (error) => errors.includes(error) || errors.push(error))
  app.use((ctx, next) => {
    clock.check()
    responses += 1
    onFinished(ctx.res, () => {
      responses -= 1
    })
    return next()
  })
  app.use(dyna)
  for (const middleware of createUpstream(options.app)) app.use(middleware)

  try {
    await refresh()
  } catch (error) {
    await dyna.close()
    throw error
  }
  return Object.assign(app, {
    dyna,
    events: recorder.events,
    events_of: recorder.payloads,
    errors,
    set_time: clock.set,
    advance_seconds: (seconds: number) => clock.set(clock.now() + seconds * 1000),
    async document(next?: Given) {
      if (next !== undefined) source = await createGivenSource(next)
      return refresh()
    },
    rollout_key: (plugin: string, { inside = true } = {}) =>
      findRolloutKey(readDocument(text), plugin, inside, clock.now()),
    settled: () => recorder.settled(() => responses === 0),
    close: dyna.close,
  } satisfies Omit<PluginApp, keyof Koa>)
}
