import { createHash } from 'node:crypto'
import * as z from 'zod'
import { DynacodeError } from '../errors.ts'
import type { DocumentInput } from './published-document.ts'

// What the sources have in common that keep a document under a key.

/** The option `max_bytes`. */
export const maxBytesSchema = z
  .int()
  .positive()
  .default(16 * 1024 * 1024)

/** The option `document` of whoever publishes one. */
export const documentSchema = z.custom<DocumentInput>(
  (value) => typeof value === 'string' || (typeof value === 'object' && value !== null),
  'an object, a string or bytes',
)

/** @throws DynacodeError ERR_DYNACODE_FETCH_TOO_LARGE */
export function checkSize(bytes: number, max_bytes: number, name: string): void {
  if (bytes <= max_bytes) return
  const message = `${name}: the document has ${bytes} bytes, expected ${max_bytes} at most (max_bytes)`
  throw new DynacodeError('ERR_DYNACODE_FETCH_TOO_LARGE', message)
}

/** Says why there is no document to be had. */
export function fetchError(message: string, cause?: unknown): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_FETCH', message, cause === undefined ? {} : { cause })
}

/** Names a state of the document. */
export function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
