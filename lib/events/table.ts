import type { Phase } from '../document.ts'
import type { DynacodeError } from '../errors.ts'
import type { StopCondition } from '../matching/stop-when.ts'

/** The plugin that an event is about. Frozen, and the same object for the life of that version of the plugin. */
export interface PluginInfo {
  /** The plugin's name in the document. */
  readonly name: string
  /** The name of its domain, as the document writes it. */
  readonly domain: string
  /** Its phase; null if the document has no valid one. */
  readonly phase: Phase | null
}

/** The fields of every payload. */
interface Stamped {
  /** When the event was emitted, in milliseconds since 1970 (`Date.now()`). */
  readonly at: number
}

/** Where a live document came from. */
export type Origin = 'network' | 'cache' | 'bootstrap'

/** The result of a refresh that made a document live. */
export interface Update {
  /** `general.version` of the document if it has one, otherwise the first 12 hex digits of its SHA-1. */
  readonly version: number | string
  readonly from: Origin
  /** Plugins live now. */
  readonly plugins: number
  /** Plugins compiled in this refresh. */
  readonly compiled: number
  /** Plugins reused without compiling. */
  readonly reused: number
  /** Plugins that were live and are no longer in the document. */
  readonly removed: number
  /** Plugins and domains refused in this refresh. */
  readonly failed: number
  /** From the start of the fetch to the swap, in milliseconds. */
  readonly duration_ms: number
}

/** Why a refresh changed nothing. */
export interface NoUpdate {
  /**
   * `unchanged`: the API has the live document; `fetch`: no document could be fetched; `invalid`: the whole document was
   * refused; `held`: it removes more plugins at once than `max_removed_ratio` allows; `untrusted`: `trusted_keys` requires
   * another signature, version or expiry; `closed`: `close()` was called.
   */
  readonly reason: 'unchanged' | 'fetch' | 'invalid' | 'held' | 'untrusted' | 'closed'
  /** The error; undefined for `unchanged`. */
  readonly error: Error | undefined
}

/** Counts of the requests of one group, and of their responses. */
export interface GroupCounts {
  /** Requests that meet all of the plugin's conditions. Whether the rollout includes them decides their group. */
  readonly requests: number
  /** Responses that ended. Counted only if `stop_when` has `status_5xx_rate`, or `p99_ms` above the control group. */
  readonly responses: number
  /** Responses with a status of 500 or above. */
  readonly status_5xx: number
  /** Responses slower than 99 % of the control group's by more than `p99_ms`. Counted only if `stop_when` asks for that. */
  readonly slow_responses: number
}

/** The counts of a guarded rollout in this process. Frozen. */
export interface RolloutCounts {
  /** The requests that the rollout includes. */
  readonly inside: GroupCounts & {
    /** Runs of the plugin. */
    readonly runs: number
    /** Runs that failed. */
    readonly errors: number
    /** Runs that ended the request with exit(), or an http-error. */
    readonly exits: number
    /** Timed runs that took longer than `p99_ms`. Counted only if `stop_when` asks for that. */
    readonly slow_runs: number
  }
  /** The requests that the rollout excludes. */
  readonly control: GroupCounts
}

