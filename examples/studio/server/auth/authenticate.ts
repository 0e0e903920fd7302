import type { Context, Middleware } from 'koa'
import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import type { Tables } from '../store/tables.ts'
import type { Actor } from './actor.ts'
import { findApiToken } from './api-tokens.ts'
import { isSame, readBearer } from './bearer.ts'
import { findSession } from './sessions.ts'

/** The cookie's name; with the prefix, browsers take it from this host alone, and over TLS alone (RFC 6265bis, 4.1.3). */
export function cookieName(secure: boolean): string {
  return secure ? '__Host-studio' : 'studio'
}

/** Whoever has the token that the studio was started with. */
const REPORTER: Actor = Object.freeze({
  account_id: 0,
  name: 'an instance',
  role: 'reporter',
  csrf: undefined,
  credential: Object.freeze({ id: 'studio', expires_at: null }),
})

/**
 * Puts who asks into `ctx.state.actor`; nobody is no fault here.
 *
 * @param report_token by which instances may report, beside those of the database
 */
export function authenticate(db: Kysely<Tables>, report_token: string | undefined): Middleware {
  return async (ctx, next) => {
    const bearer = readBearer(ctx.get('authorization'))
    const cookie = ctx.cookies.get(cookieName(ctx.secure))
    if (bearer !== undefined) {
      ctx.state.actor = isSame(bearer, report_token) ? REPORTER : await findApiToken(db, bearer)
      if (ctx.state.actor === undefined) throw new Problem(401, 'the token is wrong, expired or revoked')
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
  if (isSame(ctx.get('x-csrf-token'), ctx.state.actor.csrf)) return
  throw new Problem(403, 'expected the header X-CSRF-Token with what GET /api/session says')
}
