import type { Context, Middleware } from 'koa'
import { Problem } from '../problem.ts'

/**
 * Reads the body of a request that changes something, that is to be JSON, into `ctx.state.bytes`.
 *
 * @param limitOf how many bytes it may have
 */
export function readJsonBody(limitOf: (ctx: Context) => number): Middleware {
  return async (ctx, next) => {
    if (!['POST', 'PUT', 'PATCH', 'DELETE'].includes(ctx.method)) return next()
    const max_bytes = limitOf(ctx)
    const parts: Buffer[] = []
    let bytes = 0
    for await (const part of ctx.req) {
      bytes += (part as Buffer).length
      if (bytes > max_bytes)
        throw new Problem(413, `expected at most ${max_bytes} bytes`, { headers: { Connection: 'close' } })
      parts.push(part as Buffer)
    }
    if (bytes === 0) return next()
    // A form of another site can send no such type without asking first.
    if (!ctx.is('application/json')) throw new Problem(415, 'expected application/json')
    ctx.state.bytes = Buffer.concat(parts)
    return next()
  }
}
