import { STRETCH, type Steps } from '../../time/steps.ts'

/** A document's bytes in pieces, one behind the other: what a change left as it was is not copied. */
export interface Rope {
  readonly length: number
  readonly parts: readonly Buffer[]
}

/** A document's bytes, at one place or in pieces. */
export type Bytes = Uint8Array | Rope

/** From which byte to which something else stands now, and what. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: Buffer
}

/** The pieces, of which there may be one. */
export function partsOf(bytes: Bytes): readonly Buffer[] {
  return bytes instanceof Uint8Array ? [asBuffer(bytes)] : bytes.parts
}

/** All of it at one place; a copy only where it is in pieces. */
export function* wholeOf(bytes: Bytes): Steps<Buffer> {
  const parts = partsOf(bytes)
  if (parts.length === 1) return parts[0] as Buffer
  const whole = Buffer.allocUnsafeSlow(bytes.length)
  let at = 0
  for (const part of parts) {
    for (let from = 0; from < part.length; from += STRETCH) {
      at += part.copy(whole, at, from, from + STRETCH)
      yield
    }
  }
  return whole
}

/** Some of it, without a copy where that stands in one piece. */
export function sliceOf(bytes: Bytes, start: number, end: number): Buffer {
  const found: Buffer[] = []
  let at = 0
  for (const part of partsOf(bytes)) {
    const [from, to] = [Math.max(start - at, 0), Math.min(end - at, part.length)]
    if (from < to) found.push(part.subarray(from, to))
    at += part.length
  }
  return found.length === 1 ? (found[0] as Buffer) : Buffer.concat(found)
}

/** More pieces than that are put together: going through them takes its time, too. */
const MOST_PARTS = 100

/** What is there with some edits: in order, and none beyond the other or the end. */
export function* editBytes(bytes: Bytes, edits: readonly Edit[]): Steps<Rope> {
  const parts: Buffer[] = []
  const rest = partsOf(bytes).values()
  let part = rest.next().value
  let [at, length] = [0, 0]
  const put = (piece: Buffer) => {
    if (piece.length > 0) parts.push(piece)
    length += piece.length
  }
  /** Goes on to a place in what was there before. */
  function pass(to: number, isKept: boolean): void {
    while (at < to && part !== undefined) {
      const here = part.subarray(0, to - at)
      if (isKept) put(here)
      at += here.length
      part = here.length < part.length ? part.subarray(here.length) : rest.next().value
    }
  }
  for (const { start, end, text } of edits) {
    pass(start, true)
    pass(end, false)
    put(text)
    yield
  }
  pass(bytes.length, true)
  const rope: Rope = Object.freeze({ length, parts })
  return parts.length > MOST_PARTS ? Object.freeze({ length, parts: [yield* wholeOf(rope)] }) : rope
}

export const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
