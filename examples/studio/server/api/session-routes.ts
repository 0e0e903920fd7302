import type { Context } from 'koa'
import { z } from 'zod'
import {
  changeAccount,
  changePassword,
  findAccount,
  isPublisher,
  listAccounts,
  noteFailure,
  type SignedIn,
  signIn,
  signOut,
} from '../auth/accounts.ts'
import { createApiToken, listApiTokens, revokeApiToken } from '../auth/api-tokens.ts'
import { cookieName } from '../auth/authenticate.ts'
import {
  acceptInvitation,
  askPromotion,
  confirmLink,
  describeInvitation,
  inviteAccount,
  invitePassword,
  listLinks,
  revokeLink,
} from '../auth/invitations.ts'
import type { LoginLimit } from '../auth/login-limit.ts'
import { needsSecond, type TwoPersonRules } from '../auth/second-person.ts'
import { Problem } from '../problem.ts'
import type { Database } from '../store/database.ts'
import { type Route, route } from './route.ts'
import { ID, ROLE, TIME, TOKEN_ROLE } from './schemas.ts'

const NAME = z
  .string()
  .trim()
  .min(1)
  .max(60)
  .regex(/^[\p{L}\p{N} ._@-]+$/u, 'expected letters, digits, spaces and ._@-')
const PASSWORD = z.string().max(1000)
const SECRET = z.string().max(200)
const ACCOUNT = z.object({ id: z.int(), name: z.string(), role: ROLE, active: z.boolean(), created_at: TIME })
const SESSION = z.object({ name: z.string(), role: TOKEN_ROLE, csrf: z.string() })
const TOKEN = z.object({
  id: z.int(),
  name: z.string(),
  role: TOKEN_ROLE,
  created_at: TIME,
  expires_at: TIME.nullable(),
  used_at: TIME.nullable(),
})

const MADE_LINK = z.object({ secret: z.string(), needs_second: z.boolean() })
const LINK = z.object({
  id: z.int(),
  kind: z.enum(['account', 'password', 'publisher']),
  role: TOKEN_ROLE,
  name: z.string().nullable(),
  created_by: z.string().nullable(),
  created_by_id: z.int().nullable(),
  created_at: TIME,
  expires_at: TIME,
  waits: z.boolean(),
})

/** Signing in, and who may do what. */
export function sessionRoutes({ db }: Database, limit: LoginLimit, rules: TwoPersonRules): readonly Route[] {
  function begin(ctx: Context, { account, secret, csrf, expires_at }: SignedIn): z.input<typeof SESSION> {
    ctx.cookies.set(cookieName(ctx.secure), secret, {
      httpOnly: true,
      sameSite: 'strict',
      secure: ctx.secure,
      path: '/',
      expires: expires_at,
    })
    return { name: account.name, role: account.role, csrf }
  }

  return [
    route({
      method: 'post',
      path: '/session',
      summary: 'Sign in',
      body: z.object({ name: NAME, password: PASSWORD }),
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
    route({
      method: 'post',
      path: '/invitations',
      summary: 'Invite somebody; the secret is the end of a link, and works once',
      role: 'publisher',
      body: z.object({ role: ROLE }),
      answer: MADE_LINK,
      status: 201,
      async handle({ actor, body: { role } }) {
        const needs_second = role === 'publisher' && (await needsSecond(db, rules, actor.account_id))
        return { secret: await inviteAccount(db, actor, role, needs_second), needs_second }
      },
    }),
    route({
      method: 'get',
      path: '/invitations',
      summary: 'Links that nobody has used yet, and publishers that wait for a second person; the newest first',
      role: 'publisher',
      answer: z.array(LINK),
      handle: () => listLinks(db),
    }),
    route({
      method: 'delete',
      path: '/invitations/:id',
      summary: 'Take a link back',
      role: 'publisher',
      params: z.object({ id: ID }),
      handle: ({ actor, params }) => revokeLink(db, actor, params.id),
    }),
    route({
      method: 'post',
      path: '/invitations/:id/confirm',
      summary: 'Agree, as the second publisher, to what makes somebody a publisher or lets somebody in as one',
      role: 'publisher',
      params: z.object({ id: ID }),
      handle: ({ actor, params }) => confirmLink(db, actor, params.id, rules),
    }),
    route({
      method: 'post',
      path: '/invitations/look',
      summary: 'What a link is for: a new account, or the password of the one that is named',
      body: z.object({ invitation: SECRET }),
      answer: z.object({ name: z.string().nullable() }),
      handle: ({ body }) => describeInvitation(db, body.invitation),
    }),
    route({
      method: 'post',
      path: '/accounts',
      summary: 'Accept an invitation: make the account, or set its password anew',
      body: z.object({ invitation: SECRET, name: NAME.optional(), password: PASSWORD }),
      answer: SESSION,
      status: 201,
      async handle({ ctx, body: { invitation, name, password } }) {
        const account = await acceptInvitation(db, invitation, { name, password }, rules)
        return begin(ctx, await signIn(db, account.name, password))
      },
    }),
    route({
      method: 'get',
      path: '/accounts',
      summary: 'Every account',
      role: 'publisher',
      answer: z.array(ACCOUNT),
      handle: () => listAccounts(db),
    }),
    route({
      method: 'patch',
      path: '/accounts/:id',
      summary: 'Change what an account may do, or switch it off',
      role: 'publisher',
      params: z.object({ id: ID }),
      body: z.object({ role: ROLE.optional(), active: z.boolean().optional() }),
      answer: ACCOUNT.extend({ waits: z.boolean().optional() }),
      async handle({ actor, params, body }) {
        const account = await findAccount(db, params.id)
        const wanted = { role: body.role ?? account.role, active: body.active ?? account.active }
        if (isPublisher(wanted) && !isPublisher(account) && (await needsSecond(db, rules, actor.account_id))) {
          await askPromotion(db, actor, params.id)
          return { ...account, waits: true }
        }
        return changeAccount(db, actor, params.id, body)
      },
    }),
    route({
      method: 'post',
      path: '/accounts/:id/password-link',
      summary: 'Make a link for who has forgotten the password; its secret works once',
      role: 'publisher',
      params: z.object({ id: ID }),
      answer: MADE_LINK,
      status: 201,
      async handle({ actor, params: { id } }) {
        const { role } = await findAccount(db, id)
        const needs_second = role === 'publisher' && (await needsSecond(db, rules, actor.account_id))
        return { secret: await invitePassword(db, actor, id, needs_second), needs_second }
      },
    }),
    route({
      method: 'get',
      path: '/tokens',
      summary: 'Tokens for programs, without their secrets',
      role: 'publisher',
      answer: z.array(TOKEN),
      handle: () => listApiTokens(db),
    }),
    route({
      method: 'post',
      path: '/tokens',
      summary: 'Make a token; its secret is shown once',
      role: 'publisher',
      body: z.object({
        name: NAME,
        role: TOKEN_ROLE,
        expires_at: z.iso.datetime({ offset: true }).nullable().default(null),
      }),
      answer: TOKEN.extend({ secret: z.string() }),
      status: 201,
      handle: ({ actor, body: { expires_at, ...rest } }) =>
        createApiToken(db, actor, { ...rest, expires_at: expires_at === null ? null : new Date(expires_at) }),
    }),
    route({
      method: 'delete',
      path: '/tokens/:id',
      summary: 'Revoke a token',
      role: 'publisher',
      params: z.object({ id: ID }),
      handle: ({ actor, params }) => revokeApiToken(db, actor, params.id),
    }),
  ]
}
