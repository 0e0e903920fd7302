import type { Context } from 'koa'
import type { Chunk } from './stream.ts'

/** Headers that speak of the exact bytes of the body before it was filtered. */
const ABOUT_THE_BYTES = [
  'ETag',
  'Last-Modified',
  'Accept-Ranges',
  'Content-MD5',
  'Digest',
  'Content-Digest',
  'Repr-Digest',
]

/** The body as Koa would send it, where that is no stream. */
export function wholeBody(ctx: Context): Chunk {
  const { body } = ctx
  if (body == null) return messageOf(ctx) || String(ctx.status)
  return typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
}

/** The words of the status; HTTP/2 has none, and Node warns whoever asks there. */
function messageOf(ctx: Context): string | undefined {
  return ctx.req.httpVersionMajor < 2 ? ctx.message : undefined
}

export function isEncoded(ctx: Context): boolean {
  return ctx.res.hasHeader('Content-Encoding')
}

/** Koa sends its own text for a response without a body, unless the app set the body to null itself. */
export function isExplicitlyEmpty(ctx: Context): boolean {
  return (ctx.response as { _explicitNullBody?: boolean })._explicitNullBody === true
}

/** Puts another body in its place; the status and the type stay what they were, or what Koa would have sent. */
export function replaceBody(ctx: Context, body: Chunk): void {
  const { status } = ctx
  const message = messageOf(ctx)
  const hadBody = ctx.body != null
  const typed = ctx.res.hasHeader('Content-Type')
  ctx.body = body
  if (hadBody && !typed) ctx.remove('Content-Type')
  if (ctx.status !== status) {
    ctx.status = status
    if (message !== undefined) ctx.message = message
  }
  if (!hadBody) ctx.type = 'text'
  for (const name of ABOUT_THE_BYTES) ctx.remove(name)
}

/** Takes away what was said about a body that will be another one, how long nobody knows yet. */
export function forgetBytes(ctx: Context): void {
  for (const name of [...ABOUT_THE_BYTES, 'Content-Length', 'Content-Encoding']) ctx.remove(name)
}
