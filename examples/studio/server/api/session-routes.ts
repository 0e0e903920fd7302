import type { Context } from 'koa'
import { z } from 'zod'
import { SECOND_FACTOR_KEY, SESSION } from '../../shared/people.ts'
import { cookieName } from '../auth/authenticate.ts'
import type { LoginLimit } from '../auth/login-limit.ts'
import {
  beginSecondFactor,
  demandSecondFactor,
  hasSecondFactor,
  turnOffSecondFactor,
  turnOnSecondFactor,
} from '../auth/second-factor.ts'
import { beginSession, changePassword, findByPassword, noteFailure, type SignedIn, signOut } from '../auth/sessions.ts'
import { isOfProvider } from '../oidc/admit.ts'
import { Problem } from '../problem.ts'
import type { Database } from '../store/database.ts'
import { type Route, route } from './route.ts'
import { ACCOUNT_NAME, CODE, NEW_PASSWORD, PASSWORD } from './schemas.ts'

/** Lets somebody in, in the browser that asks. */
export function begin(ctx: Context, { account, secret, csrf, expires_at }: SignedIn): object {
  ctx.cookies.set(cookieName(ctx.secure), secret, {
    httpOnly: true,
    sameSite: 'strict',
    secure: ctx.secure,
    path: '/',
    expires: expires_at,
  })
  return { name: account.name, role: account.role, csrf, has_password: true }
}

/** The secret of the session. @throws Problem where a program asks */
function demandPerson(ctx: Context): string {
  if (ctx.state.session === undefined) throw new Problem(403, 'a token has no password and no second factor')
  return ctx.state.session
}

/** Does what demands a second factor, where there is one. What fails with a code is counted, and stands in the log. */
export async function withCode<T>(
  { db, limit, ip }: { readonly db: Database['db']; readonly limit: LoginLimit; readonly ip: string },
  { id, name }: { readonly id: number; readonly name: string },
  code: string | undefined,
  check: () => Promise<T>,
): Promise<T> {
  if (code === undefined) return check()
  return limit.code(id, check).catch(async (error) => {
    await noteFailure(db, name, ip, 'fail at second factor')
    throw error
  })
}

/** Signing in and out, and what one signs in with. */
export function sessionRoutes({ db }: Database, limit: LoginLimit): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/session',
      summary: 'Sign in; 401 that names the field code where the account has a second factor',
      body: z.object({ name: ACCOUNT_NAME, password: PASSWORD, code: CODE.optional() }),
      answer: SESSION,
      async handle({ ctx, body: { name, password, code } }) {
        await limit.attempt(name, ctx.ip)
        const account = await findByPassword(db, name, password).catch(async (error) => {
          await noteFailure(db, name, ctx.ip)
          throw error
        })
        await withCode({ db, limit, ip: ctx.ip }, account, code, () => demandSecondFactor(db, account.id, code))
        await limit.succeeded(name, ctx.ip)
        return begin(ctx, await beginSession(db, account))
      },
    }),
    route({
      method: 'get',
      path: '/session',
      summary: 'Who is signed in',
      role: 'viewer',
      answer: SESSION,
      async handle({ actor: { account_id, name, role, csrf = '' } }) {
        return { name, role, csrf, has_password: !(await isOfProvider(db, account_id)) }
      },
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
      body: z.object({ current: PASSWORD, password: NEW_PASSWORD }),
      async handle({ ctx, actor, body }) {
        const session = demandPerson(ctx)
        await limit.attempt(actor.name, ctx.ip)
        await changePassword(db, actor, session, body).catch(async (error) => {
          await noteFailure(db, actor.name, ctx.ip, 'fail to change password')
          throw error
        })
        await limit.succeeded(actor.name, ctx.ip)
      },
    }),
    route({
      method: 'get',
      path: '/session/second-factor',
      summary: 'Whether the own account has a second factor',
      role: 'viewer',
      answer: z.object({ on: z.boolean() }),
      handle: async ({ actor }) => ({ on: await hasSecondFactor(db, actor.account_id) }),
    }),
    route({
      method: 'post',
      path: '/session/second-factor',
      summary: 'Make a key for an authenticator app; it is not asked for before a code of it was shown',
      role: 'viewer',
      body: z.object({ password: PASSWORD }),
      answer: SECOND_FACTOR_KEY,
      async handle({ ctx, actor, body: { password } }) {
        demandPerson(ctx)
        await limit.attempt(actor.name, ctx.ip)
        const begun = await beginSecondFactor(db, actor, password).catch(async (error) => {
          await noteFailure(db, actor.name, ctx.ip, 'fail at second factor')
          throw error
        })
        await limit.succeeded(actor.name, ctx.ip)
        return begun
      },
    }),
    route({
      method: 'put',
      path: '/session/second-factor',
      summary: 'Turn the second factor on, with a code of the key; all other sessions of the account end',
      role: 'viewer',
      body: z.object({ code: CODE }),
      answer: z.object({ recovery_codes: z.array(z.string()) }),
      handle: async ({ ctx, actor, body: { code } }) => ({
        recovery_codes: await turnOnSecondFactor(db, actor, demandPerson(ctx), code),
      }),
    }),
    route({
      method: 'delete',
      path: '/session/second-factor',
      summary: 'Turn the second factor off',
      role: 'viewer',
      body: z.object({ password: PASSWORD, code: CODE }),
      async handle({ ctx, actor, body }) {
        demandPerson(ctx)
        await limit.attempt(actor.name, ctx.ip)
        const own = { id: actor.account_id, name: actor.name }
        await withCode({ db, limit, ip: ctx.ip }, own, body.code, () => turnOffSecondFactor(db, actor, body))
        await limit.succeeded(actor.name, ctx.ip)
      },
    }),
  ]
}
