import { createPublicKey, createVerify, type KeyObject, verify } from 'node:crypto'
import { STRETCH, type Steps } from '../../time/steps.ts'
import type { TrustedKey } from '../../validation/trusted-keys.ts'

/** Does some work, at once or in slices. */
export type Pace = <T>(steps: Steps<T>) => T | Promise<T>

/** What a signature is of: the header and the payload of a JWS, both as they were signed. */
export interface Signed {
  readonly header: string
  readonly payload: Uint8Array
}

/** Tells whether a signature is one by the key. */
export type Check = (signed: Signed, signature: Uint8Array, pace: Pace) => boolean | Promise<boolean>

/** Makes the check of signatures by a key: ES256, or Ed25519 by either of its names (RFC 7518, 3.4; RFC 8037; RFC 9864). */
export function createCheck({ kty, crv, x, y, alg }: TrustedKey): Check {
  const key = createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' })
  if (alg === 'ES256') return (signed, signature, pace) => pace(checkECDSA(key, signed, signature))
  return async (signed, signature, pace) => checkEd25519(key, await pace(join(signed)), signature)
}

function* checkECDSA(key: KeyObject, signed: Signed, signature: Uint8Array): Steps<boolean> {
  const check = createVerify('sha256')
  for (const part of listParts(signed)) {
    check.update(part)
    yield
  }
  return check.verify({ key, dsaEncoding: 'ieee-p1363' }, signature)
}

/** It goes over the whole twice, so that there is nothing to be done piece by piece: in a thread of Node's own. */
function checkEd25519(key: KeyObject, signed: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(null, signed, key, signature, (error, fits) => (error ? reject(error) : resolve(fits)))
  })
}

function* join(signed: Signed): Steps<Uint8Array> {
  const joined = Buffer.allocUnsafeSlow(signed.header.length + 1 + signed.payload.length)
  let at = 0
  for (const part of listParts(signed)) {
    joined.set(part, at)
    at += part.length
    yield
  }
  return joined
}

/** RFC 7515, 5.2: the header in ASCII, a dot, and the payload. */
function* listParts({ header, payload }: Signed): Generator<Uint8Array> {
  yield Buffer.from(`${header}.`, 'latin1')
  for (let at = 0; at < payload.length; at += STRETCH) yield payload.subarray(at, at + STRETCH)
}
