import { hash, verify } from '@node-rs/argon2'
import { Problem } from '../problem.ts'

/** As NIST SP 800-63B advises for a password without a second factor: length counts, kinds of characters do not. */
const SHORTEST = 12
const LONGEST = 200

/**
 * Hashes a password with Argon2id, at the library's own cost.
 *
 * @throws Problem for one that is too short or too long
 */
export async function hashPassword(password: string, name: string): Promise<string> {
  const has_name = password.toLowerCase().includes(name.toLowerCase())
  const fault = findLengthFault(password) ?? (has_name ? 'expected a password without the name in it' : undefined)
  if (fault !== undefined) throw new Problem(422, 'the password cannot be used', { fields: { password: fault } })
  return hash(password)
}

/** @returns what is wrong with how long a new password is; undefined: nothing */
export function findLengthFault(password: string): string | undefined {
  const length = [...password].length
  if (length >= SHORTEST && length <= LONGEST) return undefined
  return `expected ${SHORTEST} to ${LONGEST} characters, got ${length}`
}

/** Tells whether a password is that of the account; without an account or a password it takes as long, and is not. */
export async function checkPassword(password: string, password_hash: string | undefined): Promise<boolean> {
  const known = password_hash === NO_PASSWORD ? undefined : password_hash
  const matches = await verify(known ?? NOBODYS, password.slice(0, LONGEST * 2)).catch(() => false)
  return matches && known !== undefined
}

/** In place of a hash: the account signs in by a provider. */
export const NO_PASSWORD = 'none'

/** Of a password that nobody knows. */
const NOBODYS = await hash(crypto.randomUUID())
