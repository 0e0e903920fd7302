import { z } from 'zod'
import { ROLES, VERSION_KINDS } from '../store/tables.ts'

/** What the database has for numbers. */
const LARGEST = 2 ** 31 - 1
/** A number that stands in an address. */
export const ID = z.coerce.number<string>('expected a number').int().positive().max(LARGEST)
/** One that stands in a request, or null. */
export const GIVEN_ID = z.int().positive().max(LARGEST)
/** A version, or the draft's revision: 0 before there is one. */
export const NUMBER = z.coerce.number<string>('expected a number').int().min(0).max(LARGEST)
export const GIVEN_NUMBER = z.int().min(0).max(LARGEST)
/** Of a person. */
export const ROLE = z.enum(ROLES).exclude(['reporter'])
/** Of a token. */
export const TOKEN_ROLE = z.enum(ROLES)
/** Of an account, or a token. */
export const ACCOUNT_NAME = z
  .string()
  .trim()
  .min(1)
  .max(60)
  .regex(/^[\p{L}\p{N} ._@-]+$/u, 'expected letters, digits, spaces and ._@-')
export const PASSWORD = z.string().max(1000)
/** Of a second factor. */
export const CODE = z.string().max(100)
/** A time in answers: ISO 8601, once it is JSON. */
export const TIME = z.iso.datetime()
export const REVISION = z.int().positive().max(LARGEST)

/** A page of a list. */
export const PAGE = z.object({
  search: z.string().max(200).optional(),
  after: ID.optional(),
  limit: z.coerce.number<string>().int().min(1).max(200).default(50),
})

export const FINDING = z.object({
  rule: z.string(),
  severity: z.enum(['error', 'warning', 'note']),
  message: z.string(),
  plugin: z.string().nullable(),
  domain: z.string().nullable(),
  phase: z.string().nullable(),
  path: z.string(),
  line: z.int().nullable(),
  column: z.int().nullable(),
})

export const DIFFERENCE = z.object({
  kind: z.enum(['added', 'removed', 'changed']),
  domain: z.string().nullable(),
  plugin: z.string().nullable(),
  phase: z.string().nullable(),
  changes: z.array(z.string()),
  code: z.object({ before: z.string(), after: z.string() }).nullable(),
})

export const VERSION = z.object({
  version: z.int(),
  kind: z.enum(VERSION_KINDS),
  message: z.string(),
  created_by: z.string().nullable(),
  created_at: TIME,
})
