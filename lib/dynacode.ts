import { randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import createDebug from 'debug'
import type { Middleware } from 'koa'
import { createActivator } from './background/activator.ts'
import { createBackoff } from './background/backoff.ts'
import { createBuilder } from './background/builder.ts'
import { type Cache, createCache } from './background/cache/disk.ts'
import { chunkName, createCompiler } from './background/compiling/compiler.ts'
import { createFunctionConstructor } from './background/compiling/guarded-code.ts'
import { rewriteStack } from './background/compiling/stack.ts'
import { createFetcher } from './background/fetcher.ts'
import { NO_POLLER, startPoller } from './background/poller.ts'
import { createRefresher, type Refresh } from './background/refresher.ts'
import { createStaleness } from './background/staleness.ts'
import { startFromDisk } from './background/start.ts'
import { rememberHighest } from './background/trust/highest-version.ts'
import { createVerifier } from './background/trust/verifier.ts'
import { startWatching } from './background/watching.ts'
import { type ControlOptions, createControl } from './control/endpoints.ts'
import { createReadiness, type Readiness } from './control/readiness.ts'
import { describeStatus, type Status } from './control/status.ts'
import { DynacodeError } from './errors.ts'
import { createRunObservers, OBSERVE_RUNS } from './events/run-observers.ts'
import { createEvents, type DynacodeEmitter, type Events, type Origin, type PluginInfo } from './events/table.ts'
import { createRefreshTracing } from './events/tracing.ts'
import { startLogging } from './observability/log/logger.ts'
import { startReporting } from './observability/report/start.ts'
import { type DynacodeOptions, type Options, parseOptions } from './options.ts'
import type { Program } from './program.ts'
import { createBodyFilter } from './request/body-filter.ts'
import { createDebugRequests, type DebugRequests } from './request/debug/requests.ts'
import { openQuarantine, type Quarantine } from './request/guard/quarantine.ts'
import { NO_WATCHDOG, startWatchdog, type Watchdog } from './request/guard/watchdog.ts'
import { createMiddleware } from './request/middleware.ts'
import { createObservation } from './request/observation.ts'
import { beginLife, createBreakerMaker, watchExpiry } from './request/plugin-life.ts'
import { createRunner } from './request/runner.ts'
import { createStore } from './request/store.ts'
import { createHttpSource, type HttpSourceOptions } from './sources/http/source.ts'
import { identifySource } from './sources/http/source-identity.ts'
import { type Clock, LONGEST_TIMER_MS, SYSTEM_CLOCK } from './time/clock.ts'

/** Koa middleware that carries its instance. */
export interface Dynacode extends Middleware {
  /** Emits what docs/events.md lists. */
  readonly events: DynacodeEmitter
  /**
   * Waits for a document to be live.
   *
   * @param timeout_ms how long; 10 000 ms unless given; Infinity: for as long as it takes
   * @returns where the first document came from; once there was one, always at once
   * @throws DynacodeError ERR_DYNACODE_NOT_READY when the time is over, ERR_DYNACODE_CLOSED when `close()` comes first
   */
  ready(timeout_ms?: number): Promise<Readiness>
  /** Asks the source now, or joins who is doing so. Never rejects: what went wrong is in what it returns. */
  refresh(): Promise<Refresh>
  /** The state of this instance: frozen, cheap, without secrets; it can be sent as JSON. */
  status(): Status
  /**
   * Switches every plugin off in this process, until `enable()`: requests pass to the app as if dynacode were not there.
   * Polling goes on. An instance made with DYNACODE_DISABLED=1 in the environment begins so.
   */
  disable(): void
  /** Takes `disable()` back. */
  enable(): void
  /**
   * Makes Koa middleware by which this process is looked at and steered over HTTP: `GET /status`, `POST /refresh`,
   * `POST /disable` and `POST /enable` under a path of its own, for who has the token. Mount it in front of the instance.
   *
   * @throws OptionError when an option is wrong, or the token is missing
   * @example
   * app.use(dyna.control({ token: process.env.CONTROL_TOKEN }))
   * app.use(dyna)
   */
  control(options: ControlOptions): Middleware
  /**
   * Ends this instance for good: nothing runs, writes or fires any more. Requests pass to the app without plugins, and
   * get 503 where a plugin that fails closed would have run. Resolves when its connections are closed.
   */
  close(): Promise<void>
}

/**
 * Makes an instance of dynacode and starts to poll.
 *
 * @returns Koa middleware: mount it before everything that plugins shall see
 * @throws OptionError when an option is wrong, missing or unknown
 * @example
 * const dyna = dynacode({ plugin_api_uri: 'http://api:9090/plugins.json' })
 * app.use(dyna)
 */
export function dynacode(given: DynacodeOptions): Dynacode {
  return createDynacode(given)
}

/**
 * Makes an instance, as `dynacode` does.
 *
 * @param test what tests put in place: what time it is, and that documents come by `refresh()` alone
 */
export function createDynacode(given: DynacodeOptions, test?: { readonly clock: Clock }): Dynacode {
  const clock = test?.clock ?? SYSTEM_CLOCK
  const options = parseOptions(given)
  let program: Program | null = null
  let origin: Origin | null = null
  let closed = false
  // biome-ignore lint/style/noProcessEnv: an operator can throw this switch where the app's code is out of reach
  let disabled = process.env.DYNACODE_DISABLED === '1'

  const instance = randomUUID()
  const events = createEvents(options.callbacks, clock)
  const logging = options.logger && startLogging(options.logger, events.emitter)
  if (options.linear_regexp) setFlagsFromString(LINEAR_REGEXP)
  const readiness = createReadiness()
  const store = createStore(test?.clock)
  const hashes = new WeakMap<Uint8Array, string>()
  const hashed = (bytes: Uint8Array, sha1: string) => void hashes.set(bytes, sha1)
  const source = options.source ?? createHttpSource(options as HttpSourceOptions, hashed)
  const isClosed = () => closed
  const quarantine = openQuarantineOf(options, events)
  const watchdog = startWatchdogOf(options, events, quarantine, () => program)
  const observers = createRunObservers()
  const observation = createObservation(events, observers)
  const runner = createRunner({
    events,
    observation,
    isClosed,
    now: clock.now,
    marker: watchdog,
    createFunction: createFunctionConstructor,
    makeBreaker: createBreakerMaker(options.breaker_failures, events, clock),
    rewriteStack,
  })
  const builder = createBuilder(
    createCompiler(options),
    {
      bind(compiled, info) {
        const log = compiled.logs ? createLog(info) : undefined
        return compiled.bind({ store, log, guard: runner.guard })
      },
      begin: (info, sha1) => beginLife(watchdog.know(info.name, sha1)),
      end: (plugin) => runner.endPlugin(plugin),
      quarantined: (sha1) => quarantine?.check(sha1),
    },
    clock,
  )
  function createLog(info: PluginInfo): (...message: unknown[]) => void {
    const debug = createDebug(chunkName(info.name))
    if (logging === undefined) return debug
    return (...message) => {
      debug(...(message as [unknown]))
      logging.say(info, message)
    }
  }
  const closing = new AbortController()
  const cache = openCache(options, events)
  const staleness = createStaleness(options.max_stale_seconds * 1000, (stale) => events.emit('bg_stale', stale))
  const highest = rememberHighest(cache)
  const activator = createActivator({
    rules: options,
    max_alike_expressions: options.max_alike_expressions,
    max_removed_ratio: options.max_removed_ratio,
    verifier: options.trusted_keys === undefined ? undefined : createVerifier(options.trusted_keys),
    highest,
    builder,
    events,
    closing: closing.signal,
    swap(next, begun, from) {
      program = next
      for (const plugin of begun) {
        watchExpiry(plugin, events, clock)
        // Its code may have stopped the process while the program was built.
        if (quarantine?.check(plugin.sha1) !== undefined) plugin.life.quarantined = true
      }
      staleness.activated(activator.activated()?.expires)
      origin ??= from
    },
  })
  const reporter = startReporting(options, {
    instance,
    events,
    observeRuns: observers.add,
    activator,
    validated_at: staleness.validated_at,
    isDisabled: () => disabled,
    isStale: staleness.isStale,
  })
  const settleReadiness = () => {
    if (origin !== null) readiness.settle(origin)
  }
  const refresher = createRefresher({
    fetch: createFetcher({ source, timeout_ms: options.plugin_api_timeout * 1000, events, closing: closing.signal }),
    hashes,
    activator,
    highest,
    sharing: cache && {
      cache,
      max_age_ms: options.plugin_api_polling_interval * 1000 * SHARE_OF_INTERVAL,
      stale_ms: options.plugin_api_timeout * 2000,
    },
    events,
    trace: createRefreshTracing(),
    closing: closing.signal,
    validated: staleness.validated,
    // Not sooner: a refresh() after ready() would join the cycle that made it so, and bring nothing new.
    over: settleReadiness,
  })
  const middleware = createMiddleware({
    program: () => program,
    isClosed,
    isStale: options.when_stale === 'closed' ? staleness.isStale : () => false,
    isDisabled: () => disabled,
    notLoaded: {
      policy: options.when_not_loaded,
      wait: () =>
        readiness.wait(options.plugin_api_timeout * 1000).then(
          () => true,
          () => false,
        ),
    },
    debugging: openDebugging(options, events, clock),
    events,
    observation,
    runner,
    bodyFilter: createBodyFilter({ runner, events }),
  })
  const started = startFromDisk({
    cache,
    bootstrap: options.bootstrap,
    signed: options.trusted_keys !== undefined,
    activator,
    highest,
    validated: staleness.validated,
    failed: (section, error) => events.emit('on_error', { section, error }),
  })
  if (started === undefined) settleReadiness()
  else void started.then(settleReadiness)
  const backoff = createBackoff(options.plugin_api_polling_interval * 1000, options.plugin_api_backoff_max * 1000)
  const poll = async () => {
    await started
    return backoff(await refresher.refresh('poll'))
  }
  const start = test === undefined ? startPoller : () => NO_POLLER
  const poller = start(poll, {
    interval_ms: options.plugin_api_polling_interval * 1000,
    jitter_ms: options.workers_max_jitter * 1000,
    at_init: options.plugin_api_poll_at_init,
  })
  const unwatch = startWatching({
    source,
    cache_path: options.cache_path,
    shared: options.plugin_api_wait > 0,
    refresher,
    started,
    events,
  })

  let ending: Promise<void> | null = null
  const close = () => {
    ending ??= closeAll()
    return ending
  }

  async function closeAll(): Promise<void> {
    closed = true
    // First of all: it tells how things are.
    const reported = reporter?.close()
    events.close()
    observers.close()
    logging?.close()
    poller.stop()
    unwatch()
    closing.abort()
    staleness.close()
    const kept = cache?.close()
    for (const plugin of program?.plugins ?? []) runner.endPlugin(plugin)
    runner.close()
    watchdog.close()
    readiness.close(new DynacodeError('ERR_DYNACODE_CLOSED', 'dynacode was closed'))
    await Promise.all([source.close?.(), reported, kept])
  }

  const methods = {
    [OBSERVE_RUNS]: observers.add,
    events: events.emitter,
    ready: (timeout_ms = 10_000) => readiness.wait(timeout_ms, refresher.last_error, true),
    refresh: () => holdProcess(refresher.refresh('asked')),
    status: () =>
      describeStatus({
        instance,
        closed,
        disabled,
        activated: activator.activated(),
        attempted: activator.attempted()?.version ?? null,
        stale: staleness.isStale(),
        validated_at: staleness.validated_at(),
        last_error: refresher.last_error(),
        next_poll_at: poller.next_at(),
        now: clock.now(),
      }),
    disable() {
      disabled = true
      reporter?.note('switch')
    },
    enable() {
      disabled = false
      reporter?.note('switch')
    },
    control: (options: ControlOptions) =>
      createControl(options, {
        refresh: methods.refresh,
        status: methods.status,
        disable: methods.disable,
        enable: methods.enable,
        isClosed,
        middleware,
      }),
    close,
  }
  return Object.assign(middleware, methods)
}

/** Makes V8 run an expression in linear time once it has backtracked too often, where the expression allows that. */
const LINEAR_REGEXP = '--enable-experimental-regexp-engine-on-excessive-backtracks'
/** Share of the interval for which what one process fetched serves the others of its machine. */
const SHARE_OF_INTERVAL = 0.9

function openCache({ cache_path, plugin_api_uri, plugin_api_max_bytes }: Options, events: Events): Cache | undefined {
  if (cache_path === undefined) return undefined
  const report = (error: DynacodeError) => events.emit('on_error', { section: 'cache', error })
  const source = identifySource(plugin_api_uri)
  return createCache({ path: cache_path, source, max_bytes: plugin_api_max_bytes, report })
}

function openQuarantineOf({ watchdog }: Options, events: Events): Quarantine | undefined {
  const failed = (error: unknown) => events.emit('on_error', { section: 'watchdog', error })
  return watchdog === undefined ? undefined : openQuarantine(watchdog.quarantine_path, failed)
}

function openDebugging({ debug_requests }: Options, events: Events, clock: Clock): DebugRequests | null {
  if (debug_requests === undefined) return null
  return createDebugRequests(debug_requests, clock, (error) => events.emit('on_error', { section: 'request', error }))
}

function startWatchdogOf(
  { watchdog }: Options,
  events: Events,
  quarantine: Quarantine | undefined,
  program: () => Program | null,
): Watchdog {
  if (watchdog === undefined) return NO_WATCHDOG
  return startWatchdog(watchdog, (entry) => {
    quarantine?.add(entry)
    for (const { sha1, life } of program()?.plugins ?? []) if (sha1 === entry.sha1) life.quarantined = true
    events.emit('on_error', { section: 'watchdog', error: quarantine?.check(entry.sha1) })
  })
}

/** Who waits for a refresh before anything else is going on would find the process gone, were nothing to hold it. */
function holdProcess<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, LONGEST_TIMER_MS)
  return promise.finally(() => clearInterval(timer))
}
