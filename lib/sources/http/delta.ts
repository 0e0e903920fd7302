import { createHash } from 'node:crypto'
import * as z from 'zod'
import { DynacodeError } from '../../errors.ts'
import { STRETCH, type Steps } from '../../time/steps.ts'
import type { Collected } from './collector.ts'

/** What a document's change against an earlier one is named in `A-IM` and `IM` (RFC 3229): edits of its bytes. */
export const DELTA = 'dynacode-edits'

/** A change of a document: what of the earlier one's bytes is replaced, and what by. */
export type Delta = z.infer<typeof deltaSchema>

const offset = z.int().nonnegative()
const deltaSchema = z.object({
  /** How many bytes the earlier one has. */
  length: offset,
  /** SHA-256 of the bytes that come out, in hex. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** From which byte to which, and the text that stands there now; in order, and nothing twice. */
  edits: z.array(z.tuple([offset, offset, z.string()])),
})

/**
 * Applies a change.
 *
 * @param text the change, as JSON
 * @param max_bytes limit on what comes out
 * @throws DynacodeError when it does not fit, or when something else comes out than what was meant
 */
export function* applyDelta(before: Uint8Array, text: Uint8Array, max_bytes: number): Steps<Collected> {
  const { length, digest, edits } = readDelta(text)
  if (length !== before.length) throw refuse(`it is for a document of ${length} bytes, and there are ${before.length}`)
  const inserted = edits.map(([, , each]) => Buffer.from(each))
  let total = length
  let last = 0
  for (const [nth, [start, end]] of edits.entries()) {
    if (start < last || end < start || end > length)
      throw refuse(`edits[${nth}]: expected places in order, up to ${length}`)
    total += (inserted[nth] as Buffer).length - (end - start)
    last = end
  }
  if (total > max_bytes) throw refuse(`it makes more than ${max_bytes} bytes (plugin_api_max_bytes)`)
  const bytes = Buffer.allocUnsafeSlow(total)
  const [sha1, sha256] = [createHash('sha1'), createHash('sha256')]
  let at = 0
  function* put(piece: Uint8Array): Steps<void> {
    for (let from = 0; from < piece.length; from += STRETCH) {
      const part = piece.subarray(from, from + STRETCH)
      bytes.set(part, at)
      at += part.length
      sha1.update(part)
      sha256.update(part)
      yield
    }
  }
  let from = 0
  for (const [nth, [start, end]] of edits.entries()) {
    yield* put(before.subarray(from, start))
    yield* put(inserted[nth] as Buffer)
    from = end
  }
  yield* put(before.subarray(from))
  if (sha256.digest('hex') !== digest) throw refuse('something else comes out than its digest says')
  return Object.freeze({ bytes, sha1: sha1.digest('hex') })
}

function readDelta(text: Uint8Array): Delta {
  try {
    return deltaSchema.parse(JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString()))
  } catch (cause) {
    throw refuse('expected JSON with length, digest and edits', cause)
  }
}

/** An error about a change; its message shows nothing of the document. */
export function refuse(what: string, cause?: unknown): DynacodeError {
  const message = `the plugin API's delta cannot be used: ${what}; the whole document is fetched instead`
  return new DynacodeError('ERR_DYNACODE_FETCH_CONTENT', message, cause === undefined ? {} : { cause })
}
