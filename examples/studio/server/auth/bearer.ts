import { createHash, timingSafeEqual } from 'node:crypto'

/** The token of a header. */
export const readBearer = (authorization: string | undefined) => /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]

/** Compares secrets in a time that says nothing of them. */
export function isSame(given: string, wanted: string | undefined): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return wanted !== undefined && timingSafeEqual(digest(given), digest(wanted))
}
