import * as z from 'zod'
import { type Bytes, type Edit, editBytes, type Rope } from '../../background/reading/rope.ts'
import { DynacodeError } from '../../errors.ts'
import type { Steps } from '../../time/steps.ts'
import { cutPieces, digestOf, editPieces, type Pieces } from './piecewise-digest.ts'

/** What a document's change against an earlier one is named in `A-IM` and `IM` (RFC 3229): edits of its bytes. */
export const DELTA = 'dynacode-edits'

/** A change of a document: what of the earlier one's bytes is replaced, and what by. */
export interface Delta {
  /** How many bytes the earlier one has. */
  length: number
  /** SHA-1 of the bytes that come out, in hex: what the document is known by. */
  sha1: string
  /** SHA-256 over the SHA-256 of each of its pieces, in hex: what is checked. */
  digest: string
  /** From which byte to which, and the text that stands there now; in order, and nothing twice. */
  edits: [from: number, to: number, text: string][]
}

/** A longer one is not worth it: its JSON is parsed at once. */
export const MAX_DELTA_BYTES = 262_144
/** The same for how many edits it has. */
export const MAX_EDITS = 1000

const offset = z.int().nonnegative()
const deltaSchema = z.object({
  length: offset,
  sha1: z.string().regex(/^[0-9a-f]{40}$/),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  edits: z.array(z.tuple([offset, offset, z.string()])).max(MAX_EDITS),
})

/** A document that a delta is for, or that comes out. */
export interface Known {
  readonly bytes: Bytes
  readonly sha1: string
}

/** What comes out of a delta. */
export interface Changed {
  readonly bytes: Rope
  readonly sha1: string
  readonly edits: readonly Edit[]
}

/** Applies changes. What is known of the pieces of a document is known of the next one, but for those that changed. */
export type ApplyDelta = (before: Known, text: Uint8Array, max_bytes: number) => Steps<Changed>

/** Makes what applies the changes of one source. */
export function createDeltas(): ApplyDelta {
  const known = new WeakMap<Bytes, Pieces>()
  /**
   * @param text the change, as JSON
   * @param max_bytes limit on what comes out
   * @throws DynacodeError when it does not fit, or when something else comes out than what was meant
   */
  return function* applyDelta(before, text, max_bytes) {
    const { length, sha1, digest, edits: given } = readDelta(text)
    if (length !== before.bytes.length) {
      throw refuse(`it is for a document of ${length} bytes, and there are ${before.bytes.length}`)
    }
    const edits: Edit[] = []
    let total = length
    let last = 0
    for (const [nth, [start, end, each]] of given.entries()) {
      if (start < last || end < start || end > length)
        throw refuse(`edits[${nth}]: expected places in order, up to ${length}`)
      edits.push({ start, end, text: Buffer.from(each) })
      total += (edits[nth] as Edit).text.length - (end - start)
      last = end
    }
    if (total > max_bytes) throw refuse(`it makes more than ${max_bytes} bytes (plugin_api_max_bytes)`)
    const bytes = yield* editBytes(before.bytes, edits)
    const there = known.get(before.bytes) ?? (yield* cutPieces(before.bytes))
    const pieces = yield* editPieces(there, edits, bytes)
    if (digestOf(pieces) !== digest) throw refuse('something else comes out than its digest says')
    // Nobody would take it for something new.
    if (sha1 === before.sha1 && digestOf(there) !== digest) throw refuse('its sha1 is that of the earlier document')
    known.set(bytes, pieces)
    return Object.freeze({ bytes, sha1, edits })
  }
}

function readDelta(text: Uint8Array): Delta {
  try {
    return deltaSchema.parse(JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString()))
  } catch (cause) {
    throw refuse('expected JSON with length, sha1, digest and edits', cause)
  }
}

/** An error about a change; its message shows nothing of the document. */
export function refuse(what: string, cause?: unknown): DynacodeError {
  const message = `the plugin API's delta cannot be used: ${what}; the whole document is fetched instead`
  return new DynacodeError('ERR_DYNACODE_FETCH_CONTENT', message, cause === undefined ? {} : { cause })
}
