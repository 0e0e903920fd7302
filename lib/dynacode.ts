import createDebug from 'debug'
import type { Middleware } from 'koa'
import { createBuilder } from './background/builder.ts'
import { chunkName, createCompiler } from './background/compiler.ts'
import { createFunctionConstructor } from './background/guarded-code.ts'
import { createHttpSource, type HttpSourceOptions } from './background/http-source.ts'
import { startPoller } from './background/poller.ts'
import { createRefresher, type Refresh } from './background/refresher.ts'
import { rewriteStack } from './background/stack.ts'
import { createBreaker } from './breaker.ts'
import { DynacodeError } from './errors.ts'
import { createEvents, type DynacodeEmitter, type Events, type PluginInfo } from './events.ts'
import { type DynacodeOptions, type Options, parseOptions } from './options.ts'
import type { PluginLife, Program } from './program.ts'
import { openQuarantine, type Quarantine } from './quarantine.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import { createBodyFilter } from './request/body-filter.ts'
import { createMiddleware } from './request/middleware.ts'
import { createRunner, type Runner } from './request/runner.ts'
import { createStore } from './request/store.ts'
import { NO_WATCHDOG, startWatchdog, type Watchdog } from './request/watchdog.ts'
import { describeStatus, type Status } from './status.ts'

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
  /** Polls now, or joins a poll that is under way. Never rejects: what went wrong is in what it returns. */
  refresh(): Promise<Refresh>
  /** The state of this instance: frozen, cheap, without secrets; it can be sent as JSON. */
  status(): Status
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
  const options = parseOptions(given)
  let program: Program | null = null
  let closed = false

  const events = createEvents(options.callbacks)
  const readiness = createReadiness()
  const store = createStore()
  const source = options.source ?? createHttpSource(options as HttpSourceOptions)
  const isClosed = () => closed
  const quarantine = openQuarantineOf(options, events)
  const watchdog = startWatchdogOf(options, events, quarantine, () => program)
  const runner = createRunner({
    events,
    isClosed,
    marker: watchdog,
    createFunction: createFunctionConstructor,
    rewriteStack,
  })
  const build = createBuilder(createCompiler(options), {
    bind: (compiled, info) => compiled.bind({ store, log: createDebug(chunkName(info.name)), guard: runner.guard }),
    begin: (info, sha1) => beginLife(info, watchdog.know(info.name, sha1), options.breaker_failures, events),
    quarantined: (sha1) => quarantine?.check(sha1),
  })
  const refresher = createRefresher({
    source,
    timeout_ms: options.plugin_api_timeout * 1000,
    defaults: options,
    build,
    events,
    swap(next) {
      const previous = program
      program = next
      endReplaced(previous, next, runner)
      readiness.settle('network')
    },
  })
  const middleware = createMiddleware({
    program: () => program,
    isClosed,
    notLoaded: {
      policy: options.when_not_loaded,
      wait: () =>
        readiness.wait(options.plugin_api_timeout * 1000).then(
          () => true,
          () => false,
        ),
    },
    events,
    runner,
    bodyFilter: createBodyFilter({ runner, events }),
  })
  const poller = startPoller(refresher.refresh, {
    interval_ms: options.plugin_api_polling_interval * 1000,
    jitter_ms: options.workers_max_jitter * 1000,
    at_init: options.plugin_api_poll_at_init,
  })

  let closing: Promise<void> | null = null
  const close = () => {
    closing ??= closeAll()
    return closing
  }

  async function closeAll(): Promise<void> {
    closed = true
    events.close()
    poller.stop()
    refresher.close()
    endReplaced(program, null, runner)
    runner.close()
    watchdog.close()
    readiness.close(new DynacodeError('ERR_DYNACODE_CLOSED', 'dynacode was closed'))
    await source.close?.()
  }

  const methods = {
    events: events.emitter,
    ready: (timeout_ms = 10_000) => readiness.wait(timeout_ms, refresher.last_error),
    refresh: refresher.refresh,
    status: () =>
      describeStatus({
        closed,
        activated: refresher.activated(),
        last_error: refresher.last_error(),
        next_poll_at: poller.next_at(),
      }),
    close,
  }
  return Object.assign(middleware, methods)
}

function beginLife(plugin: PluginInfo, id: number, failures: number, events: Events): PluginLife {
  const breaker = createBreaker(failures, {
    opened: (details) => events.emit('rt_breaker_opened', { plugin, ...details }),
    closed: () => events.emit('rt_breaker_closed', { plugin }),
  })
  return { id, breaker, runs: new Set(), ended: false, quarantined: false }
}

/** Ends what the versions of plugins left behind that are no longer live. */
function endReplaced(previous: Program | null, next: Program | null, runner: Runner): void {
  const alive = new Set(next?.plugins)
  for (const plugin of previous?.plugins ?? []) if (!alive.has(plugin)) runner.endPlugin(plugin)
}

function openQuarantineOf({ watchdog }: Options, events: Events): Quarantine | undefined {
  const failed = (error: unknown) => events.emit('on_error', { section: 'watchdog', error })
  return watchdog === undefined ? undefined : openQuarantine(watchdog.quarantine_path, failed)
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
