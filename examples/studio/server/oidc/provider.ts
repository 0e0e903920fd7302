import * as client from 'openid-client'
import { z } from 'zod'
import { Problem } from '../problem.ts'

/** Who signs people in beside the studio, as the settings say it. */
export interface OidcOptions {
  readonly issuer: string
  readonly client_id: string
  /** Undefined: a public client, with PKCE alone. */
  readonly client_secret?: string | undefined
  /** What the button is called: “Sign in with …”. */
  readonly name: string
  readonly scope: string
  /** Where a token says what somebody is: `groups`, or `realm_access.roles`. */
  readonly role_claim: string
  /** Who may sign in, and as what; see readRoles. */
  readonly roles: readonly RoleRule[]
  /** Whether an account whose name is a verified mail address becomes that of who has the address. */
  readonly link_email: boolean
}

/** Of a role, the values of the claim that give it; `*`: whoever the provider signs in. */
export interface RoleRule {
  readonly role: 'viewer' | 'author' | 'publisher'
  readonly value: string
}

/** What begins in a browser, and has to come back to it. */
export interface Attempt {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  /** Where in the studio somebody wanted to. */
  readonly to: string
}

/** What the provider says of somebody. */
export type Claims = z.output<typeof CLAIMS>
const CLAIMS = z.looseObject({
  iss: z.string(),
  sub: z.string().min(1).max(255),
  name: z.string().optional().catch(undefined),
  preferred_username: z.string().optional().catch(undefined),
  email: z.string().optional().catch(undefined),
  email_verified: z.boolean().optional().catch(undefined),
})

/** A provider. */
export interface OidcProvider {
  /** Where to send a browser, and what to remember of it until it comes back. */
  begin(redirect_uri: string, to: string): Promise<{ readonly url: URL; readonly attempt: Attempt }>
  /**
   * Ends what was begun.
   *
   * @param url as the browser came back to it
   * @throws Error for whatever is not as it was begun: state, nonce, issuer, audience, signature, time, code
   */
  finish(url: URL, attempt: Attempt): Promise<Claims>
}

/** For each request to the provider, in seconds. */
const TIMEOUT_S = 10

/** Makes a provider. It is asked what it can do when somebody first signs in: the studio starts without it. */
export function createOidcProvider({ issuer, client_id, client_secret, scope }: OidcOptions): OidcProvider {
  let known: Promise<client.Configuration> | undefined

  function configure(): Promise<client.Configuration> {
    known ??= client
      .discovery(new URL(issuer), client_id, undefined, authenticationOf(client_secret), {
        timeout: TIMEOUT_S,
        execute: [
          // The signature of what came by TLS from the provider itself is looked at all the same.
          client.enableNonRepudiationChecks,
          ...(isLocal(issuer) ? [client.allowInsecureRequests] : []),
        ],
      })
      .catch((error) => {
        known = undefined
        throw new Problem(502, `the sign-in provider cannot be reached: ${(error as Error).message}`)
      })
    return known
  }

  return Object.freeze({
    async begin(redirect_uri, to) {
      const configuration = await configure()
      const attempt = {
        state: client.randomState(),
        nonce: client.randomNonce(),
        verifier: client.randomPKCECodeVerifier(),
        to,
      }
      const url = client.buildAuthorizationUrl(configuration, {
        redirect_uri,
        scope,
        state: attempt.state,
        nonce: attempt.nonce,
        code_challenge: await client.calculatePKCECodeChallenge(attempt.verifier),
        code_challenge_method: 'S256',
      })
      return { url, attempt }
    },
    async finish(url, { state, nonce, verifier }) {
      const tokens = await client.authorizationCodeGrant(await configure(), url, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      })
      return CLAIMS.parse(tokens.claims())
    },
  } satisfies OidcProvider)
}

function authenticationOf(secret: string | undefined): client.ClientAuth {
  return secret === undefined ? client.None() : client.ClientSecretBasic(secret)
}

/** A provider on this machine needs no TLS. */
export function isLocal(issuer: string): boolean {
  return /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|\/|$)/.test(issuer)
}

/** @returns the strongest role that the claims give; undefined: who has none of them does not sign in */
export function findRole({ role_claim, roles }: OidcOptions, claims: Claims): RoleRule['role'] | undefined {
  const found = role_claim
    .split('.')
    .reduce<unknown>((at, key) => (isRecord(at) && Object.hasOwn(at, key) ? at[key] : undefined), claims)
  const values = (Array.isArray(found) ? found : [found]).filter((value) => typeof value === 'string')
  const given = roles.filter(({ value }) => value === '*' || values.includes(value)).map(({ role }) => role)
  return (['publisher', 'author', 'viewer'] as const).find((role) => given.includes(role))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/**
 * Reads `publisher=platform,author=dev,viewer=*`.
 *
 * @throws Error that says what is expected
 */
export function readRoles(text: string): readonly RoleRule[] {
  return text.split(',').map((part) => {
    const [, role, value] = /^\s*(viewer|author|publisher)=(.+?)\s*$/.exec(part) ?? []
    if (role === undefined || value === undefined) throw new Error(`expected such as publisher=platform, got ${part}`)
    return { role: role as RoleRule['role'], value }
  })
}
