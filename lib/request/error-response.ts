import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Context } from 'koa'
import type { Chunk } from './response/stream.ts'
import type { RequestState } from './run/state.ts'

/** What the header filters changed of an error's response; undefined as a header: removed. */
interface Changes {
  /** A status that is none, written past Koa, changes nothing. */
  readonly status: number | undefined
  readonly headers: OutgoingHttpHeaders
}

/**
 * Takes the response that an error of the app will get through header_filter and body_filter. The error itself stays as
 * it is, and is thrown on by the caller. Koa clears every header when it answers an error, so what the filters did is
 * kept and done again at that moment; the error's text is filtered there, too.
 *
 * @param filterHeaders runs the header filters on what `ctx` says then
 * @param filterText takes the error's text through the body filters; undefined when it stays unchanged
 */
export async function prepareErrorResponse(
  state: RequestState,
  error: unknown,
  filterHeaders: () => void | Promise<void>,
  filterText: (text: string) => Promise<Chunk | undefined>,
): Promise<void> {
  const { ctx, chain } = state
  if (chain.header_filter.length === 0 && chain.body_filter.length === 0) return
  if (ctx.headerSent || !ctx.writable) return
  const changes = await recordChanges(ctx, error, filterHeaders)
  if (state.ending !== null) return
  const original = ctx.onerror
  ctx.onerror = function onerror(this: Context, err) {
    if (Object.is(err, error) && !ctx.headerSent && ctx.writable) interceptEnd(state, changes, filterText)
    original.call(this, err)
  }
}

/** Runs the filters on the response as Koa will make it. */
async function recordChanges(
  ctx: Context,
  error: unknown,
  filterHeaders: () => void | Promise<void>,
): Promise<Changes> {
  const { res } = ctx
  const response = ctx.response as { _explicitStatus?: boolean | undefined }
  const { statusCode } = res
  const { _explicitStatus } = response
  // HTTP/2 knows no such message, and Node warns whoever asks.
  const hasMessage = ctx.req.httpVersionMajor < 2
  const statusMessage = hasMessage ? res.statusMessage : ''
  const left = { ...res.getHeaders() }
  const status = statusOf(error)
  try {
    res.statusCode = status
    if (hasMessage) res.statusMessage = STATUS_CODES[status] as string
    // A body that a filter sets must not turn the error into a success.
    response._explicitStatus = true
    present(ctx, error)
    const before = { ...res.getHeaders() }
    await filterHeaders()
    const headers = difference(before, res.getHeaders())
    Object.assign(left, headers)
    const isChanged = res.statusCode !== status && res.statusCode >= 200 && res.statusCode <= 599
    return { status: isChanged ? res.statusCode : undefined, headers }
  } finally {
    // Error handlers that stand in front of dynacode find the response as the app left it, but for the filters' headers.
    if (!res.headersSent) {
      for (const name of res.getHeaderNames()) res.removeHeader(name)
      setHeaders(res, left)
      res.statusCode = statusCode
      response._explicitStatus = _explicitStatus
      if (hasMessage) res.statusMessage = statusMessage
    }
  }
}

/** The status that Koa's error handler will answer with. */
function statusOf(error: unknown): number {
  try {
    const { status, statusCode } = error as { status?: unknown; statusCode?: unknown }
    const code = status || statusCode
    return typeof code === 'number' && STATUS_CODES[code] !== undefined ? code : 500
  } catch {
    return 500
  }
}

/** Makes the headers what Koa's error handler will make them: the error's own, and plain text. */
function present(ctx: Context, error: unknown): void {
  const { res } = ctx
  for (const name of res.getHeaderNames()) res.removeHeader(name)
  try {
    const { headers } = error as { headers?: Record<string, string> }
    for (const [name, value] of Object.entries(headers ?? {})) ctx.set(name, value)
  } catch {
    // What is wrong with the error's headers is between it and Koa.
  }
  ctx.remove('Content-Length')
  ctx.type = 'text'
}

function difference(before: OutgoingHttpHeaders, after: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  // The text's length is not the filters' to say.
  names.delete('content-length')
  const changed = [...names].filter((name) => before[name] !== after[name])
  return Object.fromEntries(changed.map((name) => [name, after[name]]))
}

function setHeaders(res: ServerResponse, headers: OutgoingHttpHeaders): void {
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) res.removeHeader(name)
    else res.setHeader(name, value)
  }
}

/** Koa's error handler ends the response at once; this steps in at its `end` to change what it made. */
function interceptEnd(
  state: RequestState,
  changes: Changes,
  filterText: (text: string) => Promise<Chunk | undefined>,
): void {
  const { ctx } = state
  const { res } = ctx
  const { end } = res
  const finish = (text: string | Uint8Array) => {
    if (res.headersSent) return
    if (changes.status !== undefined) ctx.status = changes.status
    res.setHeader('Content-Length', Buffer.byteLength(text))
    setHeaders(res, changes.headers)
    res.end(text)
  }
  res.end = ((text: string) => {
    res.end = end
    filterText(text)
      .then(
        // What a plugin refuses, or fails closed on, must not get through unfiltered; the status says enough.
        (filtered) => finish(state.ending === null ? (filtered ?? text) : ''),
        () => finish(''),
      )
      // Nobody else would catch that the response cannot be written.
      .catch(() => res.destroy())
    return res
  }) as typeof res.end
}
