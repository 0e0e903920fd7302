import type { Steps } from '../../time/steps.ts'

/** Where something stands in the bytes: from the first one to the one after the last. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** An item of a list, or several that are known. */
export interface Item<T> extends Range {
  readonly known: T | undefined
}

/** An object's text, apart from the items of some of its lists. */
export interface SplitObject<T> {
  /** The object's text with these lists empty. */
  readonly frame: string
  /** The items of each of the lists that the object has, by key. */
  readonly lists: ReadonlyMap<string, readonly Item<T>[]>
}

/** Something that is known to stand at a place, as a whole number of items. */
export interface Known {
  /** How many bytes it takes. */
  readonly length: number
}

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
 * @param keys the lists that are split
 * @param find tells what is known to stand at this place of a list
 * @returns undefined where the text is no such object, or one that is written in an unusual way
 */
export function* splitObject<T extends Known>(
  bytes: Buffer,
  { start, end }: Range,
  keys: readonly string[],
  find: (key: string, at: number) => T | undefined = () => undefined,
): Steps<SplitObject<T> | undefined> {
  const lists = new Map<string, Item<T>[]>()
  const frame: string[] = []
  let copied = start
  let at = skipSpace(bytes, start, end)
  if (bytes[at] !== OPEN_OBJECT) return undefined
  do {
    at = skipSpace(bytes, at + 1, end)
    const key = bytes[at] === QUOTE ? endOfString(bytes, at, end) : undefined
    if (key === undefined) return undefined
    const name = bytes.toString('utf8', at + 1, key - 1)
    // The same key could be spelled in other ways.
    if (name.includes('\\')) return undefined
    at = skipSpace(bytes, key, end)
    if (bytes[at] !== COLON) return undefined
    at = skipSpace(bytes, at + 1, end)
    if (keys.includes(name)) {
      // Of a key that stands there twice, the last one counts.
      if (lists.has(name) || bytes[at] !== OPEN_LIST) return undefined
      const items: Item<T>[] = []
      const after: number | undefined = yield* splitList(bytes, at, end, items, (place) => find(name, place))
      if (after === undefined) return undefined
      lists.set(name, items)
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
  return { frame: frame.join(''), lists }
}

/** Finds the items of a list that begins here; returns the place after it. */
function* splitList<T extends Known>(
  bytes: Buffer,
  start: number,
  end: number,
  items: Item<T>[],
  find: (at: number) => T | undefined,
): Steps<number | undefined> {
  const first = skipSpace(bytes, start + 1, end)
  if (bytes[first] === CLOSE_LIST) return first + 1
  const after: number | undefined = yield* gatherItems(bytes, first, end, items, find)
  return after !== undefined && bytes[after] === CLOSE_LIST ? after + 1 : undefined
}

/** Goes on for as long as there are commas; returns the place where the next one would stand. */
function* gatherItems<T extends Known>(
  bytes: Buffer,
  start: number,
  end: number,
  items: Item<T>[],
  find: (at: number) => T | undefined,
): Steps<number | undefined> {
  for (let at = start; ; ) {
    const known = find(at)
    const after: number | undefined = known === undefined ? yield* endOfValue(bytes, at, end) : at + known.length
    if (after === undefined) return undefined
    items.push({ start: at, end: after, known })
    yield
    at = skipSpace(bytes, after, end)
    if (bytes[at] !== COMMA || at >= end) return at
    at = skipSpace(bytes, at + 1, end)
  }
}

/** The place after the value that begins here, if it is a value. */
function* endOfValue(bytes: Buffer, start: number, end: number): Steps<number | undefined> {
  let depth = 0
  let rest = start + STRETCH
  for (let at = start; at < end; ) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      const after = endOfString(bytes, at, end)
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

function skipSpace(bytes: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && isSpace(bytes[at])) at += 1
  return at
}

const isSpace = (byte: number | undefined) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
