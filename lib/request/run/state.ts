import type { Context } from 'koa'
import type { Chain, ExitHeaders, LivePlugin } from '../../program.ts'
import type { RunRecord } from '../debug/run-record.ts'
import type { Refuse, Writable } from '../response/header-changes.ts'

/** A response that a plugin ended the request with. */
export interface Ending {
  readonly status: number
  readonly body?: unknown
  readonly headers?: ExitHeaders | null | undefined
  /** Who chose it; undefined where it is the refusal of a plugin that failed. */
  readonly plugin?: LivePlugin
}

/** What dynacode knows of one request while it is under way. */
export interface RequestState extends Writable {
  /** The plugins of the program that was live when the request came; the same through all its phases. */
  readonly chain: Chain
  /** How a plugin ended the request, until that is put into the response. */
  ending: Ending | null
  /** Whether a plugin of the phase `content` has made a response. */
  is_made: boolean
  /** The plugins of `body_filter` that are for this request; decided once, since they may be called many times. */
  filters: readonly LivePlugin[] | null
  /** Whether anybody wants to hear of each run; asked once, since it rarely changes and is needed for each plugin. */
  readonly observed: boolean
  /**
   * When the last run ended that was observed, in milliseconds of `steadyNow()`: the next one begins then, and the clock need
   * not be read twice; -1 where something else had the thread since.
   */
  run_ended: number
  /** Where what plugins do is noted for the response to show; null for all but those who ask and may. */
  readonly record: RunRecord | null
  /** Whether the app writes the body past Koa, and the filters are in between. */
  is_past_koa: boolean
  /** Where the errors of a shadow run go; undefined where plugins run for real. */
  readonly shadow: unknown[] | undefined
}

/** Begins what there is to know of a request, or of a part of it that ends by itself. */
export function createState(
  ctx: Context,
  chain: Chain,
  observed: boolean,
  record: RunRecord | null = null,
  refuse: Refuse | null = null,
  shadow?: unknown[],
): RequestState {
  return {
    ctx,
    chain,
    ending: null,
    is_made: false,
    filters: null,
    observed,
    run_ended: -1,
    record,
    is_past_koa: false,
    head: null,
    writer: null,
    keeps_written: chain.is_thrown_in,
    refuse,
    shadow,
  }
}
