import { createHash } from 'node:crypto'
import { type Bytes, type Edit, sliceOf } from '../../background/reading/rope.ts'
import { STRETCH, type Steps } from '../../time/steps.ts'

/** The digests of a document's pieces, side by side, and where each piece ends. */
export interface Pieces {
  readonly ends: readonly number[]
  readonly digests: Buffer
}

/** A piece ends within this, before the brace: between two objects of a list. */
const BETWEEN = Buffer.from('},{"')
const BEFORE_CUT = 2
/** So many bytes behind a place decide whether it is a cut. */
const WINDOW = 32
/** One such place of 16 is one: by the first four bits of its hash. */
const SHIFT = 28
/** Bytes of a SHA-256. */
const DIGEST = 32
/** Places that are looked at without a pause. */
const PLACES = 256

/** The pieces of a whole document. */
export function* cutPieces(bytes: Bytes): Steps<Pieces> {
  const region = yield* cutRegion(bytes, 0, bytes.length)
  return Object.freeze({ ends: region.ends, digests: Buffer.concat(region.digests) })
}

/** The digest of a document, from those of its pieces. */
export function digestOf({ digests }: Pieces): string {
  return createHash('sha256').update(digests).digest('hex')
}

/**
 * The pieces of an edited document: those that no edit is near are taken over. Where a piece ends is decided by the bytes around
 * that place alone.
 *
 * @param after the document with the edits
 */
export function* editPieces(before: Pieces, edits: readonly Edit[], after: Bytes): Steps<Pieces> {
  const ends: number[] = []
  const digests: Buffer[] = []
  let next = 0
  let shift = 0
  /** Where the pieces begin that an edit is near, in the new document; undefined: the last piece is not one of them. */
  let changed: number | undefined
  const endChanged = function* (end: number): Steps<void> {
    if (changed === undefined) return
    const region = yield* cutRegion(after, changed, end)
    for (const each of region.ends) ends.push(each)
    digests.push(...region.digests)
    changed = undefined
  }
  let start = 0
  let copied = 0
  for (const [nth, end] of before.ends.entries()) {
    const isNear = next < edits.length && (edits[next] as Edit).start <= end + WINDOW
    if (isNear) {
      if (changed === undefined) {
        digests.push(before.digests.subarray(copied * DIGEST, nth * DIGEST))
        changed = start + shift
      }
      copied = nth + 1
      // One that reaches into the next piece, or stands before its first bytes, is near that, too.
      while (next < edits.length && (edits[next] as Edit).end < end - BEFORE_CUT) {
        shift += growth(edits[next] as Edit)
        next += 1
      }
    } else {
      yield* endChanged(start + shift)
      ends.push(end + shift)
    }
    start = end
  }
  yield* endChanged(after.length)
  digests.push(before.digests.subarray(copied * DIGEST))
  return Object.freeze({ ends, digests: Buffer.concat(digests) })
}

const growth = ({ start, end, text }: Edit) => text.length - (end - start)

/** The pieces between two cuts. */
function* cutRegion(bytes: Bytes, from: number, to: number): Steps<{ ends: number[]; digests: Buffer[] }> {
  const text = sliceOf(bytes, from, Math.min(to + WINDOW, bytes.length))
  const length = to - from
  const ends: number[] = []
  const digests: Buffer[] = []
  let start = 0
  let looked = 0
  const end = function* (at: number): Steps<void> {
    const hash = createHash('sha256')
    for (let part = start; part < at; part += STRETCH) {
      hash.update(text.subarray(part, Math.min(part + STRETCH, at)))
      if (part > start) yield
    }
    digests.push(hash.digest())
    ends.push(from + at)
    start = at
    yield
  }
  for (let place = text.indexOf(BETWEEN); place !== -1; place = text.indexOf(BETWEEN, place + BETWEEN.length)) {
    const cut = place + BEFORE_CUT
    if (cut >= length) break
    if (isCut(text, cut)) yield* end(cut)
    looked += 1
    if (looked % PLACES === 0) yield
  }
  if (start < length || bytes.length === 0) yield* end(length)
  return { ends, digests }
}

/** By FNV-1a, in 32 bits, of the bytes behind. */
function isCut(text: Buffer, at: number): boolean {
  let hash = 0x811c9dc5
  const end = Math.min(at + WINDOW, text.length)
  for (let place = at; place < end; place += 1) hash = Math.imul(hash ^ (text[place] as number), 0x01000193)
  return hash >>> SHIFT === 0
}
