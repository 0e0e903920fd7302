import Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import { z } from 'zod'
import type { Role } from '../../shared/roles.ts'
import { type Actor, demandRole } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { askFor } from '../review/asking.ts'
import { goneSignal } from './gone-signal.ts'
import { parseJson, readValue } from './read-value.ts'

/** What a handler is called with; each part as its schema makes it. */
interface Asked<P, Q, B> {
  readonly ctx: Context
  readonly params: P
  readonly query: Q
  readonly body: B
}

/** One thing that the API can do. */
export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** As in `/domains/:id`. */
  readonly path: string
  /** One sentence, for the description of the API. */
  readonly summary: string
  /** Who may; undefined: everybody, signed in or not. */
  readonly role: Role | undefined
  readonly params: z.ZodObject | undefined
  readonly query: z.ZodObject | undefined
  readonly body: z.ZodType | undefined
  readonly answer: z.ZodType | undefined
  readonly status: number
  /** Whether it goes before everything that others have asked for. */
  readonly is_urgent: boolean
  handle(ctx: Context): Promise<unknown>
}

const NOTHING = z.object({})

/**
 * Describes a route whose handler gets what its schemas let through.
 *
 * @throws Problem with 422, which names the fields, for a request that does not match them
 */
export function route<
  P extends z.ZodObject = typeof NOTHING,
  Q extends z.ZodObject = typeof NOTHING,
  B extends z.ZodType = z.ZodUndefined,
>(given: {
  method: Route['method']
  path: string
  summary: string
  role?: Role
  params?: P
  query?: Q
  body?: B
  answer?: z.ZodType
  status?: number
  is_urgent?: boolean
  /** Whether the body is left as bytes, in `ctx.state.bytes`, for a thread to read. */
  is_raw?: boolean
  handle(asked: Asked<z.output<P>, z.output<Q>, z.output<B>> & { readonly actor: Actor }): unknown
}): Route {
  const { method, path, summary, role, params, query, body, answer, is_urgent = false, is_raw = false } = given
  const { status = answer === undefined ? 204 : 200 } = given
  return Object.freeze({
    method,
    path,
    summary,
    role,
    params,
    query,
    body,
    answer,
    status,
    is_urgent,
    async handle(ctx) {
      const actor = ctx.state.actor as Actor
      return given.handle({
        ctx,
        actor,
        params: read(params, () => ctx.params, 'the address') as z.output<P>,
        query: read(query, () => ctx.query, 'the query') as z.output<Q>,
        body: (is_raw ? undefined : read(body, () => parseBody(ctx.state.bytes), 'the request')) as z.output<B>,
      })
    },
  } satisfies Route)
}

function read(schema: z.ZodType | undefined, value: () => unknown, what: string): unknown {
  return schema === undefined ? undefined : readValue(schema, value(), what)
}

function parseBody(bytes: Buffer | undefined): unknown {
  return bytes === undefined ? undefined : parseJson(bytes)
}

/** Puts routes under a path. */
export function createRouter(prefix: string, routes: readonly Route[]): Middleware {
  const router = new Router({ prefix })
  for (const each of routes) {
    router[each.method](each.path, async (ctx: Context) => {
      if (each.role !== undefined) {
        if (ctx.state.actor === undefined) throw new Problem(401, 'sign in first')
        demandRole(ctx.state.actor, each.role)
      }
      const account_id = (ctx.state.actor as Actor | undefined)?.account_id ?? 0
      const asking = { account_id, is_urgent: each.is_urgent, signal: goneSignal(ctx) }
      const answer = await askFor(asking, () => each.handle(ctx))
      // A handler that answers by itself, as a stream of events does.
      if (ctx.respond === false || ctx.body !== undefined) return
      ctx.status = each.status
      // Nothing goes out that the description does not have.
      if (each.answer !== undefined) ctx.body = each.answer.parse(JSON.parse(JSON.stringify(answer)))
    })
  }
  router.all('/*rest', () => {
    throw new Problem(404, 'there is no such address')
  })
  return router.routes() as unknown as Middleware
}
