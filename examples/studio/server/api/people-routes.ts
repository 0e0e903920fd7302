import { z } from 'zod'
import {
  ACCOUNT,
  AUDIT_ENTRY,
  LINK,
  LISTED_ACCOUNT,
  MADE_LINK,
  PERSON_ROLE,
  SESSION,
  TOKEN,
  TOKEN_ROLE,
} from '../../shared/people.ts'
import { findAccount, isPublisher, listAccounts } from '../auth/accounts.ts'
import { confirmLink } from '../auth/agreeing.ts'
import { createApiToken, listApiTokens, revokeApiToken } from '../auth/api-tokens.ts'
import { changeAccount } from '../auth/change-account.ts'
import { acceptInvitation, describeInvitation } from '../auth/joining.ts'
import { askPromotion, inviteAccount, invitePassword, listLinks, revokeLink } from '../auth/links.ts'
import type { LoginLimit } from '../auth/login-limit.ts'
import { resetSecondFactor } from '../auth/second-factor.ts'
import { needsSecond, type TwoPersonRules } from '../auth/second-person.ts'
import { beginSession } from '../auth/sessions.ts'
import { listAudit } from '../store/audit.ts'
import type { Database } from '../store/database.ts'
import { type Route, route } from './route.ts'
import { ACCOUNT_NAME, CODE, ID, NEW_PASSWORD, PAGE } from './schemas.ts'
import { begin, withCode } from './session-routes.ts'

const SECRET = z.string().max(200)
/** Who may do what, and who did what: people, links for them, tokens of programs, and the log. */
export function peopleRoutes({ db }: Database, limit: LoginLimit, rules: TwoPersonRules): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/invitations',
      summary: 'Invite someone; the secret is the end of a link, and works once',
      role: 'publisher',
      body: z.object({ role: PERSON_ROLE }),
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
      summary: 'Revoke a link',
      role: 'publisher',
      params: z.object({ id: ID }),
      handle: ({ actor, params }) => revokeLink(db, actor, params.id),
    }),
    route({
      method: 'post',
      path: '/invitations/:id/confirm',
      summary: 'Approve, as the second publisher, what makes someone a publisher or invites one',
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
      body: z.object({
        invitation: SECRET,
        name: ACCOUNT_NAME.optional(),
        password: NEW_PASSWORD,
        code: CODE.optional(),
      }),
      answer: SESSION,
      status: 201,
      async handle({ ctx, body: { invitation, name, password, code } }) {
        const { account_id: id, name: known } = await describeInvitation(db, invitation)
        const accept = () => acceptInvitation(db, invitation, { name, password, code }, rules)
        const account =
          id === null || known === null
            ? await accept()
            : await withCode({ db, limit, ip: ctx.ip }, { id, name: known }, code, accept)
        return begin(ctx, await beginSession(db, account))
      },
    }),
    route({
      method: 'get',
      path: '/accounts',
      summary: 'Every account',
      role: 'publisher',
      answer: z.array(LISTED_ACCOUNT),
      handle: () => listAccounts(db),
    }),
    route({
      method: 'patch',
      path: '/accounts/:id',
      summary: 'Change what an account may do, or switch it off',
      role: 'publisher',
      params: z.object({ id: ID }),
      body: z.object({ role: PERSON_ROLE.optional(), active: z.boolean().optional() }),
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
      summary: 'Create a link for someone who forgot their password; its secret works once',
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
      method: 'delete',
      path: '/accounts/:id/second-factor',
      summary:
        'Remove the second factor of someone who lost it; until there is a new one, the password alone is enough',
      role: 'publisher',
      params: z.object({ id: ID }),
      handle: ({ actor, params }) => resetSecondFactor(db, actor, params.id),
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
      summary: 'Create a token; its secret is shown once',
      role: 'publisher',
      body: z.object({
        name: ACCOUNT_NAME,
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
    route({
      method: 'get',
      path: '/audit',
      summary: 'Who did what, the newest first',
      role: 'viewer',
      query: PAGE.pick({ limit: true }).extend({ before: ID.optional() }),
      answer: z.array(AUDIT_ENTRY),
      handle: ({ query }) => listAudit(db, query.limit, query.before),
    }),
  ]
}
