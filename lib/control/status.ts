import type { BackgroundLine } from '../background/line.ts'
import type { Activated } from '../background/preparation.ts'
import type { WatchState } from '../background/watching.ts'
import type { Phase } from '../document.ts'
import { DynacodeError } from '../errors.ts'
import type { Origin, RolloutCounts } from '../events/table.ts'
import { percentAt } from '../matching/rollout.ts'
import type { LivePlugin, RolloutStop } from '../program.ts'
import type { Candidate, CandidateStatus } from '../request/rollout/candidate.ts'
import type { BreakerState } from '../time/breaker.ts'

/** What a plugin is doing. */
export type PluginState =
  | 'live'
  | 'last_good'
  | 'refused'
  | 'guarded'
  | 'quarantined'
  | 'disabled'
  | 'scheduled'
  | 'expired'
  | 'shadow'
  | 'stopped'

/** The state of one plugin of the live document. */
export interface PluginStatus {
  readonly domain: string
  readonly name: string
  readonly phase: Phase | null
  /**
   * `live`: runs as in the document; `last_good`: the document's version was refused, an earlier one runs; `refused`: it was
   * refused, and there is no earlier one; `guarded`: like `refused`, and the requests of its domain get 503; `quarantined`: it
   * hung or ended the whole process, and does not run; `disabled`: the document switches it off; `scheduled`: its `starts_at`
   * is in the future; `expired`: its `expires_at` has passed; `shadow`: it only reports what it would do;
   * `stopped`: its rollout stopped itself, and it does not run.
   */
  readonly state: PluginState
  /** `closed`: it runs; `open`: it failed repeatedly, and is skipped for now; `half_open`: one request tries it. */
  readonly breaker: BreakerState
  /** When an open breaker lets a request try the plugin; null unless it is open. */
  readonly retry_at: number | null
  /** SHA-1 of the name and code that run; null if none do. */
  readonly sha1: string | null
  /** Why the document's version was refused; null if it was not. */
  readonly error: string | null
  /** Its rollout; null if it has none. */
  readonly rollout: RolloutStatus | null
}

/** The state of a plugin's rollout in this process. */
export interface RolloutStatus {
  /** Its current share of the traffic, from 0 to 100. 0 once it has stopped. */
  readonly percent: number
  /** Why it stopped itself; null if it has not. */
  readonly stopped: RolloutStop | null
  /** Counts of the requests that it includes; null if it has no `stop_when`. */
  readonly inside: RolloutCounts['inside'] | null
  /** Counts of the requests that it excludes; null if it has no `stop_when`. */
  readonly control: RolloutCounts['control'] | null
}

/** The state of the disk cache. */
export interface CacheStatus {
  /** The current problem, because of which the cache is not used; null if there is none. */
  readonly error: { readonly code: string; readonly message: string } | null
}

/** The state of an instance, as plain data. Times are in milliseconds since 1970. */
export interface Status {
  /** Random id of this instance, also in its reports. */
  readonly instance: string
  readonly closed: boolean
  /** Whether the plugins are switched off in this process, by `disable()` or DYNACODE_DISABLED=1. */
  readonly disabled: boolean
  /** Whether a document is live. */
  readonly loaded: boolean
  /** Whether the live document enables the plugins; null before there is one. */
  readonly enabled: boolean | null
  readonly version: number | string | null
  /** The version that was processed last. It differs from `version` if it was refused, and `last_error` says why. */
  readonly attempted_version: number | string | null
  /** SHA-1 of the live document's bytes as received, after decompression, in hex. */
  readonly sha1: string | null
  /** Where the live document came from. */
  readonly from: Origin | null
  /** Whether the live document is stale, or has expired. */
  readonly stale: boolean
  /** When this version went live. */
  readonly since: number | null
  /** When the source last confirmed it; null if it never has, as with a bootstrap document. */
  readonly validated_at: number | null
  /** The error of the last refresh, and when it failed; null if it succeeded. */
  readonly last_error: { readonly code: string; readonly message: string; readonly at: number } | null
  /** When the next poll starts; null if none is scheduled, and `polling` says why. */
  readonly next_poll_at: number | null
  /** `waiting`: for `next_poll_at`; `running`: a poll is in progress; `closed`: there are no more polls. */
  readonly polling: 'waiting' | 'running' | 'closed'
  /**
   * Which process watches the source for changes: `none`: it cannot be watched; `watching`: this process; `leading`: this
   * process, for all that share its cache; `following`: another process that shares it.
   */
  readonly watching: WatchState
  /** The state of the disk cache; null without one. */
  readonly cache: CacheStatus | null
  /** How the canary goes whose candidate document this instance has; null if it has none. */
  readonly canary: CandidateStatus | null
  readonly plugins: readonly PluginStatus[]
}

