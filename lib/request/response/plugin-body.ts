import type { Context } from 'koa'
import { cutResponse } from './cut.ts'
import { createFilterStream, isNodeStream, isStreamed, toReadable } from './stream.ts'

/**
 * Watches over a body that a plugin left, whose faults show only when it is sent: they are the plugin's, and must neither end
 * the process nor leave the client waiting.
 *
 * @param failed called with what went wrong
 */
export function watchBody(ctx: Context, body: unknown, failed: (error: unknown) => void): void {
  if (typeof body !== 'object' || body === null || Buffer.isBuffer(body) || body instanceof Blob) return
  if (isStreamed(body)) watchStream(ctx, body, failed)
  else watchJson(ctx, body, failed)
}

function watchStream(ctx: Context, body: object, failed: (error: unknown) => void): void {
  const { res } = ctx
  const isBytes = isNodeStream(body) && !(body as { readableObjectMode?: boolean }).readableObjectMode
  // Node throws at what is neither text nor bytes where nobody catches it.
  const stream = isBytes ? body : createFilterStream(toReadable(body), [], async (chunk) => chunk)
  stream.once('error', (error: NodeJS.ErrnoException) => {
    // That the client is gone is no fault of the plugin's.
    if (res.destroyed || error?.code === 'ERR_STREAM_PREMATURE_CLOSE') return
    failed(error)
    if (res.headersSent) cutResponse(res, error)
  })
  if (stream !== body) ctx.body = stream
}

/** Koa makes the text when everybody is done with the object: not before is it known that there is none. */
function watchJson(ctx: Context, body: object, failed: (error: unknown) => void): void {
  const { onerror } = ctx
  ctx.onerror = function watched(this: Context, error) {
    if (ctx.body === body && !ctx.headerSent && !hasText(body)) failed(error)
    onerror.call(this, error)
  }
}

function hasText(body: object): boolean {
  try {
    return JSON.stringify(body) !== undefined
  } catch {
    return false
  }
}
