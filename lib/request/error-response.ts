import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'
import type { Events } from '../events/emitter.ts'
import { ABOUT_THE_BODY, applyEnding, sendPastKoa } from './ending.ts'
import { cutResponse } from './response/cut.ts'
import { type HeaderValue, readWritten } from './response/header-changes.ts'
import type { Chunk } from './response/stream.ts'
import { type Interception, interceptWrites, type WriteMethod } from './response/writes.ts'
import type { RequestState } from './run/state.ts'

/** Which filters a response had entered when the error came. */
export type Filtered = 'nothing' | 'headers' | 'body'

/** How the filters of an instance are run on the response that an error gets. */
export interface ErrorFilters {
  /** @throws what a filter throws on purpose */
  readonly filterHeaders: (state: RequestState) => void | Promise<void>
  /** Takes a whole text through the body filters; undefined when it stays unchanged. */
  readonly filterText: (state: RequestState, text: Chunk) => Promise<Chunk | undefined>
  /** Takes the body that `ctx` has through the body filters. */
  readonly filterBody: (state: RequestState) => Promise<void>
}

/** The response to an error, held back when it is written until the filters have seen it. */
interface HeldResponse {
  /** What the filters of each instance do with it, innermost first. */
  readonly steps: ((held: HeldResponse) => Promise<void>)[]
  /** What was written, in order. */
  calls: (readonly [WriteMethod, readonly unknown[]])[]
  /** Whether the response is on `ctx` now, in place of what was written. */
  replaced: boolean
}

const HELD = Symbol('dynacode held')

/**
 * Takes the response that an error will get through the filters that it has not passed. The error itself stays as it is, and is
 * thrown on by the caller; whoever answers it, Koa or a handler in front of dynacode, makes the response as without plugins. When
 * that is written the filters see it, and what they do to it is sent.
 */
export function filterErrorResponse(
  state: RequestState,
  error: unknown,
  filtered: Filtered,
  filters: ErrorFilters,
  events: Events,
): void {
  const { ctx, chain } = state
  if (chain.header_filter.length === 0 && chain.body_filter.length === 0) return
  if (ctx.headerSent || !ctx.writable) return
  const { onerror } = ctx
  let isKoa = false
  // What header filters had set before one of them, or a body filter, threw.
  let kept = readFiltered(state)
  ctx.onerror = function watched(this: Context, thrown) {
    isKoa = Object.is(thrown, error)
    onerror.call(this, thrown)
  }

  async function step(held: HeldResponse): Promise<void> {
    putBack(ctx, kept)
    // The text's length is not the filters' to say.
    if (isKoa) ctx.remove('Content-Length')
    try {
      if (filtered === 'nothing') await filterHeaders()
      if (state.ending === null && filtered !== 'body') await filterText(held)
    } catch (deliberate) {
      kept = readFiltered(state)
      held.calls = []
      held.replaced = false
      // Koa answers this one as well, into what is held.
      onerror.call(ctx, deliberate as Error)
      putBack(ctx, kept)
    }
    if (state.ending === null) return
    held.replaced = true
    applyEnding(state, events, true)
  }

  async function filterHeaders(): Promise<void> {
    const { statusCode } = ctx.res
    await filters.filterHeaders(state)
    // The status that a handler in front has chosen is its own.
    if (!isKoa && state.ending === null && !ctx.headerSent) ctx.res.statusCode = statusCode
  }

  async function filterText(held: HeldResponse): Promise<void> {
    if (held.replaced) return filters.filterBody(state)
    const [method, given] = held.calls[0] ?? []
    // A body of another's making stays as it is: Koa's text alone is known to be one.
    if (!isKoa || method !== 'end' || typeof given?.[0] !== 'string') return
    // What a plugin refuses, or fails closed on, must not get through unfiltered; the status says enough.
    const changed = await filters.filterText(state, given[0]).catch(() => '')
    const isRefused = state.ending !== null
    state.ending = null
    if (isRefused || changed !== undefined) held.calls = [['end', [isRefused ? '' : changed]]]
  }

  hold(ctx, step, () => state.writer !== null || (state.head !== null && state.head.writer !== null))
}

/**
 * Holds the response back when it is written. Instances of dynacode inside of one another hold it together.
 *
 * @param isPlugin whether a plugin is at work: what is written then, though there is a whole response, is the plugin's
 */
function hold(ctx: Context, step: HeldResponse['steps'][number], isPlugin: () => boolean): void {
  const res = ctx.res as ServerResponse & { [HELD]?: HeldResponse }
  const known = res[HELD]
  if (known !== undefined) {
    known.steps.push(step)
    return
  }
  const held: HeldResponse = { steps: [step], calls: [], replaced: false }
  res[HELD] = held
  let begun = false
  const interception = interceptWrites(res, (method, given) => {
    if (held.calls[0]?.[0] === 'end' && isPlugin()) return interception.write(method, given)
    held.calls.push([method, given])
    if (!begun) {
      begun = true
      // Nobody else would catch that the response cannot be written.
      release(ctx, held, interception).catch((error) => cutResponse(res, error))
    }
    return method === 'write' ? false : res
  })
}

async function release(ctx: Context, held: HeldResponse, interception: Interception): Promise<void> {
  const { res } = ctx
  for (const step of held.steps) await step(held)
  interception.stop()
  if (res.headersSent || res.destroyed) return
  if (held.replaced) return sendPastKoa(ctx)
  const [[method, [text]] = ['end', []]] = held.calls
  const isText = method === 'end' && (typeof text === 'string' || Buffer.isBuffer(text))
  if (isText && !res.hasHeader('Transfer-Encoding')) res.setHeader('Content-Length', Buffer.byteLength(text))
  for (const call of held.calls) interception.write(...call)
  if (held.calls.every(([called]) => called !== 'end')) res.emit('drain')
}

/** The headers of the response that header filters wrote, but for those that are about its body. */
function readFiltered({ head }: RequestState): [string, HeaderValue][] {
  if (head === null) return []
  const written = readWritten(head, ({ phase }) => phase === 'header_filter')
  return written.filter(([name]) => !ABOUT_THE_BODY.has(name))
}

/** Koa takes all headers away when it answers an error. */
function putBack({ res }: Context, headers: readonly [string, HeaderValue][]): void {
  if (res.headersSent) return
  for (const [name, value] of headers) if (value !== undefined && !res.hasHeader(name)) res.setHeader(name, value)
}
