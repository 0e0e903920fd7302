import { setFlagsFromString } from 'node:v8'
import type { Middleware } from 'koa'
import type { GuardMode, PluginSpec } from '../document.ts'
import type { DynacodeError } from '../errors.ts'
import type { Events } from '../events/emitter.ts'
import { createRunObservers, type RunObservers } from '../events/run-observers.ts'
import type { PluginInfo } from '../events/table.ts'
import type { LivePlugin, PluginLife, Program, RolloutWatch, UnitLife } from '../program.ts'
import { type Clock, SYSTEM_CLOCK } from '../time/clock.ts'
import { createBodyFilter } from './body-filter.ts'
import { createDebugRequests } from './debug/requests.ts'
import type { Guard } from './guard/containment.ts'
import { openQuarantine } from './guard/quarantine.ts'
import { NO_WATCHDOG, startWatchdog } from './guard/watchdog.ts'
import { createMiddleware } from './middleware.ts'
import { createObservation } from './observation.ts'
import type { RequestSettings } from './options.ts'
import { beginLife, createBreakerMaker, createRolloutGuard, type UnitFailed, watchExpiry } from './plugin-life.ts'
import { type Candidate, createCandidate } from './rollout/candidate.ts'
import { beginUnit } from './rollout/unit.ts'
import { createRunner, type RunnerParts } from './runner.ts'
import { createStore, type Store } from './store.ts'
import { createUpgrade, narrowToUpgrades, type Upgrade } from './upgrade.ts'

/** The request line of one instance: match and run. */
export interface RequestLine {
  readonly middleware: Middleware
  /** The same for requests to upgrade. */
  readonly upgrade: Upgrade
  /** What the code of every plugin gets. */
  readonly guard: Guard
  /** What a canary needs whose candidate document this instance has. */
  readonly candidate: Candidate
  readonly store: Store
  readonly observeRuns: RunObservers['add']
  /** Begins the life of a version of a plugin. */
  begin(info: PluginInfo, sha1: string, rollout: RolloutWatch | null, unit: UnitLife | null): PluginLife
  /** Begins the life of a version of a unit. */
  beginUnit(): UnitLife
  /** Makes what guards the rollout of a version of a plugin; null where the document asks for none. */
  guardRollout(info: PluginInfo, spec: PluginSpec, unit: UnitLife | null): RolloutWatch | null
  /** Why this code may not run: for what earlier runs did, or because the guard it wants cannot be had. */
  quarantined(sha1: string, guard: GuardMode): DynacodeError | undefined
  /** These plugins have gone live. */
  live(plugins: readonly LivePlugin[]): void
  /** A plugin is no longer live. */
  end(plugin: LivePlugin): void
  /** Runs nothing any more. */
  close(): void
}

/** Makes V8 run an expression in linear time once it has backtracked too often, where the expression allows that. */
const LINEAR_REGEXP = '--enable-experimental-regexp-engine-on-excessive-backtracks'

/** Makes the request line of one instance. */
export function createRequestLine({
  settings,
  events,
  clock,
  program,
  isClosed,
  isDisabled,
  isStale,
  loaded,
  unitFailed,
  rewriteStack,
}: {
  settings: RequestSettings
  events: Events
  clock: Clock
  program: () => Program | null
  isClosed: () => boolean
  /** Whether this process's own kill switch is thrown. */
  isDisabled: () => boolean
  /** Whether the live document may be too old to rely on. */
  isStale: () => boolean
  /** Waits for the first document; false when it does not come in time. */
  loaded: () => Promise<boolean>
  /** Called with a plugin of a unit that cannot go on as it is. */
  unitFailed: UnitFailed
} & Pick<RunnerParts, 'rewriteStack'>): RequestLine {
  const failed = (section: 'request' | 'watchdog') => (error: unknown) => events.emit('on_error', { section, error })
  const { watchdog: watched, debug_requests } = settings
  const quarantine = watched && openQuarantine(watched.quarantine_path, failed('watchdog'))
  const watchdog =
    watched === undefined
      ? NO_WATCHDOG
      : startWatchdog({ ...watched, writes: quarantine?.isSafe === true }, (entry) => {
          quarantine?.add(entry)
          for (const plugin of program()?.plugins ?? []) if (plugin.sha1 === entry.sha1) quarantinePlugin(plugin)
          failed('watchdog')(quarantine?.check(entry.sha1))
        })
  if (settings.linear_regexp) setFlagsFromString(LINEAR_REGEXP)
  /** Its code may not run any more. */
  function quarantinePlugin({ info, life }: LivePlugin): void {
    life.quarantined = true
    if (life.unit !== null) unitFailed(info, 'it is quarantined')
  }
  const candidate = createCandidate(events, () => program()?.enabled === true && !isClosed() && !isDisabled())
  const observers = createRunObservers()
  const observation = createObservation(events, observers)
  const runner = createRunner({
    events,
    observation,
    isClosed,
    now: clock.now,
    marker: watchdog,
    makeBreaker: createBreakerMaker(settings.breaker_failures, events, clock, unitFailed),
    rewriteStack,
  })
  const parts = {
    program,
    isClosed,
    isStale: settings.when_stale === 'closed' ? isStale : () => false,
    isDisabled,
    notLoaded: { policy: settings.when_not_loaded, wait: loaded },
    debugging: debug_requests === undefined ? null : createDebugRequests(debug_requests, clock, failed('request')),
    events,
    observation,
    runner,
    bodyFilter: createBodyFilter({ runner, events }),
  } satisfies Parameters<typeof createMiddleware>[0]

  return Object.freeze({
    middleware: createMiddleware(parts),
    upgrade: createUpgrade(createMiddleware({ ...parts, program: narrowToUpgrades(program) })),
    guard: runner.guard,
    candidate,
    store: createStore(clock === SYSTEM_CLOCK ? undefined : clock),
    observeRuns: observers.add,
    begin: (info, sha1, rollout, unit) => beginLife(watchdog.know(info.name, sha1), rollout, unit),
    beginUnit,
    guardRollout: createRolloutGuard(events, clock, unitFailed),
    quarantined: (sha1, guard) =>
      quarantine?.check(sha1) ?? (guard === 'strict' ? runner.trampoline.refusal() : undefined),
    live(plugins) {
      for (const plugin of plugins) {
        watchExpiry(plugin, events, clock)
        plugin.life.rollout?.begin()
        // Its code may have stopped the process while the program was built.
        if (quarantine?.check(plugin.sha1) !== undefined) quarantinePlugin(plugin)
      }
    },
    end: runner.endPlugin,
    close() {
      observers.close()
      for (const plugin of program()?.plugins ?? []) runner.endPlugin(plugin)
      candidate.close()
      runner.close()
      watchdog.close()
    },
  } satisfies RequestLine)
}
