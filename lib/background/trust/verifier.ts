import { DynacodeError } from '../../errors.ts'
import { runSteps } from '../../time/steps.ts'
import { describeValue } from '../../validation/schema-error.ts'
import { ALGORITHMS, type TrustedKey, type TrustedKeys } from '../../validation/trusted-keys.ts'
import {
  decodeBase64url,
  decodePayload,
  type Header,
  readEnvelope,
  readHeader,
  refuse,
  type Signature,
} from './envelope.ts'
import { type Check, createCheck, type Pace } from './signature.ts'

/** What a verified envelope holds. */
export interface Verified {
  /** The document itself: the payload of the JWS. */
  readonly text_bytes: Uint8Array
  /** The kid of the key that the signature is by, where the key has one. */
  readonly kid: string | undefined
}

/** Of each of the algorithms (RFC 7518, 3.4; RFC 8032, 5.1.6). */
const SIGNATURE_BYTES = 64

/** Tells documents that are ours from all others. */
export interface Verifier {
  /**
   * Takes the document out of its envelope, a JWS in JSON serialization. One signature by a trusted key suffices.
   *
   * @param pace does what takes its time: all of it at once unless given
   * @throws DynacodeError ERR_DYNACODE_SIGNATURE, or what `pace` throws
   */
  verify(bytes: Uint8Array, pace?: Pace): Promise<Verified>
}

/**
 * Takes the document out of an envelope without asking whether the signatures fit: for whoever has none of the keys.
 *
 * @throws DynacodeError ERR_DYNACODE_SIGNATURE when every verifier would refuse it, whatever its keys are
 */
export function readUnverified(bytes: Uint8Array): Uint8Array {
  const { payload, signatures } = runSteps(readEnvelope(bytes))
  const faults = signatures.map(findFault)
  if (!faults.includes(undefined)) throw faults[0]
  const text_bytes = runSteps(decodePayload(payload))
  if (text_bytes === undefined) throw refuse('the payload: expected base64url without padding')
  return text_bytes
}

function findFault(signature: Signature): unknown {
  try {
    const { alg } = readHeader(signature)
    if (!ALGORITHMS.includes(alg))
      throw refuse(`the algorithm ${describeValue(alg)} is none of ${ALGORITHMS.join(', ')}`)
    if (decodeBase64url(signature.signature)?.length === SIGNATURE_BYTES) return undefined
    return refuse(`the signature: expected ${SIGNATURE_BYTES} bytes in base64url without padding`)
  } catch (error) {
    return error
  }
}

/**
 * Makes the verifier for a set of keys.
 *
 * @param trusted_keys as `trustedKeysSchema` returns them
 */
export function createVerifier({ keys }: TrustedKeys): Verifier {
  const checks = new Map<TrustedKey, Check>(keys.map((key) => [key, createCheck(key)]))

  async function check(payload: Uint8Array, signature: Signature, pace: Pace): Promise<Verified> {
    // Written in another way, it could be changed and still fit.
    const bytes = decodeBase64url(signature.signature)
    if (bytes === undefined) throw refuse('the signature: expected base64url without padding')
    const signed = { header: signature.protected, payload }
    for (const key of selectKeys(keys, readHeader(signature))) {
      if (!(await (checks.get(key) as Check)(signed, bytes, pace))) continue
      const text_bytes = await pace(decodePayload(payload))
      if (text_bytes === undefined) throw refuse('the payload: expected base64url without padding')
      return Object.freeze({ text_bytes, kid: key.kid })
    }
    throw refuse('the signature does not fit the document and the key')
  }

  return Object.freeze({
    async verify(bytes, pace = runSteps) {
      const { payload, signatures } = await pace(readEnvelope(bytes))
      const refusals: Error[] = []
      for (const signature of signatures) {
        try {
          return await check(payload, signature, pace)
        } catch (error) {
          if (!(error instanceof DynacodeError)) refusals.push(refuse('the signature could not be checked', error))
          else if (error.code === 'ERR_DYNACODE_SIGNATURE') refusals.push(error)
          else throw error
        }
      }
      const messages = new Set(refusals.map(({ message }) => message))
      throw refuse([...messages].join('; '), refusals.find(({ cause }) => cause !== undefined)?.cause)
    },
  } satisfies Verifier)
}

/** The keys that a signature may be by. A key has its algorithm from its owner; the signature can only agree. */
function selectKeys(keys: readonly TrustedKey[], { alg, kid }: Header): readonly TrustedKey[] {
  const named = kid === undefined ? keys : keys.filter((key) => key.kid === kid)
  if (named.length === 0) throw refuse(`no trusted key has the kid ${describeValue(kid)}`)
  const fitting = named.filter((key) => key.alg === alg)
  if (fitting.length > 0) return fitting
  const owner = kid === undefined ? 'of no trusted key' : `not that of the key ${describeValue(kid)}`
  throw refuse(`the algorithm ${describeValue(alg)} is ${owner}`)
}

/**
 * Checks what a signed document must say of itself, so that nobody can bring back an old one.
 *
 * @param document its `general.version`, and its `general.expires` in milliseconds since 1970
 * @param known the highest version ever accepted and the SHA-1 of that document, and the SHA-1 of this one
 * @throws DynacodeError ERR_DYNACODE_VERSION, ERR_DYNACODE_EXPIRED
 */
export function checkFreshness(
  { version, expires }: { version: unknown; expires: number | undefined },
  known: { highest: number | undefined; active_sha1_of_highest: string | undefined; sha1: string },
  now_ms: number,
): void {
  if (!Number.isSafeInteger(version) || (version as number) < 0) {
    throw refuseVersion(`general.version: expected an integer of at least 0, got ${describeValue(version)}`)
  }
  const { highest, active_sha1_of_highest: accepted } = known
  if (highest !== undefined && (version as number) < highest) {
    throw refuseVersion(`general.version: expected at least ${highest}, which was accepted before, got ${version}`)
  }
  if (version === highest && accepted !== undefined && accepted !== known.sha1) {
    throw refuseVersion(
      `general.version: ${version} was accepted before with another content; a change needs a higher one`,
    )
  }
  if (expires === undefined || !Number.isFinite(expires)) {
    throw refuseExpiry('general.expires: expected a date and time in ISO 8601, got none')
  }
  if (expires > now_ms) return
  throw refuseExpiry(`general.expires: expected a time to come, got ${describeTime(expires)}`)
}

function refuseVersion(message: string): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_VERSION', message)
}

function refuseExpiry(message: string): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_EXPIRED', message)
}

/** Not every number is a date that can be written. */
function describeTime(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}
