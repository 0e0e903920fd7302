import { isUtf8 } from 'node:buffer'
import { DocumentError } from '../../errors.ts'
import type { ProgramDomain } from '../../program.ts'
import { KNOWN_STRETCH, type Steps } from '../../time/steps.ts'
import { readItem, readJson } from './json-reader.ts'
import { type Places, type Range, splitList, splitObject, type TakeList } from './json-splitter.ts'
import { type Matches, matchList } from './list-matcher.ts'
import { type KnownDomain, type Layout, type LiveList, type LiveText, NO_TEXT } from './live-text.ts'
import { type DocumentRules, type PartlyRead, type ReadDocument, readRaw, readText } from './validator.ts'

/** A document that was read, and what is known of its text. */
export interface Reading {
  readonly document: PartlyRead
  /**
   * Gathers by what the next document's parts can be told to be the same; to be called once this one is live.
   *
   * @param builtOf what a domain became, where it was built as it stands in the document
   */
  learn(builtOf: (domain: object) => ProgramDomain | undefined): Steps<LiveText>
}

/** A smaller text is read as a whole: there is not much to be gained. */
const WORTHWHILE = 32_768
/** A domain of more text is split in turn. */
const LARGE = 65_536

/**
 * Reads a document. What stands in it as in the one that is live is not read again; the rest is read part by part.
 *
 * @param bytes in UTF-8
 * @param worthwhile how many bytes a text has at least for its parts to be looked at by themselves
 * @throws DocumentError when the frame is at fault, so that nothing of the document can be used
 */
export function* readBytes(
  bytes: Uint8Array,
  rules: DocumentRules,
  live: LiveText,
  worthwhile = WORTHWHILE,
): Steps<Reading> {
  const text = withoutMark(bytes)
  if (!isUtf8(text)) throw new DocumentError('', 'the document is not UTF-8')
  // A place in the text is one in the document where that does not begin with a mark.
  const isPlaced = text.length === bytes.length
  const reading = text.length < worthwhile ? undefined : yield* readParts(text, rules, live, isPlaced)
  // Whatever is unusual about a text, what it means or what is wrong with it shows when it is read as a whole.
  return reading ?? { document: yield* readText(text.toString('utf8'), rules), learn: learnNothing }
}

