import type { Middleware } from 'koa'
import { Problem } from '../problem.ts'

/** Answers with what is wrong, as `application/problem+json` (RFC 9457). What nobody foresaw is told to the log alone. */
export function answerProblems(failed: (error: unknown) => void): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      const problem = toProblem(error)
      if (problem === undefined) failed(error)
      const { status, message, details } = problem ?? new Problem(500, 'internal error; see the log of the studio')
      const { headers = {}, ...rest } = details
      ctx.status = status
      ctx.set(headers)
      ctx.type = 'application/problem+json'
      ctx.body = JSON.stringify({ title: message, status, ...rest })
    }
  }
}

function toProblem(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error
  // What Koa and its parts throw on purpose, such as 413.
  const { status, expose, message } = error as { status?: unknown; expose?: unknown; message?: unknown }
  return typeof status === 'number' && expose === true ? new Problem(status, String(message)) : undefined
}
