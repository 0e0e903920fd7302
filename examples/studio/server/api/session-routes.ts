import type { Context } from 'koa'
import { z } from 'zod'
import { cookieName } from '../auth/authenticate.ts'
import type { LoginLimit } from '../auth/login-limit.ts'
import { changePassword, noteFailure, type SignedIn, signIn, signOut } from '../auth/sessions.ts'
import { Problem } from '../problem.ts'
import type { Database } from '../store/database.ts'
import { type Route, route } from './route.ts'
import { ACCOUNT_NAME, PASSWORD, TOKEN_ROLE } from './schemas.ts'

export const SESSION = z.object({ name: z.string(), role: TOKEN_ROLE, csrf: z.string() })

/** Lets somebody in, in the browser that asks. */
export function begin(ctx: Context, { account, secret, csrf, expires_at }: SignedIn): z.input<typeof SESSION> {
  ctx.cookies.set(cookieName(ctx.secure), secret, {
    httpOnly: true,
    sameSite: 'strict',
    secure: ctx.secure,
    path: '/',
    expires: expires_at,
  })
  return { name: account.name, role: account.role, csrf }
}

/** Signing in and out. */
export function sessionRoutes({ db }: Database, limit: LoginLimit): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/session',
      summary: 'Sign in',
      body: z.object({ name: ACCOUNT_NAME, password: PASSWORD }),
      answer: SESSION,
      async handle({ ctx, body: { name, password } }) {
        await limit.attempt(name, ctx.ip)
        const signed = await signIn(db, name, password).catch(async (error) => {
          await noteFailure(db, name, ctx.ip)
          throw error
        })
        await limit.succeeded(name, ctx.ip)
        return begin(ctx, signed)
      },
    }),
    route({
      method: 'get',
      path: '/session',
      summary: 'Who is signed in',
      role: 'viewer',
      answer: SESSION,
      handle: ({ actor: { name, role, csrf = '' } }) => ({ name, role, csrf }),
    }),
    route({
      method: 'delete',
      path: '/session',
      summary: 'Sign out',
      role: 'viewer',
      async handle({ ctx }) {
        if (ctx.state.session !== undefined) await signOut(db, ctx.state.session)
        ctx.cookies.set(cookieName(ctx.secure), null)
      },
    }),
    route({
      method: 'put',
      path: '/session/password',
      summary: 'Change the own password; all other sessions of the account end',
      role: 'viewer',
      body: z.object({ current: PASSWORD, password: PASSWORD }),
      async handle({ ctx, actor, body }) {
        if (ctx.state.session === undefined) throw new Problem(403, 'a token has no password')
        await limit.attempt(actor.name, ctx.ip)
        await changePassword(db, actor, ctx.state.session, body)
        await limit.succeeded(actor.name, ctx.ip)
      },
    }),
  ]
}
