import type { Context } from 'koa'

/** A longer one is read each time rather than remembered. */
const LONGEST_REMEMBERED = 256
/** Koa cuts a host with these in it, how depends on where it comes from: nothing to remember anything under. */
const AMBIGUOUS = /[,@]/

/**
 * The host as the request has it. Koa's own reading of it costs several times any look-up by this; without a proxy it comes
 * from this header.
 */
export function readHostHeader(ctx: Context): string {
  const { req } = ctx
  return (ctx.app.proxy || req.httpVersionMajor >= 2 ? ctx.host : req.headers.host) ?? ''
}

/** Whether what is known of the host may be remembered under what the request has. */
export function isMemorable(header: string): boolean {
  return header.length <= LONGEST_REMEMBERED && !AMBIGUOUS.test(header)
}
