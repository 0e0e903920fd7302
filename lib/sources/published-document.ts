import { type DocumentRules, readDocument } from '../background/reading/validator.ts'
import { checkFreshness, readUnverified } from '../background/trust/verifier.ts'
import { DocumentError } from '../errors.ts'

/** A document: an object, or its JSON as a string or bytes. */
export type DocumentInput = object | string | Uint8Array

/** The caps are the readers' own, and may be set otherwise there. */
const RULES: DocumentRules = Object.freeze({
  guard: 'on',
  budget_ms: 50,
  timeout_ms: 5000,
  max_domains: Number.POSITIVE_INFINITY,
  max_plugins: Number.POSITIVE_INFINITY,
  max_code_bytes: Number.POSITIVE_INFINITY,
})

/** What readers have accepted before is not known here. */
const NOTHING_BEFORE = Object.freeze({ highest: undefined, active_sha1_of_highest: undefined, sha1: '' })

/**
 * The bytes to publish, once it is sure that dynacode can read them. Strings and bytes are published as they are. Whether
 * the signatures of a signed document fit is not known here; its form, its version and its expiry are.
 *
 * @throws DocumentError when every process would refuse the document as a whole
 * @throws DynacodeError ERR_DYNACODE_SIGNATURE, ERR_DYNACODE_VERSION or ERR_DYNACODE_EXPIRED, as the readers of a signed one
 */
export function encodeDocument(document: DocumentInput): Buffer {
  const bytes = toBytes(document)
  const text = decode(bytes)
  if (!isSigned(text)) {
    readDocument(text, RULES)
    return bytes
  }
  const { version, expires } = readDocument(decode(readUnverified(bytes)), RULES)
  checkFreshness({ version, expires }, NOTHING_BEFORE, Date.now())
  return bytes
}

function toBytes(document: DocumentInput): Buffer {
  if (typeof document === 'string') return Buffer.from(document)
  if (document instanceof Uint8Array) return Buffer.from(document)
  try {
    return Buffer.from(JSON.stringify(document))
  } catch (cause) {
    throw new DocumentError('', `the document cannot be put into JSON: ${(cause as Error).message}`, { cause })
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new DocumentError('', 'the document is not JSON: its bytes are not UTF-8', { cause })
  }
}

/** Whether it is meant to be a JWS in JSON serialization. */
function isSigned(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 'payload' in value && !('domains' in value)
  } catch {
    return false
  }
}
