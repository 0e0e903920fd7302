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
  const length = [...password].length
  const fault =
    length < SHORTEST || length > LONGEST
      ? `expected ${SHORTEST} to ${LONGEST} characters, got ${length}`
      : password.toLowerCase().includes(name.toLowerCase())
        ? 'expected a password without the name in it'
        : undefined
  if (fault !== undefined) throw new Problem(422, 'the password cannot be used', { fields: { password: fault } })
  return hash(password)
}

/** Tells whether a password is that of the account; without an account it takes as long, and is not. */
export async function checkPassword(password: string, password_hash: string | undefined): Promise<boolean> {
  const matches = await verify(password_hash ?? NOBODYS, password.slice(0, LONGEST * 2)).catch(() => false)
  return matches && password_hash !== undefined
}

/** Of a password that nobody knows. */
const NOBODYS = await hash(crypto.randomUUID())
