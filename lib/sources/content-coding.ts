import { Duplex } from 'node:stream'
import * as zlib from 'node:zlib'

type Decoder = (options: { chunkSize?: number }) => NodeJS.ReadWriteStream

const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['gzip', (options) => zlib.createGunzip(options)],
  ['x-gzip', (options) => zlib.createGunzip(options)],
  ['deflate', createAnyInflate],
  ['br', (options) => zlib.createBrotliDecompress(options)],
  // Node has zstd since 22.15 and 23.8.
  ...('createZstdDecompress' in zlib ? [['zstd', zlib.createZstdDecompress as Decoder] as const] : []),
])

/** Codings stacked deeper than this are an attack, not a body. */
const MAX_CODINGS = 2

/** The content codings that can be decoded, as the value of Accept-Encoding. */
export const ACCEPT_ENCODING = [...DECODERS.keys()].filter((coding) => coding !== 'x-gzip').join(', ')

/**
 * Makes the streams that decode a body, in the order in which it passes them.
 *
 * @param header the Content-Encoding header; '' when there is none
 * @param chunk_bytes how many bytes come out of them at once, at most; as Node has it unless given
 * @returns undefined when the header names a coding that is not known, or more than two
 */
export function createDecoders(header: string, chunk_bytes?: number): NodeJS.ReadWriteStream[] | undefined {
  const codings = header
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
  const decoders = codings.map((coding) => DECODERS.get(coding))
  if (codings.length > MAX_CODINGS || decoders.includes(undefined)) return undefined
  const options = chunk_bytes === undefined ? {} : { chunkSize: chunk_bytes }
  return decoders.toReversed().map((create) => (create as Decoder)(options))
}

/**
 * Decodes what servers call deflate: with the frame of zlib, as it is meant, or without it, as many send it (RFC 9110,
 * 8.4.1.2). The first byte says which: with the frame it ends in 8, the number of the method; without, in that of a block.
 */
function createAnyInflate(options: { chunkSize?: number }): Duplex {
  let inner: zlib.Inflate | zlib.InflateRaw | undefined

  function begin(first: number): zlib.Inflate | zlib.InflateRaw {
    const decoder = (first & 0x0f) === 8 ? zlib.createInflate(options) : zlib.createInflateRaw(options)
    decoder.on('data', (chunk) => {
      if (!outer.push(chunk)) decoder.pause()
    })
    decoder.on('end', () => outer.push(null))
    decoder.on('error', (error) => outer.destroy(error))
    return decoder
  }

  const outer = new Duplex({
    read: () => void inner?.resume(),
    write(chunk: Buffer, _encoding, done) {
      if (chunk.length === 0) return done()
      inner ??= begin(chunk[0] as number)
      inner.write(chunk, done)
    },
    final(done) {
      // Nothing at all is not even an empty body.
      inner ??= begin(8)
      inner.end(done)
    },
    destroy(error, done) {
      inner?.destroy()
      done(error)
    },
  })
  return outer
}

/** Whether an error comes from decoding bytes that are not what their header says. */
export function isDecodingError(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return typeof code === 'string' && /^(Z_|ERR_BROTLI|ERR_ZSTD|ERR__ERROR_FORMAT|ZSTD_)/.test(code)
}
