import { z } from 'zod'
import { findLengthFault } from '../auth/passwords.ts'
import { findUrlFault, type OutsideRules } from '../outside/exchange.ts'

/** What the database has for numbers. */
const LARGEST = 2 ** 31 - 1
/** A number that stands in an address. */
export const ID = z.coerce.number<string>('expected a number').int().positive().max(LARGEST)
/** One that stands in a request, or null. */
export const GIVEN_ID = z.int().positive().max(LARGEST)
/** A version: 0 before there is one. */
export const NUMBER = z.coerce.number<string>('expected a number').int().min(0).max(LARGEST)
export const GIVEN_NUMBER = z.int().min(0).max(LARGEST)
/** Of an account, or a token. */
export const ACCOUNT_NAME = z
  .string()
  .trim()
  .min(1, 'expected a name')
  .max(60)
  .regex(/^[\p{L}\p{N} ._@-]+$/u, 'expected letters, digits, spaces and ._@-')
export const PASSWORD = z.string().max(1000)
/** One that is being chosen: what can be told of it at once is told together with what is wrong elsewhere. */
export const NEW_PASSWORD = PASSWORD.superRefine((password, context) => {
  const message = findLengthFault(password)
  if (message !== undefined) context.addIssue({ code: 'custom', message })
})
/** Of a second factor. */
export const CODE = z.string().max(100)

/** An address that the studio may ask. */
export function outsideUrl(rules: OutsideRules) {
  return z
    .string()
    .trim()
    .max(2000)
    .superRefine((url, context) => {
      const message = findUrlFault(url, rules)
      if (message !== undefined) context.addIssue({ code: 'custom', message })
    })
}

/** A page of a list. */
export const PAGE = z.object({
  search: z.string().max(200).optional(),
  after: ID.optional(),
  limit: z.coerce.number<string>().int().min(1).max(200).default(50),
})

/** The same for a list in which nothing has a number. */
export const FROM_PAGE = PAGE.omit({ after: true }).extend({ from: NUMBER.default(0) })

/** A change set in an address; undefined: a new one. */
export const SET = z.union([z.literal('new').transform(() => undefined), ID])
