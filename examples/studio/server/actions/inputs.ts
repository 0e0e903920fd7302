import { isIP } from 'node:net'
import { z } from 'zod'

/** An address, or a range of them: 192.0.2.7, 198.51.100.0/24, 2001:db8::/48. */
export const ADDRESS = z
  .string()
  .trim()
  .refine((text) => isAddress(text), 'expected an address such as 192.0.2.7, or a range such as 198.51.100.0/24')

function isAddress(text: string): boolean {
  const [address, bits, ...more] = text.split('/') as [string, string?]
  const kind = isIP(address)
  if (kind === 0 || more.length > 0 || address.includes('%')) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (kind === 4 ? 32 : 128))
}

/** A path as it is: of what patterns are made of (`*`, `:`, `{`), it has nothing. */
export const PATH = z
  .string()
  .trim()
  .regex(/^\/[\w./~%-]*$/, 'expected a path such as /admin, without * : or ?')
  .max(500)
  .transform((path) => (path === '/' ? path : path.replace(/\/+$/, '')))

/** The path and all below it. */
export function belowPattern(path: string): string | readonly string[] {
  return path === '/' ? ['/', '/*rest'] : `${path}{/*rest}`
}

/** What headers are called (RFC 9110, 5.1), but for those that say how the response is sent. */
export const HEADER_NAME = z
  .string()
  .trim()
  .regex(/^[\w!#$%&'*+.^`|~-]{1,100}$/, 'expected the name of a header, such as X-Robots-Tag')
  .refine(
    (name) => !['content-length', 'transfer-encoding', 'connection', 'set-cookie'].includes(name.toLowerCase()),
    'expected a header that says nothing of how the response is sent',
  )

/** Visible ASCII and spaces. */
export const HEADER_VALUE = z
  .string()
  .trim()
  .regex(/^[\x20-\x7e]{1,1000}$/, 'expected letters, digits, signs and spaces, 1 to 1000 of them')

/** @param most the largest number */
export function numberUpTo(least: number, most: number, step = 1) {
  const fault = `expected a number from ${least} to ${most}`
  return z.coerce.number<string>(fault).min(least, fault).max(most, fault).multipleOf(step, fault)
}
