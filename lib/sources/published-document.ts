import { type DocumentRules, readDocument } from '../background/reading/validator.ts'
import { DocumentError } from '../errors.ts'

/** A document in any of the forms in which an app may have it. */
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

/**
 * The bytes to publish, once it is sure that dynacode can read them. Strings and bytes are published as they are. Of a
 * signed document the payload is read; the signatures are not checked here.
 *
 * @throws DocumentError when every process would refuse the document as a whole
 */
export function encodeDocument(document: DocumentInput): Buffer {
  const bytes = toBytes(document)
  const text = decode(bytes)
  readDocument(readPayload(text) ?? text, RULES)
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

/** What is signed, if the document is a JWS in JSON serialization. */
function readPayload(text: string): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const payload = (value as { payload?: unknown } | null)?.payload
  const is_signed = typeof payload === 'string' && !Object.hasOwn(value as object, 'domains')
  return is_signed ? decode(Buffer.from(payload, 'base64url')) : undefined
}
