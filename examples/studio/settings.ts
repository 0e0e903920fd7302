import { readFileSync } from 'node:fs'
import { type PrivateKey, sign_document } from 'dynacode/tools'
import { z } from 'zod'
import { isLocal, type OidcOptions, readRoles } from './server/oidc/provider.ts'
import { LEVELS } from './server/trying/levels.ts'

const port = (usual: number) => z.coerce.number<string>('a port').int('a port').min(0).max(65_535).default(usual)
const flag = (usual: '0' | '1') =>
  z
    .enum(['0', '1'], '0 or 1')
    .default(usual)
    .transform((text) => text === '1')
/** With commas between. */
const list = z
  .string()
  .default('')
  .transform((names) => names.split(',').flatMap((name) => name.trim() || []))
const web_address = z.url({ protocol: /^https?$/, error: 'an http: or https: URL' })

const roles = z.string().transform((text, context) => {
  try {
    return readRoles(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'roles and values of the claim, such as publisher=platform,viewer=*' })
    return z.NEVER
  }
})

const schema = z.object({
  PORT: port(4000),
  HOST: z.string().min(1).default('127.0.0.1'),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'an address such as postgres://…' }).optional(),
  STUDIO_FOLDER: z.string().min(1).default('.studio'),
  PUBLIC_URL: web_address.transform((url) => url.replace(/\/$/, '')).optional(),
  PROXY: flag('0'),
  SIGNING_KEY: z.string().min(1).optional(),
  TWO_PERSONS: flag('0'),
  GIT_FOLDER: z.string().min(1).optional(),
  GIT_PUSH: flag('0'),
  PRIVATE_DOCUMENT: flag('0'),
  INVITE: flag('0'),
  GLOBALS: list,
  WEBHOOK_PRIVATE_HOSTS: list,
  OIDC_ISSUER: z
    .string()
    .refine((url) => URL.canParse(url) && (url.startsWith('https:') || isLocal(url)), 'an https: URL')
    .optional(),
  OIDC_CLIENT_ID: z.string().min(1).optional(),
  OIDC_CLIENT_SECRET: z.string().min(1).optional(),
  OIDC_NAME: z.string().min(1).max(60).default('your company account'),
  OIDC_SCOPE: z.string().min(1).default('openid profile email'),
  OIDC_ROLE_CLAIM: z.string().min(1).default('groups'),
  OIDC_ROLES: roles.optional(),
  OIDC_LINK_EMAIL: flag('0'),
  TRY_LEVEL: z.enum(LEVELS, `one of ${LEVELS.join(', ')}`).optional(),
  DEMO: flag('1'),
  DEMO_PORT: port(3000),
})

/** What the environment says, checked; README.md says what each is for. */
export type Settings = Omit<Parsed, 'SIGNING_KEY'> & {
  readonly key: PrivateKey | undefined
  readonly oidc: OidcOptions | undefined
}
type Parsed = z.output<typeof schema>

/**
 * Reads the settings from the environment.
 *
 * @throws Error that names the variable, what was expected, and what came
 */
export async function readSettings(environment: NodeJS.ProcessEnv): Promise<Settings> {
  const parsed = schema.safeParse(environment)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const name = String(issue?.path[0])
    // An address may hold a password.
    const came = ['DATABASE_URL', 'OIDC_CLIENT_SECRET'].includes(name)
      ? 'something else'
      : JSON.stringify(environment[name])
    throw new Error(`${name}: expected ${issue?.message}, got ${came}`)
  }
  const { SIGNING_KEY, ...rest } = parsed.data
  return {
    ...rest,
    key: SIGNING_KEY === undefined ? undefined : await readKey(SIGNING_KEY),
    oidc: readProvider(parsed.data),
  }
}

/** With an issuer, what it takes has to be there as well: nobody is let in by what was forgotten. */
function readProvider(given: Parsed): OidcOptions | undefined {
  const { OIDC_ISSUER: issuer, OIDC_CLIENT_ID: client_id, OIDC_ROLES: roles } = given
  if (issuer === undefined) return undefined
  if (client_id === undefined) throw new Error('OIDC_CLIENT_ID: expected as well, since OIDC_ISSUER is set')
  if (roles === undefined)
    throw new Error('OIDC_ROLES: expected as well, since OIDC_ISSUER is set: who may sign in, such as viewer=*')
  return {
    issuer,
    client_id,
    client_secret: given.OIDC_CLIENT_SECRET,
    name: given.OIDC_NAME,
    scope: given.OIDC_SCOPE,
    role_claim: given.OIDC_ROLE_CLAIM,
    roles,
    link_email: given.OIDC_LINK_EMAIL,
  }
}

async function readKey(file: string): Promise<PrivateKey> {
  try {
    const key = JSON.parse(readFileSync(file, 'utf8'))
    // Not as late as when somebody publishes.
    await sign_document('{"general":{"version":0,"expires":"2100-01-01T00:00:00Z"},"domains":[]}', key)
    return key
  } catch (error) {
    throw new Error(`SIGNING_KEY: ${file} cannot be used: ${(error as Error).message}`)
  }
}
