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

const WITHIN = { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS }

/**
 * Makes middleware that asks another server, and answers as it does.
 *
 * @param failed called when that server cannot be reached
 */
export function createProxy(against: string, failed: (message: string) => void): Middleware {
  const { origin } = new URL(against)
  return async (ctx) => {
    const headers = Object.fromEntries(
      Object.entries(ctx.req.headers).filter(([name]) => !OF_CONNECTION.includes(name)),
    )
    const { request } = await import('undici')
    try {
      const method = ctx.method as 'GET'
      const body = method === 'GET' || (method as string) === 'HEAD' ? null : ctx.req
      const answer = await request(origin + ctx.url, { method, headers, body, ...WITHIN })
      ctx.status = answer.statusCode
      for (const [name, value] of Object.entries(answer.headers)) {
        if (value !== undefined && !OF_CONNECTION.includes(name)) ctx.set(name, value)
      }
      ctx.body = answer.body
    } catch (error) {
      const late = error instanceof Error && error.name === 'HeadersTimeoutError'
      failed(late ? `no answer within ${TIMEOUT_MS / 1000} s` : messageOf(error))
      ctx.throw(502)
    }
  }
}