/** Undefined: it has to be read as a whole. */
function* readParts(
  bytes: Buffer,
  rules: DocumentRules,
  live: LiveText,
  isPlaced: boolean,
): Steps<Reading | undefined> {
  const domains: Matches = { starts: [], ends: [], live: [] }
  const plugins: Matches = { starts: [], ends: [], live: [] }
  const lists = { domains: { start: -1, end: -1 }, plugins: { start: -1, end: -1 } }
  const text = yield* splitObject(
    bytes,
    { start: 0, end: bytes.length },
    {
      domains: placed(matchList(domains, live.domains), lists.domains),
      plugins: placed(matchList(plugins, live.plugins), lists.plugins),
    },
  )
  if (text === undefined) return undefined
  try {
    const frame = readJson(text)
    if (!Array.isArray((frame as { domains?: unknown }).domains)) return undefined
    const readOne = (at: number) => readDomain(bytes, rangeOf(domains, at))
    const raw = {
      frame,
      plugins: yield* listParts(plugins, live.plugins, (at) => readShared(bytes, rangeOf(plugins, at))),
      domains: yield* listParts(domains, live.domains, readOne),
    }
    const read = yield* readRaw(raw, rules, readOne)
    // A cap is passed by what is known: where, it takes to read it to tell.
    if (read === undefined) return live === NO_TEXT ? undefined : yield* readParts(bytes, rules, NO_TEXT, isPlaced)
    const layout = isPlaced ? { frame: Buffer.from(text), lists } : undefined
    return { document: read.document, learn: createLearning(read, bytes, domains, plugins, layout) }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Notes where a list stands. */
const placed = (take: TakeList, place: { start: number; end: number }): TakeList =>
  function* takePlaced(bytes, start, end) {
    const after = yield* take(bytes, start, end)
    if (after !== undefined) Object.assign(place, { start, end: after })
    return after
  }

/** Of what was read, the JSON is not held any longer: the garbage collector would move it about while programs are built. */
function createLearning(
  { document, notes, shared }: ReadDocument,
  bytes: Buffer,
  domains: Places,
  plugins: Places,
  layout: Pick<Layout, 'frame' | 'lists'> | undefined,
): Reading['learn'] {
  const listOf = <T>({ starts, ends }: Places, parts: readonly (T | undefined)[]): LiveList<T> =>
    Object.freeze({ texts: new Array(parts.length).fill(bytes), starts, ends, parts })
  return function* learn(builtOf) {
    const known: (KnownDomain | undefined)[] = []
    let count = shared.reduce((sum, plugin) => sum + (plugin?.count ?? 0), 0)
    let isSound = !shared.includes(undefined)
    for (const [at, part] of document.domains.entries()) {
      if ('domain' in part) known.push(part)
      else {
        const domain = builtOf(part)
        const note = notes[at]
        known.push(domain && note && Object.freeze({ domain, count: note.count, refers: note.refers }))
        yield
      }
      count += known[at]?.count ?? 0
      isSound &&= known[at] !== undefined
      if (at % KNOWN_STRETCH === 0) yield
    }
    const starts = Float64Array.from(domains.starts)
    return Object.freeze({
      domains: listOf(domains, known),
      plugins: listOf(plugins, shared),
      layout: layout && isSound ? Object.freeze({ ...layout, starts, count }) : undefined,
    })
  }
}

/** What is known of the items of a list; the JSON of the others. */
function* listParts<T>(
  { live: places }: Matches,
  live: LiveList<T>,
  read: (at: number) => Steps<unknown>,
): Steps<(T | { readonly raw: unknown })[]> {
  const parts: (T | { readonly raw: unknown })[] = []
  for (const [at, place] of places.entries()) {
    if (place === -1) {
      parts.push({ raw: yield* read(at) })
      yield
    } else parts.push(live.parts[place] as T)
    if (at % KNOWN_STRETCH === 0) yield
  }
  return parts
}

const rangeOf = ({ starts, ends }: Places, at: number): Range => ({
  start: starts[at] as number,
  end: ends[at] as number,
})

/**
 * Reads the JSON of one domain.
 *
 * @throws SyntaxError when it is none
 */
export function* readDomain(bytes: Buffer, range: Range): Steps<unknown> {
  const items: Places = { starts: [], ends: [] }
  const isLarge = range.end - range.start >= LARGE
  const frame = isLarge ? yield* splitObject(bytes, range, { plugins: splitList(items) }) : undefined
  if (frame === undefined) return readItem(textOf(bytes, range), 'domains')
  const domain = readItem(frame, 'domains') as { plugins?: unknown }
  if (!Array.isArray(domain.plugins)) return domain
  const plugins: unknown[] = []
  for (let at = 0; at < items.starts.length; at += 1) {
    plugins.push(readItem(textOf(bytes, rangeOf(items, at)), 'plugins'))
    yield
  }
  return Object.assign(domain, { plugins })
}

// biome-ignore lint/correctness/useYield: one of them takes no time
function* readShared(bytes: Buffer, range: Range): Steps<unknown> {
  return readItem(textOf(bytes, range), 'plugins')
}

const textOf = (bytes: Buffer, { start, end }: Range) => bytes.toString('utf8', start, end)

/** The bytes without the mark that says that they are UTF-8. */
function withoutMark(bytes: Uint8Array): Buffer {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf ? text.subarray(3) : text
}

// biome-ignore lint/correctness/useYield: it takes no time
function* learnNothing(): Steps<LiveText> {
  return NO_TEXT
}
