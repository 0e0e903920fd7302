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

/** Whether both are the same. */
export function* isSameBytes(a: Uint8Array, b: Uint8Array): Steps<boolean> {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at += STRETCH) {
    if (Buffer.compare(a.subarray(at, at + STRETCH), b.subarray(at, at + STRETCH)) !== 0) return false
    yield
  }
  return true
}

/** The same bytes, which nobody else has. */
export function* copyBytes(bytes: Uint8Array): Steps<Uint8Array> {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  for (let at = 0; at < bytes.length; at += STRETCH) {
    copy.set(bytes.subarray(at, at + STRETCH), at)
    yield
  }
  return copy
}
