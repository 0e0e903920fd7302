import type { Context } from 'koa'
import type { Events } from '../events/table.ts'
import { freeBody } from './response/stream.ts'
import type { RequestState } from './run/state.ts'

/** Headers that describe the body that is replaced, or how long it may be kept. */
const ABOUT_THE_BODY = [
  'Content-Type',
  'Content-Length',
  'Content-Encoding',
  'Content-Language',
  'Content-Range',
  'Content-Disposition',
  'Accept-Ranges',
  'ETag',
  'Last-Modified',
  'Cache-Control',
  'Expires',
  'Transfer-Encoding',
]

/**
 * Puts what a plugin ended the request with into the response, in place of whatever is there.
 *
 * @param answered whether the app has made a response by now, whose headers do not fit the new body
 */
export function applyEnding(state: RequestState, events: Events, answered: boolean): void {
  const { ctx, ending } = state
  state.ending = null
  if (ending === null || ctx.headerSent) return
  clearBody(ctx, answered)
  try {
    ctx.status = ending.status
    if (ending.headers != null) ctx.set(ending.headers as Record<string, string>)
    if (ending.body !== undefined) ctx.body = toBody(ending.body)
    ctx.status = ending.status
  } catch (error) {
    // Half an answer may be worse than none: whoever ends a request wants nobody to get through.
    events.emit('on_error', { section: 'request', error })
    clearBody(ctx, true)
    ctx.status = ending.status >= 400 && ending.status <= 599 ? ending.status : 500
  }
}

function clearBody(ctx: Context, answered: boolean): void {
  freeBody(ctx.body)
  // Koa would make `null` of a missing JSON body, and nothing at all of one that was null before.
  ctx.remove('Content-Type')
  if (ctx.body != null) ctx.body = undefined
  ;(ctx.response as { _explicitNullBody?: boolean })._explicitNullBody = false
  if (answered) for (const name of ABOUT_THE_BODY) ctx.remove(name)
}

function toBody(body: unknown): unknown {
  if (typeof body === 'number' || typeof body === 'boolean' || typeof body === 'bigint') return String(body)
  if (typeof body === 'function' || typeof body === 'symbol')
    throw new TypeError(`exit(): a ${typeof body} cannot be a body`)
  return body
}
