import { createHash } from 'node:crypto'
import { hashOn } from '../../sources/content-hash.ts'
import type { Steps } from '../../time/steps.ts'
import { describeValue } from '../../validation/schema-error.ts'
import { type Bytes, partsOf } from '../reading/rope.ts'
import type { Asked } from './asked.ts'
import { cacheError } from './safety.ts'

/** What one file of the cache holds. */
export interface Content {
  readonly bytes: Bytes
  readonly tag: string | undefined
  readonly version: number | string
  /** Names the place that it came from; undefined in files of before there were such names. */
  readonly source?: string | undefined
  /** When it was asked for, when it was written; undefined in files of before that was kept. */
  readonly asked?: Asked | undefined
}

/** The first line of a file takes at most this much. */
export const MAX_HEADER_BYTES = 4096
/** Leaves room for the other fields, and for what JSON makes of unusual characters. */
const MAX_TAG_LENGTH = 512

/** The tag as the cache can keep it: one of absurd length is left out, and costs a full fetch. */
export function keepableTag(tag: string | undefined): string | undefined {
  return tag === undefined || tag.length > MAX_TAG_LENGTH ? undefined : tag
}

/**
 * The first line of the file that holds this content: JSON. The rest of the file is the bytes as they are.
 *
 * The checksum covers the line's other fields, too: with a tag or a version of something else, the bytes would be as wrong
 * as with a bit of their own changed.
 */
export function* encodeHeader({ bytes, tag, version, source, asked }: Content): Steps<Buffer> {
  const common = { etag: tag ?? null, version, length: bytes.length, source }
  const fields =
    asked === undefined
      ? { dynacode_cache: 1, ...common }
      : { dynacode_cache: 2, ...common, asked: [asked.boot, asked.steady_ms, asked.at] }
  const hash = createHash('sha256').update(`${JSON.stringify(fields)}\n`)
  for (const part of partsOf(bytes)) yield* hashOn(hash, part)
  const sha256 = hash.digest('hex')
  const header = Buffer.from(`${JSON.stringify({ ...fields, sha256 })}\n`)
  if (header.length > MAX_HEADER_BYTES) throw new Error('its version and tag are too long')
  return header
}

/** The file's first line, newline included; undefined where there is none that could be a header. */
export function headerOf(file: Buffer): Buffer | undefined {
  const end = file.subarray(0, MAX_HEADER_BYTES).indexOf(0x0a)
  return end === -1 ? undefined : file.subarray(0, end + 1)
}

/**
 * Reads a whole file of the cache.
 *
 * @throws Error that says what is damaged about the file; every changed bit is noticed
 * @throws DynacodeError when it is a file of another version of dynacode
 */
export function* decode(file: Buffer): Steps<Content & { readonly bytes: Buffer }> {
  if (file.length === 0) throw new Error('it is empty')
  const header = headerOf(file)
  const fields = header === undefined ? undefined : parseHeader(header)
  if (header === undefined || fields === undefined) throw new Error('it was not written by dynacode')
  const { etag, version, length, source, asked } = fields
  const bytes = file.subarray(header.length)
  if (bytes.length !== length) throw new Error(`it has ${bytes.length} bytes of content, expected ${length}`)
  const content = { bytes, tag: etag ?? undefined, version, source, asked }
  // To the byte: what parses to the same fields but reads otherwise was not written by us.
  if (!(yield* encodeHeader(content)).equals(header)) throw new Error('its checksum does not match')
  return Object.freeze(content)
}

interface Header {
  etag: string | null
  version: number | string
  length: number
  source: string | undefined
  asked: Asked | undefined
}

function parseHeader(line: Buffer): Header | undefined {
  const fields = tryParsing(line.toString())
  const { dynacode_cache, etag, version, length, source, asked } = (fields ?? {}) as Record<string, unknown>
  if (dynacode_cache === undefined) return undefined
  // Whatever a later version makes of its files: it is no business of this one.
  if (dynacode_cache !== 1 && dynacode_cache !== 2) {
    throw cacheError(`it is of another version of dynacode (format ${describeValue(dynacode_cache)})`)
  }
  if (etag !== null && typeof etag !== 'string') return undefined
  if (typeof version !== 'string' && typeof version !== 'number') return undefined
  if (source !== undefined && typeof source !== 'string') return undefined
  if (typeof length !== 'number') return undefined
  const read = dynacode_cache === 1 ? undefined : parseAsked(asked)
  return read === null ? undefined : { etag, version, length, source, asked: read }
}

function parseAsked(value: unknown): Asked | null {
  const [boot, steady_ms, at] = Array.isArray(value) ? value : []
  if (typeof boot !== 'string' || typeof steady_ms !== 'number' || typeof at !== 'number') return null
  return Object.freeze({ boot, steady_ms, at })
}

function tryParsing(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
