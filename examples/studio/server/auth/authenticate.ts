import { createHash, timingSafeEqual } from 'node:crypto'
import type { Context, Middleware } from 'koa'
import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import type { Tables } from '../store/tables.ts'
import type { Actor } from './actor.ts'
import { findApiToken } from './api-tokens.ts'
import { hashSecret } from './secrets.ts'
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
      if (ctx.state.actor === undefined) throw new Problem(401, 'the token is wrong, has ended, or was revoked')
    } else if (cookie !== undefined) {
      ctx.state.actor = await findSession(db, cookie)
      ctx.state.session = cookie
    }
    if (ctx.state.actor?.csrf !== undefined) demandCsrf(ctx)
    return next()
  }
}

/** For how long a token is taken to be good that was, in milliseconds: thousands of instances ask again and again. */
const TRUSTED_FOR_MS = 5000
/** Tokens that are remembered; more than anybody has. */
const MOST_TRUSTED = 1000

/**
 * Makes what tells whether a header is that of an instance: of whoever has a token, whatever it is for.
 *
 * @param report_token as `authenticate`
 */
export function authenticateInstance(
  db: Kysely<Tables>,
  report_token: string | undefined,
): (authorization: string) => Promise<boolean> {
  const trusted = new Map<string, number>()
  return async (authorization) => {
    const bearer = readBearer(authorization)
    if (bearer === undefined) return false
    if (isSame(bearer, report_token)) return true
    const key = hashSecret(bearer)
    if ((trusted.get(key) ?? 0) > Date.now()) return true
    trusted.delete(key)
    if ((await findApiToken(db, bearer)) === undefined) return false
    if (trusted.size >= MOST_TRUSTED) trusted.clear()
    trusted.set(key, Date.now() + TRUSTED_FOR_MS)
    return true
  }
}

const readBearer = (authorization: string) => /^Bearer (\S+)$/i.exec(authorization)?.[1]

/** A page of another site can make a browser send the cookie, but does not know what this page does. */
function demandCsrf(ctx: Context): void {
  if (['GET', 'HEAD', 'OPTIONS'].includes(ctx.method)) return
  if (isSame(ctx.get('x-csrf-token'), ctx.state.actor.csrf)) return
  throw new Problem(403, 'expected the header X-CSRF-Token with what GET /api/session says')
}

/** Compares secrets in a time that says nothing of them. */
function isSame(given: string, wanted: string | undefined): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return wanted !== undefined && timingSafeEqual(digest(given), digest(wanted))
}
