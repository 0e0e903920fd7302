import { createHash, type Hash } from 'node:crypto'
import { STRETCH, type Steps } from '../time/steps.ts'

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
