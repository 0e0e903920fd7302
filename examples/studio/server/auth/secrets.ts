import { createHash, randomBytes } from 'node:crypto'

/** Makes a secret that cannot be guessed: 256 bits, in characters that a URL and a header can hold. */
export function createSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** What is stored of a secret. Nobody guesses 256 bits, so that one round is enough. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
