import { createHash } from 'node:crypto'
import { hashOn } from '../../sources/content-hash.ts'
import type { Steps } from '../../time/steps.ts'

/** What one file of the cache holds. */
export interface Content {
  readonly bytes: Uint8Array
  readonly tag: string | undefined
  readonly version: number | string
  /** Names the place that it came from; undefined in files of before there were such names. */
  readonly source?: string | undefined
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
export function* encodeHeader({ bytes, tag, version, source }: Content): Steps<Buffer> {
  const fields = { dynacode_cache: 1, etag: tag ?? null, version, length: bytes.length, source }
  const hash = createHash('sha256').update(`${JSON.stringify(fields)}\n`)
  yield* hashOn(hash, bytes)
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
 * @throws Error that says what is wrong with the file; every changed bit is noticed
 */
export function* decode(file: Buffer): Steps<Content> {
  if (file.length === 0) throw new Error('it is empty')
  const header = headerOf(file)
  const fields = header === undefined ? undefined : parseHeader(header)
  if (header === undefined || fields === undefined) throw new Error('it was not written by dynacode')
  const { etag, version, length, source } = fields
  const bytes = file.subarray(header.length)
  if (bytes.length !== length) throw new Error(`it has ${bytes.length} bytes of content, expected ${length}`)
  const content: Content = { bytes, tag: etag ?? undefined, version, source }
  // To the byte: what parses to the same fields but reads otherwise was not written by us.
  if (!(yield* encodeHeader(content)).equals(header)) throw new Error('its checksum does not match')
  return Object.freeze(content)
}

interface Header {
  etag: string | null
  version: number | string
  length: number
  source: string | undefined
}

function parseHeader(line: Buffer): Header | undefined {
  try {
    const { dynacode_cache, etag, version, length, source } = JSON.parse(line.toString())
    if (dynacode_cache !== 1 || (etag !== null && typeof etag !== 'string')) return undefined
    if (typeof version !== 'string' && typeof version !== 'number') return undefined
    if (source !== undefined && typeof source !== 'string') return undefined
    return typeof length === 'number' ? { etag, version, length, source } : undefined
  } catch {
    return undefined
  }
}
