import { z } from 'zod'
import { PERSON_ROLES, ROLES } from './roles.ts'
import { TIME } from './values.ts'

/** Of a person. */
export const PERSON_ROLE = z.enum(PERSON_ROLES)
/** Of a token. */
export const TOKEN_ROLE = z.enum(ROLES)

/** Who is signed in; `csrf` has to come with every change; `has_password`: false for who signs in by a provider. */
export const SESSION = z.object({ name: z.string(), role: PERSON_ROLE, csrf: z.string(), has_password: z.boolean() })
export type Session = z.output<typeof SESSION>

/** What the page for signing in offers beside a password. */
export const SIGN_IN = z.object({ provider: z.string().nullable() })
export type SignIn = z.output<typeof SIGN_IN>

export const ACCOUNT = z.object({
  id: z.int(),
  name: z.string(),
  role: PERSON_ROLE,
  active: z.boolean(),
  created_at: TIME,
})
export const LISTED_ACCOUNT = ACCOUNT.extend({ second_factor: z.boolean() })
export type ListedAccount = z.output<typeof LISTED_ACCOUNT>

/** A link that was made just now, and whether another publisher has to agree before it works. */
export const MADE_LINK = z.object({ secret: z.string(), needs_second: z.boolean() })
export type MadeLink = z.output<typeof MADE_LINK>

/** A link that nobody has used yet, or a promotion that waits for a second publisher. */
export const LINK = z.object({
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
export type ListedLink = z.output<typeof LINK>

/** A token for a program, without its secret. */
export const TOKEN = z.object({
  id: z.int(),
  name: z.string(),
  role: TOKEN_ROLE,
  created_at: TIME,
  expires_at: TIME.nullable(),
  used_at: TIME.nullable(),
})
export type Token = z.output<typeof TOKEN>

export const SECOND_FACTOR_KEY = z.object({ secret: z.string(), uri: z.string() })
export type SecondFactorKey = z.output<typeof SECOND_FACTOR_KEY>

/** What somebody did. */
export const AUDIT_ENTRY = z.object({
  id: z.int(),
  at: TIME,
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  details: z.record(z.string(), z.unknown()),
})
export type AuditEntry = z.output<typeof AUDIT_ENTRY>
