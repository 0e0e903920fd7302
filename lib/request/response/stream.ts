import { PassThrough, pipeline, Readable, Transform } from 'node:stream'
import { ReadableStream } from 'node:stream/web'

/** A body or a part of it, as plugins get it. */
export type Chunk = string | Uint8Array

const NOTHING = Buffer.alloc(0)

/** Whether Koa would send this body as a stream. */
export function isStreamed(body: unknown): boolean {
  return (
    body instanceof Readable ||
    body instanceof ReadableStream ||
    body instanceof Blob ||
    body instanceof Response ||
    isOldStream(body)
  )
}

/** Whether this is a stream of Node's making or kind. */
export function isNodeStream(body: unknown): body is NodeJS.ReadableStream {
  return body instanceof Readable || isOldStream(body)
}

/** The stream that Koa would send for this body. Takes it over: the body itself cannot be read any more. */
export function toReadable(body: unknown): Readable {
  if (body instanceof Readable) return body
  if (body instanceof ReadableStream) return Readable.fromWeb(body)
  if (body instanceof Blob) return Readable.fromWeb(body.stream() as ReadableStream)
  if (body instanceof Response)
    return body.body === null ? Readable.from([]) : Readable.fromWeb(body.body as ReadableStream)
  return new Readable().wrap(body as NodeJS.ReadableStream)
}

/** Frees the source of a body that will not be read. */
export function freeBody(body: unknown): void {
  if (!isStreamed(body) || body instanceof Blob) return
  try {
    const source = toReadable(body)
    source.on('error', () => undefined)
    source.destroy()
  } catch {
    // Somebody reads it already.
  }
}

/** Streams from before Node had a common class for them, or of another copy of it. */
function isOldStream(body: unknown): boolean {
  const stream = body as { pipe?: unknown; on?: unknown } | null
  return typeof stream === 'object' && typeof stream?.pipe === 'function' && typeof stream.on === 'function'
}

/**
 * Hangs a filter behind a stream. One chunk is under way at a time; what ends or breaks one end ends the other.
 *
 * @param filter called with each chunk, and with an empty one and `last` at the end; what it rejects with breaks the stream
 */
export function createFilterStream(
  source: Readable,
  decoders: readonly NodeJS.ReadWriteStream[],
  filter: (chunk: Chunk, last: boolean) => Promise<Chunk>,
): Readable {
  const output = new Transform({
    writableObjectMode: true,
    writableHighWaterMark: 1,
    transform(chunk: unknown, _encoding, done) {
      if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
        return done(new TypeError(`expected a stream of strings or bytes, got a chunk of type ${typeof chunk}`))
      }
      filter(typeof chunk === 'string' ? Buffer.from(chunk) : chunk, false).then(
        (result) => done(null, sendable(result)),
        done,
      )
    },
    flush(done) {
      filter(NOTHING, true).then((result) => done(null, sendable(result)), done)
    },
  })
  const streams = [source, ...decoders, output] as unknown as [Readable, Transform]
  // The error, if there is one, has reached `output` by then, and is reported by who reads it.
  pipeline(streams, () => undefined)
  return output
}

/**
 * Decodes a body that is there as a whole.
 *
 * @throws what the decoders throw
 */
export async function decodeWhole(bytes: Uint8Array, decoders: readonly NodeJS.ReadWriteStream[]): Promise<Buffer> {
  const decoded = new PassThrough()
  pipeline([Readable.from([bytes]), ...decoders, decoded] as unknown as [Readable, Transform], () => undefined)
  const chunks: Buffer[] = []
  for await (const chunk of decoded) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** An empty chunk would end nothing and send nothing: leave it out. */
function sendable(chunk: Chunk): Chunk | undefined {
  return chunk.length === 0 ? undefined : chunk
}
