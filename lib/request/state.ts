import type { Context } from 'koa'
import { isMemorable, readHostHeader } from '../host-header.ts'
import { createHostMemory } from '../host-memory.ts'
import { normalizeHost } from '../host-pattern.ts'
import type { Chain, LivePlugin } from '../program.ts'
import type { RunRecord } from './run-record.ts'

/** A response that a plugin ended the request with. */
export interface Ending {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string | string[]>> | undefined
}

/** What dynacode knows of one request while it is under way. */
export interface RequestState {
  readonly ctx: Context
  /** The plugins of the program that was live when the request came; the same through all its phases. */
  readonly chain: Chain
  /** How a plugin ended the request, until that is put into the response. */
  ending: Ending | null
  /** The plugins of `body_filter` that are for this request; decided once, since they may be called many times. */
  filters: readonly LivePlugin[] | null
  /** Whether anybody wants to hear of each run; asked once, since it rarely changes and is needed for each plugin. */
  readonly observed: boolean
  /** Where what plugins do is noted for the response to show; null for all but those who ask and may. */
  readonly record: RunRecord | null
  /** Where the errors of a shadow run go; undefined where plugins run for real. */
  readonly shadow: unknown[] | undefined
}

/** Begins what there is to know of a request, or of a part of it that ends by itself. */
export function createState(
  ctx: Context,
  chain: Chain,
  observed: boolean,
  record: RunRecord | null = null,
  shadow?: unknown[],
): RequestState {
  return { ctx, chain, ending: null, filters: null, observed, record, shadow }
}

/** The request's host as plugins are matched and events told: lower case, no port. */
export function hostOf(ctx: Context): string {
  return normalizeHost(ctx.hostname)
}

/** Makes what does the same at less cost: Koa's own reading of the host takes longer than all else that an event tells. */
export function createHostReader(): (ctx: Context) => string {
  const memory = createHostMemory<string>()
  return (ctx) => {
    const header = readHostHeader(ctx)
    const known = memory.get(header)
    if (known !== undefined) return known
    const host = hostOf(ctx)
    if (isMemorable(header)) memory.offer(header, host)
    return host
  }
}
