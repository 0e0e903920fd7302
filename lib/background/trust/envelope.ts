import { isUtf8 } from 'node:buffer'
import * as z from 'zod'
import { DynacodeError } from '../../errors.ts'
import type { Steps } from '../../time/steps.ts'
import { describeKind, describeMismatch } from '../../validation/schema-error.ts'
import type { Range } from '../reading/json-splitter.ts'

/** A JWS, read but not verified. */
export interface Envelope {
  /** The base64url text, as it was signed. */
  readonly payload: Uint8Array
  readonly signatures: readonly Signature[]
}

/** One signature of an envelope; nothing of it is checked but its form. */
export type Signature = z.infer<typeof signatureSchema>

/** What a signature says of itself. */
export type Header = z.infer<typeof headerSchema>

/** Each costs a look at the whole payload, and no rotation needs this many. */
const MAX_SIGNATURES = 16
/** Bytes of an envelope that are outside of its strings: far more than any needs. */
const MAX_OUTSIDE = 65_536
/** Characters of a string that is not the payload. */
const MAX_TEXT = 16_384
/** Bytes of all of these: as many as there can be with all the signatures. */
const MAX_TEXTS = MAX_SIGNATURES * 3 * MAX_TEXT
/** Strings that are looked at without a pause. */
const STRETCH = 1024
/** Bytes of base64url that are decoded without a pause; of four come three. */
const DECODED_STRETCH = 262_144

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
export function* readEnvelope(bytes: Uint8Array): Steps<Envelope> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frame = isUtf8(buffer) ? yield* readFrame(buffer) : undefined
  const value = parseJson(frame?.text)
  if (frame === undefined || !isObject(value) || !Object.hasOwn(value, 'payload')) {
    throw refuse('the document is not signed: expected a JWS in JSON serialization')
  }
  const count = Array.isArray(value.signatures) ? value.signatures.length : 1
  if (count > MAX_SIGNATURES) throw refuse(`expected at most ${MAX_SIGNATURES} signatures, got ${count}`)
  const isGeneral = Object.hasOwn(value, 'signatures')
  const read = (isGeneral ? generalSchema : flattenedSchema).safeParse(value)
  if (!read.success) throw refuse(`expected a JWS in JSON serialization: ${describeFault(read.error, value)}`)
  // A member that stands there twice could be read otherwise by whoever looked at the envelope before.
  if (frame.count !== countParsed(read.data)) throw refuse('a member of the envelope stands there twice')
  const place = frame.long.get(read.data.payload)
  const payload = place === undefined ? Buffer.from(read.data.payload) : buffer.subarray(place.start, place.end)
  return { payload, signatures: 'signatures' in read.data ? read.data.signatures : [read.data] }
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

/** An envelope's text without its long strings. */
interface Frame {
  /** Of each of these there is a name in its place, which is too long for anything but the payload. */
  readonly text: string
  /** Where they stand, by that name. */
  readonly long: ReadonlyMap<string, Range>
  /** How many strings there are, names of members included. */
  readonly count: number
}

/**
 * Takes the payload out of the JSON text of an envelope; undefined where it is none. Envelopes are a few strings, one of
 * them long, that need no escapes. Anything else is not even parsed: those without a key could hold up the process with
 * it, as megabytes of brackets do for seconds.
 */
function* readFrame(bytes: Buffer): Steps<Frame | undefined> {
  if (bytes.includes('\\')) return undefined
  const pieces: string[] = []
  const long = new Map<string, Range>()
  let [count, outside, inside, at, copied] = [0, 0, 0, 0, 0]
  while (outside <= MAX_OUTSIDE && inside <= MAX_TEXTS && long.size <= 2) {
    const start = bytes.indexOf('"', at) + 1
    if (start === 0) {
      pieces.push(bytes.toString('utf8', copied))
      return outside + bytes.length - at <= MAX_OUTSIDE ? { text: pieces.join(''), long, count } : undefined
    }
    const end = bytes.indexOf('"', start)
    if (end === -1) return undefined
    outside += start - at
    if (end - start <= MAX_TEXT) inside += end - start
    else {
      const name = '*'.repeat(MAX_TEXT) + long.size
      long.set(name, { start, end })
      pieces.push(bytes.toString('utf8', copied, start), name)
      copied = end
    }
    at = end + 1
    count += 1
    if (count % STRETCH === 0) yield
  }
  return undefined
}

/** The same of what became of the text: nothing in an envelope is anything but strings, objects and arrays. */
function countParsed(value: unknown): number {
  if (typeof value === 'string') return 1
  const inside = Object.values(value as object).reduce<number>((sum, each) => sum + countParsed(each), 0)
  return inside + (Array.isArray(value) ? 0 : Object.keys(value as object).length)
}

/** What a payload says, if it is the one way to write that. */
export function* decodePayload(payload: Uint8Array): Steps<Uint8Array | undefined> {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const decoded = Buffer.allocUnsafeSlow(Math.floor((text.length * 3) / 4))
  let length = 0
  for (let at = 0; at < text.length; at += DECODED_STRETCH) {
    const part = decodeBase64url(text.toString('latin1', at, Math.min(at + DECODED_STRETCH, text.length)))
    if (part === undefined) return undefined
    decoded.set(part, length)
    length += part.length
    yield
  }
  return decoded
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
