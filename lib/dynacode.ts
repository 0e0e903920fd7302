import { randomUUID } from 'node:crypto'
import createDebug from 'debug'
import type { Middleware } from 'koa'
import { chunkName } from './background/compiling/compiled-text.ts'
import { rewriteStack } from './background/compiling/stack.ts'
import { type BackgroundLine, createBackgroundLine, type TestTime } from './background/line.ts'
import type { Refresh } from './background/refresh.ts'
import { type ControlOptions, createControl } from './control/endpoints.ts'
import { createReadiness, type Readiness } from './control/readiness.ts'
import { describeStatus, type Status } from './control/status.ts'
import { DynacodeError } from './errors.ts'
import { createEvents, type DynacodeEmitter } from './events/emitter.ts'
import { OBSERVE_RUNS } from './events/run-observers.ts'
import type { PluginInfo } from './events/table.ts'
import { startConsoleLog } from './observability/log/console.ts'
import { type Logging, startLogging } from './observability/log/logger.ts'
import { startReporting } from './observability/report/start.ts'
import { type DynacodeOptions, parseOptions } from './options.ts'
import type { Program } from './program.ts'
import { createRequestLine } from './request/line.ts'
import { CANDIDATE } from './request/rollout/candidate.ts'
import type { Upgrade } from './request/upgrade.ts'
import { LONGEST_TIMER_MS, SYSTEM_CLOCK } from './time/clock.ts'

/** Koa middleware, with the methods of its instance. */
export interface Dynacode extends Middleware {
  /** Emits what docs/events.md lists. */
  readonly events: DynacodeEmitter
  /**
   * Waits until a document is live.
   *
   * @param timeout_ms how long; default: 10 000 ms. Infinity: without limit
   * @returns where the first document came from. Once a document has been live, it resolves at once
   * @throws DynacodeError ERR_DYNACODE_NOT_READY after the timeout, ERR_DYNACODE_CLOSED if `close()` is called first
   */
  ready(timeout_ms?: number): Promise<Readiness>
  /** Fetches now, or joins a fetch in progress. Never rejects: an error is in the result. */
  refresh(): Promise<Refresh>
  /** The state of this instance: frozen, cheap, without secrets; it can be sent as JSON. */
  status(): Status
  /**
   * Switches every plugin off in this process, until `enable()`: requests pass to the app as if dynacode did not exist.
   * Polling continues. With DYNACODE_DISABLED=1 in the environment, an instance starts like this.
   */
  disable(): void
  /** Undoes `disable()`. */
  enable(): void
  /**
   * Returns Koa middleware to inspect and control this process over HTTP: `GET /status`, `POST /refresh`, `POST /disable` and
   * `POST /enable` below a path of its own, for clients with the token. Mount it in front of the instance.
   *
   * @throws OptionError if an option is wrong, or the token is missing
   * @example
   * app.use(dyna.control({ token: process.env.CONTROL_TOKEN }))
   * app.use(dyna)
   */
  control(options: ControlOptions): Middleware
  /** Runs plugins for an upgrade request, which Koa never sees: call it in the server's `upgrade` listener. */
  readonly upgrade: Upgrade
  /**
   * Ends this instance: nothing runs, writes or emits any more. Requests pass to the app without plugins, or get 503 if a plugin
   * that fails closed would have run. Resolves when its connections are closed.
   */
  close(): Promise<void>
}

/**
 * Creates an instance of dynacode and starts polling.
 *
 * @returns Koa middleware. Mount it before everything that plugins should see
 * @throws OptionError if an option is wrong, missing or unknown
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
 * @param test what tests put in place: what time it is, and when to poll; most often never
 */
export function createDynacode(given: DynacodeOptions, test?: TestTime): Dynacode {
  const clock = test?.clock ?? SYSTEM_CLOCK
  const options = parseOptions(given)
  let program: Program | null = null
  let closed = false
  // biome-ignore lint/style/noProcessEnv: an operator can throw this switch where the app's code is out of reach
  let disabled = process.env.DYNACODE_DISABLED === '1'
  const isClosed = () => closed
  const isDisabled = () => disabled

  const instance = randomUUID()
  const events = createEvents(options.callbacks, clock)
  const logging = options.logger ? startLogging(options.logger, events.emitter) : undefined
  if (options.logger === undefined) startConsoleLog(events)
  const readiness = createReadiness()
  const requests = createRequestLine({
    settings: options,
    events,
    clock,
    program: () => program,
    isClosed,
    isDisabled,
    isStale: () => background.isStale(),
    loaded: () =>
      readiness.wait(options.plugin_api_timeout * 1000).then(
        () => true,
        () => false,
      ),
    unitFailed: (plugin, why) => void background.revert(plugin, why),
    rewriteStack,
  })
  const background: BackgroundLine = createBackgroundLine({
    settings: options,
    globals: options.globals,
    events,
    clock,
    mount: {
      ...requests,
      bind(compiled, info) {
        const log = compiled.logs ? createPluginLog(info, logging) : undefined
        return compiled.bind({ store: requests.store, log, guard: requests.guard })
      },
    },
    swap(next, begun) {
      program = next
      requests.live(begun)
    },
    settled: readiness.settle,
  })
  const reporter = startReporting(options, {
    instance,
    events,
    observeRuns: requests.observeRuns,
    activator: background,
    validated_at: background.validated_at,
    isDisabled,
    isStale: background.isStale,
    requests,
  })
  background.start(test)

  let ending: Promise<void> | null = null
  const close = () => {
    ending ??= closeAll()
    return ending
  }

  async function closeAll(): Promise<void> {
    closed = true
    // First of all: it reports how things are.
    const reported = reporter?.close()
    events.close()
    logging?.close()
    const fetched = background.close()
    requests.close()
    readiness.close(new DynacodeError('ERR_DYNACODE_CLOSED', 'dynacode was closed'))
    await Promise.all([fetched, reported])
  }

  function setDisabled(value: boolean): void {
    disabled = value
    reporter?.note('switch')
  }

  const methods = {
    [OBSERVE_RUNS]: requests.observeRuns,
    [CANDIDATE]: requests.candidate,
    events: events.emitter,
    ready: (timeout_ms = 10_000) => readiness.wait(timeout_ms, background.last_error, true),
    refresh: () => holdProcess(background.refresh('asked')),
    status: () => describeStatus({ instance, closed, disabled, background, requests, now: clock.now() }),
    disable: () => setDisabled(true),
    enable: () => setDisabled(false),
    control: (options: ControlOptions) =>
      createControl(options, { ...methods, isClosed, middleware: requests.middleware }),
    upgrade: requests.upgrade,
    close,
  }
  return Object.assign(requests.middleware, methods)
}

/** What `log(...)` of a plugin does: it goes to `debug`, and to the logger if there is one. */
function createPluginLog(info: PluginInfo, logging: Logging | undefined): (...message: unknown[]) => void {
  const debug = createDebug(chunkName(info.name))
  if (logging === undefined) return debug
  return (...message) => {
    debug(...(message as [unknown]))
    logging.say(info, message)
  }
}

/** Whoever waits for a refresh before anything else is going on would find the process gone, were nothing to hold it. */
function holdProcess<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, LONGEST_TIMER_MS)
  return promise.finally(() => clearInterval(timer))
}
