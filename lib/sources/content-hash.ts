import { createHash, type Hash } from 'node:crypto'
import type { Steps } from '../time/steps.ts'

/** Bytes that are hashed or copied without a pause: less than half a millisecond. */
export const STRETCH = 262_144

/** The SHA-1 of some bytes, in hex. */
export function* hashBytes(bytes: Uint8Array): Steps<string> {
  const hash = createHash('sha1')
  yield* hashOn(hash, bytes)
  return hash.digest('hex')
}

/** Adds some bytes to a hash. */
export function* hashOn(hash: Hash, bytes: Uint8Array): Steps<void> {
  for (let at = 0; at < bytes.length; at += STRETCH) {
    hash.update(bytes.subarray(at, at + STRETCH))
    yield
  }
}
