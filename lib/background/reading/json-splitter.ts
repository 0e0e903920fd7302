import type { Steps } from '../../time/steps.ts'

/** Where something stands in the bytes: from the first one to the one after the last. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** Where the items of a list stand, in two lists side by side: an object for each of many would be much to carry along. */
export interface Places {
  readonly starts: number[]
  readonly ends: number[]
}

/** Takes the items of a list that begins here; returns the place after the list, or undefined where it is none. */
export type TakeList = (bytes: Buffer, start: number, end: number) => Steps<number | undefined>

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Bytes that are looked at without a pause. */
const STRETCH = 65_536

/**
 * Splits the text of an object into the items of its lists and the rest, without reading either. If all of these are JSON
 * by themselves, the whole is, and means the same.
 *
 * @param lists what takes the items of the lists that are split, by key; what stands there and is no list is part of the rest
 * @returns the object's text with these lists empty; undefined where the text is no such object, or one that is written in an
 *   unusual way
 */
export function* splitObject(
  bytes: Buffer,
  { start, end }: Range,
  lists: Readonly<Record<string, TakeList>>,
): Steps<string | undefined> {
  const seen = new Set<string>()
  const frame: string[] = []
  let copied = start
  let at = skipSpace(bytes, start, end)
  if (bytes[at] !== OPEN_OBJECT) return undefined
  do {
    at = skipSpace(bytes, at + 1, end)
    const key = bytes[at] === QUOTE ? endOfString(bytes, at, Math.min(end, at + STRETCH)) : undefined
    if (key === undefined) return undefined
    const name = bytes.toString('utf8', at + 1, key - 1)
    // The same key could be spelled in other ways.
    if (name.includes('\\')) return undefined
    at = skipSpace(bytes, key, end)
    if (bytes[at] !== COLON) return undefined
    at = skipSpace(bytes, at + 1, end)
    // Of a key that stands there twice, the last one counts.
    const takeList = Object.hasOwn(lists, name) ? lists[name] : undefined
    if (takeList !== undefined && seen.has(name)) return undefined
    seen.add(name)
    if (takeList !== undefined && bytes[at] === OPEN_LIST) {
      const after: number | undefined = yield* takeList(bytes, at, end)
      if (after === undefined) return undefined
      frame.push(bytes.toString('utf8', copied, at), '[]')
      copied = after
      at = after
    } else {
      const after: number | undefined = yield* endOfValue(bytes, at, end)
      if (after === undefined) return undefined
      at = after
    }
    at = skipSpace(bytes, at, end)
  } while (bytes[at] === COMMA)
  if (bytes[at] !== CLOSE_OBJECT || skipSpace(bytes, at + 1, end) !== end) return undefined
  frame.push(bytes.toString('utf8', copied, end))
  return frame.join('')
}

/** Splits a list into its items. */
export function splitList({ starts, ends }: Places): TakeList {
  return (bytes, start, end) =>
    takeItems(bytes, start, end, function* take(at) {
      const after = yield* endOfValue(bytes, at, end)
      if (after === undefined) return undefined
      starts.push(at)
      ends.push(after)
      return after
    })
}

/**
 * Goes from item to item of a list that begins here; returns the place after it.
 *
 * @param take takes the item that begins here, or several; returns the place after the last of them
 */
export function* takeItems(
  bytes: Buffer,
  start: number,
  end: number,
  take: (at: number) => Steps<number | undefined>,
): Steps<number | undefined> {
  let at = skipSpace(bytes, start + 1, end)
  if (bytes[at] === CLOSE_LIST) return at + 1
  for (;;) {
    const after: number | undefined = yield* take(at)
    if (after === undefined) return undefined
    yield
    at = skipSpace(bytes, after, end)
    if (bytes[at] === CLOSE_LIST) return at + 1
    if (bytes[at] !== COMMA) return undefined
    at = skipSpace(bytes, at + 1, end)
  }
}

/** The place of the next item of a list, behind one that ends here; undefined where there is none. */
export function nextItem(bytes: Buffer, after: number, end: number): number | undefined {
  const at = skipSpace(bytes, after, end)
  return bytes[at] === COMMA ? skipSpace(bytes, at + 1, end) : undefined
}

/** The place after the value that begins here, if it is a value. */
export function* endOfValue(bytes: Buffer, start: number, end: number): Steps<number | undefined> {
  let depth = 0
  let rest = start + STRETCH
  for (let at = start; at < end; ) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      const short = endOfString(bytes, at, Math.min(end, at + STRETCH))
      const after: number | undefined = short ?? (yield* endOfLongString(bytes, at, end))
      if (after === undefined || depth === 0) return after
      at = after
    } else {
      if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth += 1
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        depth -= 1
        if (depth === 0) return at + 1
        // What ends here is what the value, which is a number or a word, stands in.
        if (depth < 0) return at
      } else if (byte === COMMA && depth === 0) return at
      at += 1
    }
    if (at > rest) {
      rest = at + STRETCH
      yield
    }
  }
  return depth === 0 ? end : undefined
}

function endOfString(bytes: Buffer, start: number, end: number): number | undefined {
  for (let at = start + 1; at < end; at += 1) {
    const byte = bytes[at]
    if (byte === QUOTE) return at + 1
    if (byte === BACKSLASH) at += 1
  }
  return undefined
}

/** As `endOfString`, with pauses. */
function* endOfLongString(bytes: Buffer, start: number, end: number): Steps<number | undefined> {
  let rest = start + STRETCH
  for (let at = start + 1; at < end; at += 1) {
    const byte = bytes[at]
    if (byte === QUOTE) return at + 1
    if (byte === BACKSLASH) at += 1
    if (at > rest) {
      rest = at + STRETCH
      yield
    }
  }
  return undefined
}

function skipSpace(bytes: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && isSpace(bytes[at])) at += 1
  return at
}

const isSpace = (byte: number | undefined) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
