import { z } from 'zod'
import { DynacodeError } from '../errors.ts'
import { describeKind, describeMismatch } from '../schema-error.ts'

/** A JWS, read but not verified. */
export interface Envelope {
  /** In base64url, as it was signed. */
  readonly payload: string
  readonly signatures: readonly Signature[]
}

/** One signature of an envelope; nothing of it is checked but its form. */
export type Signature = z.infer<typeof signatureSchema>

/** What a signature says of itself. */
export type Header = z.infer<typeof headerSchema>

/** Each costs a look at the whole payload, and no rotation needs this many. */
const MAX_SIGNATURES = 16
/** Characters of an envelope that are outside of its strings: far more than any needs. */
const MAX_OUTSIDE = 65_536
/** Characters of a string that is not the payload. */
const MAX_TEXT = 16_384

// Strict where RFC 7515 lets unknown members pass: then nothing that nobody signed changes what an envelope means. Of
// unprotected headers, kid alone is of use: it can only choose among trusted keys.
const signatureSchema = z.strictObject({
  protected: z.string().max(MAX_TEXT),
  signature: z.string().max(MAX_TEXT),
  header: z.strictObject({ kid: z.string().max(MAX_TEXT).optional() }).optional(),
})
const flattenedSchema = signatureSchema.extend({ payload: z.string() })
const generalSchema = z.strictObject({ payload: z.string(), signatures: z.array(signatureSchema).min(1) })
const headerSchema = z.object({ alg: z.string(), kid: z.string().optional() })

/**
 * Reads a JWS in JSON serialization (RFC 7515, section 7.2), general or flattened.
 *
 * @throws DynacodeError ERR_DYNACODE_SIGNATURE
 */
export function readEnvelope(bytes: Uint8Array): Envelope {
  const text = decodeUtf8(bytes)
  const strings = text === undefined ? undefined : countStrings(text)
  const value = strings === undefined ? undefined : parseJson(text)
  if (!isObject(value) || !Object.hasOwn(value, 'payload')) {
    throw refuse('the document is not signed: expected a JWS in JSON serialization')
  }
  const count = Array.isArray(value.signatures) ? value.signatures.length : 1
  if (count > MAX_SIGNATURES) throw refuse(`expected at most ${MAX_SIGNATURES} signatures, got ${count}`)
  const isGeneral = Object.hasOwn(value, 'signatures')
  const read = (isGeneral ? generalSchema : flattenedSchema).safeParse(value)
  if (!read.success) throw refuse(`expected a JWS in JSON serialization: ${describeFault(read.error, value)}`)
  // A member that stands there twice could be read otherwise by whoever looked at the envelope before.
  if (strings !== countParsed(read.data)) throw refuse('a member of the envelope stands there twice')
  return { payload: read.data.payload, signatures: 'signatures' in read.data ? read.data.signatures : [read.data] }
}

/**
 * Reads which algorithm and key a signature says it is by.
 *
 * @throws DynacodeError ERR_DYNACODE_SIGNATURE
 */
export function readHeader({ protected: encoded, header }: Signature): Header {
  const value = parseJson(decodeUtf8(decodeBase64url(encoded)))
  const read = headerSchema.safeParse(value)
  if (!isObject(value) || !read.success) throw refuse('expected a protected header with alg')
  const { alg, kid } = read.data
  if (Object.hasOwn(value, 'crit') || Object.hasOwn(value, 'b64')) throw refuse('crit and b64 are not supported')
  if (kid !== undefined && header?.kid !== undefined) throw refuse('the kid stands in both headers')
  return { alg, kid: kid ?? header?.kid }
}

/** An error about a document's signature. Its message may name what is wrong, but shows nothing of what is signed. */
export function refuse(message: string, cause?: unknown): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_SIGNATURE', message, cause === undefined ? {} : { cause })
}

function describeFault(error: z.ZodError, value: unknown): string {
  const { path, message } = describeMismatch(error, value, describeKind)
  return `${path.slice(0, 60)}: ${message}`
}

/**
 * How many strings JSON text holds, names of members included; undefined where it is none of an envelope. Envelopes are
 * a few strings, however long, that need no escapes. Anything else is not even parsed: those without a key could
 * hold up the process with it, as megabytes of brackets do for seconds.
 */
function countStrings(text: string): number | undefined {
  if (text.includes('\\')) return undefined
  let [count, outside, at] = [0, 0, 0]
  while (outside <= MAX_OUTSIDE) {
    const start = text.indexOf('"', at)
    if (start === -1) return outside + text.length - at <= MAX_OUTSIDE ? count : undefined
    outside += start + 1 - at
    at = text.indexOf('"', start + 1) + 1
    if (at === 0) return undefined
    count += 1
  }
  return undefined
}

/** The same of what became of the text: nothing in an envelope is anything but strings, objects and arrays. */
function countParsed(value: unknown): number {
  if (typeof value === 'string') return 1
  const inside = Object.values(value as object).reduce<number>((sum, each) => sum + countParsed(each), 0)
  return inside + (Array.isArray(value) ? 0 : Object.keys(value as object).length)
}

/** The bytes, if the text is the one way to write them: the last digit has bits to spare. */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

function decodeUtf8(bytes: Uint8Array | undefined): string | undefined {
  try {
    return bytes && new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

// The parser's own messages quote the text.
function parseJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
