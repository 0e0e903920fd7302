import { STATUS_CODES } from 'node:http'
import { pipeline } from 'node:stream'
import type { Context } from 'koa'
import { DynacodeError } from '../errors.ts'
import type { Events } from '../events/emitter.ts'
import type { LivePlugin } from '../program.ts'
import { cutResponse } from './response/cut.ts'
import { ANYTHING, beginChanges, createSnapshot, endChanges, takeChangesBack } from './response/snapshot.ts'
import { freeBody, isStreamed, toReadable } from './response/stream.ts'
import type { Ending, RequestState } from './run/state.ts'

/** Headers that describe the body that is replaced, or how long it may be kept. */
export const ABOUT_THE_BODY: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'content-range',
  'content-disposition',
  'accept-ranges',
  'etag',
  'last-modified',
  'cache-control',
  'expires',
  'transfer-encoding',
])

/**
 * Puts what a plugin ended the request with into the response, in place of whatever is there. A response whose head is out
 * is cut; one that the app writes past Koa is sent at once, and what the app writes later goes nowhere.
 *
 * @param answered whether the app has made a response by now, whose headers do not fit the new body
 */
export function applyEnding(state: RequestState, events: Events, answered: boolean): void {
  const { ctx, ending } = state
  state.ending = null
  if (ending === null) return
  if (ctx.headerSent) return cutEnded(ctx, ending, events)
  clearBody(ctx, answered)
  try {
    fill(state, ending)
  } catch (error) {
    // Half an answer may be worse than none: whoever ends a request wants nobody to get through.
    events.emit('on_error', { section: 'request', error })
    clearBody(ctx, true)
    ctx.status = ending.status >= 400 && ending.status <= 599 ? ending.status : 500
  }
  if (ctx.respond === false && ctx.writable) sendPastKoa(ctx)
}

/** Sends the response without Koa, and lets nobody write to it afterwards. */
export function sendPastKoa(ctx: Context): void {
  const { body, res } = ctx
  if (isStreamed(body)) {
    pipeline(toReadable(body), res, () => undefined)
    return
  }
  const isText = typeof body === 'string' || Buffer.isBuffer(body)
  const isEmpty = body == null && (ctx.response as { _explicitNullBody?: boolean })._explicitNullBody === true
  if (body == null) ctx.type = isEmpty ? '' : 'text'
  if (body == null && !isEmpty) res.end(STATUS_CODES[ctx.status] ?? String(ctx.status))
  else res.end(body == null || isText ? body : JSON.stringify(body))
  // What comes too late would throw where only the app could catch it.
  for (const name of WRITERS) res[name] = () => res as never
  res.write = () => true
}

/** What writes to a response. */
const WRITERS = ['end', 'writeHead', 'flushHeaders', 'setHeader', 'appendHeader', 'removeHeader'] as const

function cutEnded({ res }: Context, { plugin }: Ending, events: Events): void {
  const error = new DynacodeError('ERR_DYNACODE_BODY', 'a plugin ended the response when its head was sent already')
  // That a plugin failed is told elsewhere.
  if (plugin !== undefined) events.emit('on_error', { section: 'request', error })
  if (!res.writableEnded || plugin === undefined) cutResponse(res, error)
}

function clearBody(ctx: Context, answered: boolean): void {
  freeBody(ctx.body)
  // Koa would make `null` of a missing JSON body, and nothing at all of one that was null before.
  ctx.remove('Content-Type')
  if (ctx.body != null) ctx.body = undefined
  ;(ctx.response as { _explicitNullBody?: boolean })._explicitNullBody = false
  if (answered) for (const name of ABOUT_THE_BODY) ctx.remove(name)
}

/** @throws what is wrong with the answer */
function fill(state: RequestState, { status, body, headers, plugin }: Ending): void {
  const { ctx } = state
  const before = plugin === undefined || state.refuse === null ? null : createSnapshot()
  if (before !== null) beginChanges(before, state, plugin as LivePlugin, ANYTHING)
  try {
    ctx.status = status
    for (const [name, value] of collectHeaders(headers)) ctx.set(name, value as string | string[])
    if (body !== undefined) ctx.body = toBody(body)
    ctx.status = status
    const error = before === null ? undefined : endChanges(before)
    if (error !== undefined) throw error
  } catch (error) {
    if (before !== null) takeChangesBack(before)
    throw error
  }
}

/** The headers of an object, of `Headers`, a Map or a list of pairs; what comes more than once as a list. */
function collectHeaders(headers: Ending['headers']): Map<string, unknown> {
  const collected = new Map<string, unknown>()
  if (headers === undefined || headers === null) return collected
  const isList = typeof (headers as Iterable<unknown>)[Symbol.iterator] === 'function'
  for (const [name, value] of isList ? (headers as Iterable<[string, unknown]>) : Object.entries(headers)) {
    const before = collected.get(name)
    collected.set(name, before === undefined ? value : [before, value].flat())
  }
  return collected
}

function toBody(body: unknown): unknown {
  if (typeof body === 'number' || typeof body === 'boolean' || typeof body === 'bigint') return String(body)
  if (typeof body === 'function' || typeof body === 'symbol')
    throw new TypeError(`exit(): a ${typeof body} cannot be a body`)
  return body
}
