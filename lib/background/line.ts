import type { DynacodeError } from '../errors.ts'
import type { Events } from '../events/emitter.ts'
import type { Origin } from '../events/table.ts'
import { createRefreshTracing } from '../events/tracing.ts'
import type { LivePlugin, Program } from '../program.ts'
import type { ApiSettings } from '../sources/http/options.ts'
import { type Arrival, type Came, createHttpSource, type HttpSourceOptions } from '../sources/http/source.ts'
import { identifySource } from '../sources/http/source-identity.ts'
import { takeSource } from '../sources/in-use.ts'
import type { Clock } from '../time/clock.ts'
import { type Activator, createActivator } from './activator.ts'
import { createAsking } from './asking.ts'
import { createBackoff } from './backoff.ts'
import { createBuilder } from './builder.ts'
import { createCache } from './cache/disk.ts'
import { createCompiler } from './compiling/compiler.ts'
import { type Cycle, createCycle } from './cycle.ts'
import { createFetcher } from './fetcher.ts'
import type { UpdateSettings } from './options.ts'
import type { Mount } from './plugin-maker.ts'
import { NO_POLLER, type Poller, startPoller } from './poller.ts'
import { createPreparation } from './preparation.ts'
import type { DocumentRules } from './reading/validator.ts'
import { createRefresher, type Refresher } from './refresher.ts'
import { createStaleness } from './staleness.ts'
import { startFromDisk } from './start.ts'
import { rememberHighest } from './trust/highest-version.ts'
import { createVerifier } from './trust/verifier.ts'
import { startWatching, type Watching, type WatchState } from './watching.ts'

/** The background line of one instance: poll, fetch, verify, read, compile, swap. */
export interface BackgroundLine
  extends Pick<Activator, 'activated' | 'attempted' | 'revert'>,
    Pick<Cycle, 'last_error' | 'last_error_at'> {
  /** Asks the source now, or joins who is doing so. */
  refresh: Refresher['refresh']
  isStale(): boolean
  validated_at(): number | null
  /** When the next poll is, in milliseconds since 1970. */
  next_poll_at: Poller['next_at']
  watching(): WatchState
  /** What does not work with the cache at this moment, or null; undefined where there is none. */
  cache_trouble(): DynacodeError | null | undefined
  /**
   * Makes live what is on the disk, and begins to poll and to watch.
   *
   * @param test where it is given, its poller decides; without one, documents come by `refresh()` alone
   */
  start(test?: TestTime): void
  /** Nothing is fetched, written or made live any more; resolves when what was under way is done. */
  close(): Promise<void>
}

/** What tests put in place: what time it is, and when to poll. */
export interface TestTime {
  readonly clock: Clock
  readonly startPoller?: typeof startPoller
}

/** Share of the interval for which what one process fetched serves the others of its machine. */
const SHARE_OF_INTERVAL = 0.9

/**
 * Makes the background line of one instance. Nothing happens before `start()`.
 *
 * @param swap makes a program live, which these plugins were begun for
 * @param settled called with where the first document came from, once a cycle is over
 */