/** Puts the state of an instance into data that can be sent as JSON. */
export function describeStatus({
  instance,
  closed,
  disabled,
  background,
  requests,
  now,
}: {
  instance: string
  closed: boolean
  disabled: boolean
  background: Pick<
    BackgroundLine,
    | 'activated'
    | 'attempted'
    | 'isStale'
    | 'validated_at'
    | 'last_error'
    | 'last_error_at'
    | 'next_poll_at'
    | 'watching'
    | 'cache_trouble'
  >
  /** What time it is, in milliseconds since 1970. */
  now: number
  requests: { readonly candidate: Pick<Candidate, 'status'> }
}): Status {
  const activated = background.activated()
  const last_error = background.last_error()
  const next_poll_at = background.next_poll_at()
  const trouble = background.cache_trouble()
  const code = last_error instanceof DynacodeError ? last_error.code : 'ERR_DYNACODE_FETCH'
  return Object.freeze({
    instance,
    closed,
    disabled,
    loaded: activated !== null,
    enabled: activated?.build.program.enabled ?? null,
    version: activated?.version ?? null,
    attempted_version: background.attempted()?.version ?? null,
    sha1: activated?.sha1 ?? null,
    from: activated?.from ?? null,
    stale: background.isStale(),
    since: activated?.at ?? null,
    validated_at: background.validated_at(),
    last_error:
      last_error === null
        ? null
        : Object.freeze({ ...describeError(last_error, code), at: background.last_error_at() ?? now }),
    next_poll_at,
    polling: closed ? 'closed' : next_poll_at === null ? 'running' : 'waiting',
    watching: background.watching(),
    cache: trouble === undefined ? null : Object.freeze({ error: trouble && describeError(trouble, trouble.code) }),
    canary: requests.candidate.status(),
    plugins: Object.freeze(
      activated === null ? [] : Array.from(listPlugins(activated, now), ({ describe }) => describe()),
    ),
  })
}

const describeError = ({ message }: Error, code: string) => Object.freeze({ code, message })

/** How a plugin fares, in short; the rest is made for those of whom it is wanted. */
export interface Standing {
  readonly state: PluginState
  readonly breaker: BreakerState
  describe(): PluginStatus
}

/** Each plugin of the live document, those that run first. */
export function* listPlugins({ build }: Activated, now: number): Generator<Standing, void> {
  const { program, failures, kept } = build
  const errors = new Map(failures.map(({ info, error }) => [info, error]))
  for (const plugin of program.plugins) {
    const state = stateOf(plugin, kept.has(plugin), now)
    const breaker = plugin.life.breaker?.state() ?? 'closed'
    const describe = () => {
      const { info, sha1, guard, life } = plugin
      const error = kept.get(plugin) ?? errors.get(info)
      const retry_at = life.breaker?.retry_at() ?? null
      return Object.freeze({
        ...info,
        state,
        breaker,
        retry_at,
        sha1: guard ? null : sha1,
        error: error?.message ?? null,
        rollout: describeRollout(plugin, now),
      })
    }
    yield { state, breaker, describe }
  }
  const alive = new Set(failures.length === 0 ? [] : program.plugins.map(({ info }) => info))
  for (const { info, error, kept_last_good } of failures) {
    if (kept_last_good || alive.has(info)) continue
    const standing = { state: isQuarantine(error) ? 'quarantined' : 'refused', breaker: 'closed' } as const
    const describe = () =>
      Object.freeze({ ...info, ...standing, retry_at: null, sha1: null, error: error.message, rollout: null })
    yield { ...standing, describe }
  }
}

function stateOf({ guard, life, spec }: LivePlugin, kept: boolean, now: number): PluginState {
  if (life.quarantined) return 'quarantined'
  const { enabled, starts_at, expires_at } = spec.scope
  if (!enabled) return 'disabled'
  if (starts_at !== undefined && now < starts_at) return 'scheduled'
  if (expires_at !== undefined && now >= expires_at) return 'expired'
  if (guard) return 'guarded'
  if (isStopped(life)) return 'stopped'
  if (kept) return 'last_good'
  return spec.shadow ? 'shadow' : 'live'
}

const isStopped = ({ rollout }: LivePlugin['life']) => rollout !== null && rollout.stop() !== null

/** How the rollout of a plugin goes; null where it has none. */
export function describeRollout({ spec, life: { rollout } }: LivePlugin, now: number): RolloutStatus | null {
  const { share } = spec.scope
  if (share === undefined) return null
  const stopped = rollout?.stop() ?? null
  const { inside, control } = rollout?.counts() ?? { inside: null, control: null }
  return Object.freeze({ percent: stopped === null ? percentAt(share, now) : 0, stopped, inside, control })
}

function isQuarantine(error: DynacodeError): boolean {
  return error.code === 'ERR_DYNACODE_QUARANTINED'
}
