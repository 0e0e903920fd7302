import { timingSafeEqual } from 'node:crypto'
import type { Context, Middleware } from 'koa'
import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import type { Tables } from '../store/tables.ts'
import { findSession } from './accounts.ts'
import { findApiToken } from './api-tokens.ts'

/** The cookie's name; with the prefix, browsers take it from this host alone, and over TLS alone (RFC 6265bis, 4.1.3). */
export function cookieName(secure: boolean): string {
  return secure ? '__Host-studio' : 'studio'
}

/** Puts who asks into `ctx.state.actor`; nobody is no fault here. */
export function authenticate(db: Kysely<Tables>): Middleware {
  return async (ctx, next) => {
    const bearer = /^Bearer (\S+)$/i.exec(ctx.get('authorization'))?.[1]
    const cookie = ctx.cookies.get(cookieName(ctx.secure))
    if (bearer !== undefined) {
      ctx.state.actor = await findApiToken(db, bearer)
      if (ctx.state.actor === undefined) throw new Problem(401, 'the token is wrong, has ended, or was revoked')
    } else if (cookie !== undefined) {
      ctx.state.actor = await findSession(db, cookie)
      ctx.state.session = cookie
    }
    if (ctx.state.actor?.csrf !== undefined) demandCsrf(ctx)
    return next()
  }
}

/** A page of another site can make a browser send the cookie, but does not know what this page does. */
function demandCsrf(ctx: Context): void {
  if (['GET', 'HEAD', 'OPTIONS'].includes(ctx.method)) return
  const [given, wanted] = [ctx.get('x-csrf-token'), ctx.state.actor.csrf as string].map((text) => Buffer.from(text))
  if (given?.length === wanted?.length && timingSafeEqual(given as Buffer, wanted as Buffer)) return
  throw new Problem(403, 'expected the header X-CSRF-Token with what GET /api/session says')
}
