import type { Middleware } from 'koa'
import { messageOf } from '../errors.ts'
import { TIMEOUT_MS } from './ask.ts'

/** Headers of one connection, which are not the next one's. */
const OF_CONNECTION = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'host',
  'expect',
]

/**
 * Makes middleware that asks another server, and answers as it does.
 *
 * @param failed called when that server cannot be reached, or does not send its whole answer in time
 */
export function createProxy(
  against: string,
  failed: (message: string) => void,
  timeout_ms: number = TIMEOUT_MS,
): Middleware {
  const { origin } = new URL(against)
  const describe = (error: unknown) =>
    (error as Error).name === 'TimeoutError' ? `no answer within ${timeout_ms / 1000} s` : messageOf(error)
  return async (ctx) => {
    const headers = Object.fromEntries(
      Object.entries(ctx.req.headers).filter(([name]) => !OF_CONNECTION.includes(name)),
    )
    const { request } = await import('undici')
    const signal = AbortSignal.timeout(timeout_ms)
    try {
      const method = ctx.method as 'GET'
      const body = method === 'GET' || (method as string) === 'HEAD' ? null : ctx.req
      const answer = await request(origin + ctx.url, { method, headers, body, signal })
      ctx.status = answer.statusCode
      for (const [name, value] of Object.entries(answer.headers)) {
        if (value !== undefined && !OF_CONNECTION.includes(name)) ctx.set(name, value)
      }
      answer.body.on('error', (error) => failed(describe(error)))
      ctx.body = answer.body
    } catch (error) {
      failed(describe(error))
      ctx.throw(502)
    }
  }
}