export function createBackgroundLine({
  settings,
  globals,
  events,
  clock,
  mount,
  swap,
  settled,
}: {
  settings: ApiSettings & UpdateSettings & DocumentRules
  globals: Readonly<Record<string, unknown>>
  events: Events
  clock: Clock
  mount: Mount
  swap: (program: Program, begun: readonly LivePlugin[]) => void
  settled: (from: Origin) => void
}): BackgroundLine {
  const { cache_path, trusted_keys } = settings
  const interval_ms = settings.plugin_api_polling_interval * 1000
  const timeout_ms = settings.plugin_api_timeout * 1000
  let origin: Origin | null = null
  const settle = () => {
    if (origin !== null) settled(origin)
  }
  const closing = new AbortController()
  const arrivals = new WeakMap<Uint8Array, Arrival>()
  const came: Came = (bytes, arrival) => void arrivals.set(bytes, arrival)
  const source =
    settings.source ??
    createHttpSource(
      settings as HttpSourceOptions,
      came,
      () => activator.activated(),
      (error) => events.emit('on_error', { section: 'fetch', error }),
    )
  const giveBack = takeSource(source, timeout_ms)
  const cache =
    cache_path === undefined
      ? undefined
      : createCache({
          path: cache_path,
          source: identifySource(settings.plugin_api_uri),
          max_bytes: settings.plugin_api_max_bytes,
          report: (error: DynacodeError) => events.emit('on_error', { section: 'cache', error }),
        })
  const staleness = createStaleness(settings.max_stale_seconds * 1000, (stale) => events.emit('bg_stale', stale))
  const highest = rememberHighest(cache)
  const compiler = createCompiler({ compile_cache_max: settings.compile_cache_max, globals })
  const builder = createBuilder(compiler, mount, clock)
  const activator = createActivator({
    preparation: createPreparation({
      rules: settings,
      max_alike_expressions: settings.max_alike_expressions,
      max_removed_ratio: settings.max_removed_ratio,
      highest,
      builder,
    }),
    verifier: trusted_keys === undefined ? undefined : createVerifier(trusted_keys),
    builder,
    events,
    closing: closing.signal,
    validated: staleness.validated,
    swap(next, begun, from) {
      swap(next, begun)
      staleness.activated(activator.activated()?.expires)
      origin ??= from
    },
  })
  const ask = createAsking({
    fetch: createFetcher({ source, timeout_ms, events, closing: closing.signal }),
    arrivals,
    activator,
    highest,
    cache,
    events,
    closing: closing.signal,
  })
  const cycle = createCycle({
    ask,
    activator,
    sharing: cache && { cache, max_age_ms: interval_ms * SHARE_OF_INTERVAL, stale_ms: timeout_ms * 2 },
    events,
    closing: closing.signal,
  })
  const refresher = createRefresher({
    cycle,
    activator,
    trace: createRefreshTracing(),
    closing: closing.signal,
    // Not sooner: a refresh() after ready() would join the cycle that made it so, and bring nothing new.
    over: settle,
  })
  let poller: Poller = NO_POLLER
  let watching: Watching | undefined

  function start(test?: TestTime): void {
    const started = startFromDisk({
      cache,
      bootstrap: settings.bootstrap,
      signed: trusted_keys !== undefined,
      activator,
      highest,
      closing: closing.signal,
      failed: (section, error) => events.emit('on_error', { section, error }),
    })
    if (started === undefined) settle()
    else void started.then(settle)
    const backoff = createBackoff(interval_ms, settings.plugin_api_backoff_max * 1000)
    const refresh = async () => {
      await started
      const result = await refresher.refresh('poll')
      watching?.polled(result)
      return backoff(result)
    }
    const jitter_ms = settings.workers_max_jitter * 1000
    const begin = test === undefined ? startPoller : (test.startPoller ?? (() => NO_POLLER))
    poller = begin(refresh, { interval_ms, jitter_ms, at_init: settings.plugin_api_poll_at_init })
    watching = startWatching({ source, cache_path, shared: settings.plugin_api_wait > 0, refresher, started, events })
  }

  return Object.freeze({
    activated: activator.activated,
    attempted: activator.attempted,
    revert: activator.revert,
    last_error: cycle.last_error,
    last_error_at: cycle.last_error_at,
    refresh: refresher.refresh,
    isStale: staleness.isStale,
    validated_at: staleness.validated_at,
    next_poll_at: () => poller.next_at(),
    watching: () => watching?.state() ?? 'none',
    cache_trouble: () => cache?.trouble(),
    start,
    async close() {
      poller.stop()
      watching?.stop()
      closing.abort()
      staleness.close()
      await Promise.all([cache?.close(), giveBack()])
    },
  } satisfies BackgroundLine)
}
