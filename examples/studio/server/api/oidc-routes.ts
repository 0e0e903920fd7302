import type { Context } from 'koa'
import { z } from 'zod'
import { SIGN_IN } from '../../shared/people.ts'
import type { LoginLimit } from '../auth/login-limit.ts'
import { beginSession } from '../auth/sessions.ts'
import { admit } from '../oidc/admit.ts'
import { type Attempt, createOidcProvider, type OidcOptions } from '../oidc/provider.ts'
import { Problem } from '../problem.ts'
import { writeAudit } from '../store/audit.ts'
import type { Database } from '../store/database.ts'
import { type Route, route } from './route.ts'
import { begin } from './session-routes.ts'

/** In place of a name: for how often somebody fails. */
const PROVIDER = 'a provider'
const COOKIE = 'studio-sign-in'
/** For who has to look for the phone first; in milliseconds. */
const ATTEMPT_MS = 10 * 60_000

const ATTEMPT = z.object({ state: z.string(), nonce: z.string(), verifier: z.string(), to: z.string() })

/**
 * Signing in by a provider (OpenID Connect, authorization code with PKCE).
 *
 * @param public_url as browsers see the studio
 */
export function oidcRoutes(
  { db }: Database,
  limit: LoginLimit,
  options: OidcOptions | undefined,
  public_url: string | undefined,
): readonly Route[] {
  const describe = route({
    method: 'get',
    path: '/sign-in',
    summary: 'By whom people sign in beside passwords; null: nobody',
    answer: SIGN_IN,
    handle: () => ({ provider: options?.name ?? null }),
  })
  if (options === undefined) return [describe]
  const provider = createOidcProvider(options)
  const baseOf = (ctx: Context) => public_url ?? `${ctx.protocol}://${ctx.host}`
  const callbackOf = (ctx: Context) => `${baseOf(ctx)}/api/sign-in/callback`

  return [
    describe,
    route({
      method: 'get',
      path: '/sign-in/provider',
      summary: 'Send a browser to the provider; to: where in the studio it shall come back to',
      query: z.object({ to: z.string().max(2000).default('/') }),
      async handle({ ctx, query }) {
        const { url, attempt } = await provider.begin(callbackOf(ctx), pathOf(query.to, baseOf(ctx)))
        keep(ctx, attempt)
        ctx.redirect(url.href)
      },
    }),
    route({
      method: 'get',
      path: '/sign-in/callback',
      summary: 'Where the provider sends a browser back to',
      async handle({ ctx }) {
        const attempt = take(ctx)
        try {
          if (attempt === undefined) throw new Problem(400, 'nothing was begun here, or too long ago')
          const claims = await provider.finish(new URL(callbackOf(ctx) + ctx.search), attempt)
          begin(ctx, await beginSession(db, await admit(db, options, claims)))
          ctx.redirect(pathOf(attempt.to, baseOf(ctx)))
        } catch (error) {
          const why = error instanceof Problem && error.status === 403 ? 'refused' : 'failed'
          const details = { provider: options.name, why: (error as Error).message.slice(0, 200), address: ctx.ip }
          // The log is not to be filled by strangers: who has begun nothing, or fails again and again, is not in it.
          const may_write =
            attempt !== undefined &&
            (await limit.attempt(PROVIDER, ctx.ip).then(
              () => true,
              () => false,
            ))
          if (may_write)
            await writeAudit(db, { account_id: null, name: 'somebody' }, 'fail to sign in', 'by the provider', details)
          ctx.redirect(`/#sign-in-${why}`)
        }
      },
    }),
  ]
}

/** With the prefix, no other host under the same name can set it. */
const cookieOf = (secure: boolean) => (secure ? `__Host-${COOKIE}` : COOKIE)

/** In the browser that begins it: whoever comes back from elsewhere has none. */
function keep(ctx: Context, attempt: Attempt): void {
  const text = Buffer.from(JSON.stringify(attempt)).toString('base64url')
  ctx.cookies.set(cookieOf(ctx.secure), text, {
    httpOnly: true,
    // It has to come along when the provider leads back here.
    sameSite: 'lax',
    secure: ctx.secure,
    path: '/',
    maxAge: ATTEMPT_MS,
  })
}

/** Once: it is of no use to a second one. */
function take(ctx: Context): Attempt | undefined {
  const text = ctx.cookies.get(cookieOf(ctx.secure))
  if (text === undefined) return undefined
  ctx.cookies.set(cookieOf(ctx.secure), null, { path: '/', sameSite: 'lax', httpOnly: true, secure: ctx.secure })
  try {
    return ATTEMPT.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
  } catch {
    return undefined
  }
}

/** A path of the studio: whatever leads elsewhere leads to its first page. */
function pathOf(to: string, base: string): string {
  if (!URL.canParse(to, base)) return '/'
  const url = new URL(to, base)
  const path = url.pathname + url.search
  // Of two slashes at the beginning, browsers make another host.
  return url.origin === new URL(base).origin && /^\/(?![/\\])/.test(path) ? path : '/'
}