/** Every event by name, with its payload. docs/events.md says when each is emitted. */
export interface EventTable {
  bg_cache_hit: object
  bg_cache_miss: object
  bg_fetch_api_success: { readonly status: number; readonly bytes: number; readonly duration_ms: number }
  bg_fetch_api_status_code_error: {
    readonly status: number
    readonly error: DynacodeError
    readonly duration_ms: number
  }
  bg_fetch_api_generic_error: { readonly error: Error; readonly duration_ms: number }
  bg_compile_success: { readonly plugin: PluginInfo; readonly duration_ms: number }
  bg_compile_error: { readonly plugin: PluginInfo; readonly error: DynacodeError; readonly kept_last_good: boolean }
  bg_updated_plugins: Update
  bg_didnt_update_plugins: NoUpdate
  bg_stale: {
    /** `age`: not confirmed for `max_stale_seconds`; `expired`: past its `general.expires`. */
    readonly reason: 'age' | 'expired'
  }
  rt_plugins_not_loaded: { readonly host: string }
  rt_plugins_disabled: { readonly host: string }
  rt_plugins_starting: { readonly plugin: PluginInfo; readonly phase: Phase; readonly host: string }
  rt_plugins_done: {
    readonly plugin: PluginInfo
    readonly phase: Phase
    readonly host: string
    readonly duration_ms: number
    /** How long it blocked the event loop, as far as it can be measured. */
    readonly sync_ms: number
    /** `done`: it succeeded; `exit`: it called exit(), or threw an http-error. */
    readonly outcome: 'done' | 'exit'
  }
  rt_plugins_error: {
    readonly plugin: PluginInfo
    readonly phase: Phase
    readonly host: string
    readonly error: unknown
    readonly duration_ms: number
    /** How long it blocked the event loop, as far as it can be measured. */
    readonly sync_ms: number
    /** `open`: the request went on without the plugin; `closed`: the request got 503. */
    readonly outcome: 'open' | 'closed'
  }
  bg_plugin_expired: {
    readonly plugin: PluginInfo
    /** When it expired, in milliseconds since 1970. */
    readonly expires_at: number
  }
  rt_plugins_shadow: {
    readonly plugin: PluginInfo
    readonly phase: Phase
    readonly host: string
    /** What it would have done: `exit 403`, `set x-foo: bar`, `body: 120 → 98 bytes`, `threw …`. */
    readonly effects: readonly string[]
    readonly duration_ms: number
  }
  rt_breaker_opened: {
    readonly plugin: PluginInfo
    /** Failures in a row, or overruns within a minute. */
    readonly failures: number
    /** When one request will try the plugin again, in milliseconds since 1970. */
    readonly retry_at: number
  }
  rt_breaker_closed: { readonly plugin: PluginInfo }
  rt_rollout_stopped: RolloutCounts & {
    readonly plugin: PluginInfo
    /** The condition of `stop_when` that was met. */
    readonly condition: StopCondition
    /** The limit of that condition: a share from 0 to 1, or milliseconds for `p99_ms`. */
    readonly limit: number
    /** Whether the limit is relative to the control group, rather than absolute. */
    readonly above_control: boolean
  }
  rt_canary_stopped: RolloutCounts & {
    /** The condition of `stop_when` of the canary that was met. `inside` are the requests with the candidate. */
    readonly condition: StopCondition
    /** The limit of that condition: a share from 0 to 1, or milliseconds for `p99_ms`. */
    readonly limit: number
    /** Whether the limit is relative to the live document's requests, rather than absolute. */
    readonly above_control: boolean
  }
  rt_canary_changed: {
    /** The candidate's share of the requests from now on, from 0 (dropped) to 100 (promoted). */
    readonly percent: number
    readonly previous_percent: number
    /** `set`: by `set_percent`; `step`: a step of its `steps` began; `version`: a new version follows one that was stopped. */
    readonly reason: 'set' | 'step' | 'version'
  }
  bg_unit_reverted: {
    /** The name of the unit in the document. */
    readonly unit: string
    /** The plugin that failed. */
    readonly plugin: PluginInfo
    /** How it failed. */
    readonly error: DynacodeError
    /** The plugins of the earlier version, which are live now. */
    readonly plugins: readonly PluginInfo[]
  }
  on_error: {
    /**
     * The part of dynacode in which the error occurred: `document`, `listener`, `request`, `cache`, `bootstrap`, `fetch`,
     * `watch`, `report`, `watchdog`.
     */
    readonly section: string
    readonly error: unknown
  }
}

/** The name of an event. */
export type EventName = keyof EventTable
/** What a listener of the event `N` is called with. */
export type Payload<N extends EventName> = Readonly<EventTable[N]> & Stamped

/** The callback option of each event. */
export const CALLBACKS = Object.freeze({
  bg_cache_hit: 'on_cache_hit',
  bg_cache_miss: 'on_cache_miss',
  bg_fetch_api_success: 'on_fetch_success',
  bg_fetch_api_status_code_error: 'on_fetch_fail',
  bg_fetch_api_generic_error: 'on_fetch_fail',
  bg_compile_success: 'on_compile_success',
  bg_compile_error: 'on_compile_fail',
  bg_updated_plugins: 'on_update',
  bg_didnt_update_plugins: 'on_no_update',
  bg_stale: 'on_stale',
  rt_plugins_not_loaded: 'on_not_loaded',
  rt_plugins_disabled: 'on_disabled',
  rt_plugins_starting: 'on_start',
  rt_plugins_done: 'on_success',
  rt_plugins_error: 'on_fail',
  bg_plugin_expired: 'on_expired',
  rt_plugins_shadow: 'on_shadow',
  rt_breaker_opened: 'on_breaker_open',
  rt_breaker_closed: 'on_breaker_close',
  rt_rollout_stopped: 'on_rollout_stop',
  rt_canary_stopped: 'on_canary_stop',
  rt_canary_changed: 'on_canary_change',
  bg_unit_reverted: 'on_unit_revert',
  on_error: 'on_error',
} as const satisfies Record<EventName, string>)

/** The callback options and what each is called with. */
export type Callbacks = {
  [C in (typeof CALLBACKS)[EventName]]?: (
    payload: { [N in EventName]: (typeof CALLBACKS)[N] extends C ? Payload<N> : never }[EventName],
  ) => unknown
}
