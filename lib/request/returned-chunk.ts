import type { Chunk } from './response/stream.ts'

/** Types of returned values that are sent as their text. */
const TEXT: ReadonlySet<string> = new Set(['number', 'boolean', 'bigint'])

/**
 * What a plugin of the phase `body_filter` has made of a chunk.
 *
 * @throws TypeError when it returned what cannot be sent
 */
export function toChunk(returned: unknown, unchanged: unknown): Chunk {
  if (returned === undefined || returned === unchanged) return unchanged as Chunk
  if (returned === null) return ''
  if (typeof returned === 'string' || Buffer.isBuffer(returned)) return returned
  // Koa knows bytes as Buffers only.
  if (ArrayBuffer.isView(returned)) return Buffer.from(returned.buffer, returned.byteOffset, returned.byteLength)
  if (returned instanceof ArrayBuffer) return Buffer.from(returned)
  const text = typeof returned === 'object' ? JSON.stringify(returned) : TEXT.has(typeof returned) && String(returned)
  if (typeof text === 'string') return text
  throw new TypeError(`body_filter: a ${typeof returned} cannot be sent`)
}
