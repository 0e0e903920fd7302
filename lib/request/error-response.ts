import { STATUS_CODES } from 'node:http'
import type { Context } from 'koa'
import type { BodyFilter } from './body-filter.ts'
import type { RequestState } from './state.ts'

/** What the header filters changed of an error's response; undefined as a value: removed. */
interface Changes {
  readonly status: number | undefined
  readonly headers: ReadonlyMap<string, number | string | string[] | undefined>
}

/**
 * Takes the response that an error of the app will get through header_filter and body_filter. The error itself stays as
 * it is, and is thrown on by the caller. Koa clears every header when it answers an error, so what the filters did is
 * kept and done again at that moment; the error's text is filtered there, too.
 *
 * @param filterHeaders runs the header filters on what `ctx` says then
 */
export async function prepareErrorResponse(
  state: RequestState,
  error: unknown,
  filterHeaders: () => void | Promise<void>,
  bodyFilter: BodyFilter,
): Promise<void> {
  const { ctx } = state
  if (ctx.headerSent || !ctx.writable || ctx.respond === false) return
  const changes = await recordChanges(ctx, statusOf(error), filterHeaders)
  if (state.ending !== null) return
  const original = ctx.onerror
  ctx.onerror = function onerror(this: Context, err) {
    if (err === error && !ctx.headerSent && ctx.writable) interceptEnd(state, changes, bodyFilter)
    original.call(this, err)
  }
}

/** The status that Koa's error handler will answer with. */
function statusOf(error: unknown): number {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown }
  const code = status || statusCode
  return typeof code === 'number' && STATUS_CODES[code] !== undefined ? code : 500
}

async function recordChanges(
  ctx: Context,
  status: number,
  filterHeaders: () => void | Promise<void>,
): Promise<Changes> {
  const { res } = ctx
  const before = { ...res.getHeaders() }
  const { statusCode, statusMessage } = res
  res.statusCode = status
  await filterHeaders()
  const after = res.getHeaders()
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  const headers = new Map([...names].filter((name) => before[name] !== after[name]).map((name) => [name, after[name]]))
  const changed = res.statusCode === status ? undefined : res.statusCode
  // Error handlers that stand in front of dynacode find the response as the app left it, but for the filters' headers.
  res.statusCode = statusCode
  res.statusMessage = statusMessage
  return { status: changed, headers }
}

/** Koa's error handler ends the response at once; this steps in at its `end` to change what it made. */
function interceptEnd(state: RequestState, changes: Changes, bodyFilter: BodyFilter): void {
  const { ctx } = state
  const { res } = ctx
  const { end } = res
  const finish = (text: string | Uint8Array) => {
    if (res.headersSent) return
    if (changes.status !== undefined) ctx.status = changes.status
    res.setHeader('Content-Length', Buffer.byteLength(text))
    for (const [name, value] of changes.headers) {
      if (name === 'content-length') continue
      if (value === undefined) res.removeHeader(name)
      else res.setHeader(name, value)
    }
    res.end(text)
  }
  res.end = ((text: string) => {
    res.end = end
    bodyFilter.filterWhole(state, text).then(
      // A plugin that failed closed must not let through what it was to filter; the status says enough.
      (filtered) => finish(state.ending === null ? (filtered ?? text) : ''),
      () => finish(text),
    )
    return res
  }) as typeof res.end
}
