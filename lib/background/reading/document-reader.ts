import { isUtf8 } from 'node:buffer'
import { DocumentError } from '../../errors.ts'
import type { ProgramDomain } from '../../program.ts'
import type { Steps } from '../../time/steps.ts'
import { readItem, readJson } from './json-reader.ts'
import { type Range, splitObject } from './json-splitter.ts'
import { digestOf, type KnownDomain, type KnownPlugin, type LiveText, NO_TEXT } from './live-text.ts'
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
  const reading = text.length < worthwhile ? undefined : yield* readParts(text, rules, live)
  // Whatever is unusual about a text, what it means or what is wrong with it shows when it is read as a whole.
  return reading ?? { document: yield* readText(text.toString('utf8'), rules), learn: learnNothing }
}

/** Undefined: it has to be read as a whole. */
function* readParts(bytes: Buffer, rules: DocumentRules, live: LiveText): Steps<Reading | undefined> {
  const split = yield* splitObject(bytes, { start: 0, end: bytes.length }, ['domains', 'plugins'])
  const places = split?.lists.get('domains')
  if (split === undefined || places === undefined) return undefined
  const listed = split.lists.get('plugins') ?? []
  try {
    const frame = readJson(split.frame)
    const plugins = yield* findParts(bytes, listed, live.plugins, (range) => readShared(bytes, range))
    const domains = yield* findParts(bytes, places, live.domains, (range) => readDomain(bytes, range))
    const raw = { frame, domains: domains.parts, plugins: plugins.parts }
    const read = yield* readRaw(raw, rules, (at) => readDomain(bytes, places[at] as Range))
    // A cap is passed by what is known: where, it takes to read it to tell.
    if (read === undefined) return live === NO_TEXT ? undefined : yield* readParts(bytes, rules, NO_TEXT)
    return { document: read.document, learn: createLearning(read, domains.digests, plugins.digests) }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Of what was read, the JSON is not held any longer: the garbage collector would move it about while programs are built. */
function createLearning(
  { document, notes, shared }: ReadDocument,
  domains: readonly string[],
  plugins: readonly string[],
): Reading['learn'] {
  return function* learn(builtOf) {
    const known = new Map<string, KnownDomain>()
    for (const [at, part] of document.domains.entries()) {
      const digest = domains[at] as string
      const note = notes[at]
      if ('domain' in part) known.set(digest, part)
      else if (note !== undefined) {
        const domain = builtOf(part)
        if (domain !== undefined) known.set(digest, Object.freeze({ domain, count: note.count, refers: note.refers }))
      }
      yield
    }
    const sound = new Map<string, KnownPlugin>()
    for (const [at, part] of shared.entries()) if (part !== undefined) sound.set(plugins[at] as string, part)
    return Object.freeze({ domains: known, plugins: sound })
  }
}

/** What is known of the items of a list, by their texts; the JSON of the others. */
function* findParts<T extends object>(
  bytes: Buffer,
  places: readonly Range[],
  live: ReadonlyMap<string, T>,
  read: (range: Range) => Steps<unknown>,
): Steps<{ parts: (T | { readonly raw: unknown })[]; digests: string[] }> {
  const parts: (T | { readonly raw: unknown })[] = []
  const digests: string[] = []
  for (const range of places) {
    const digest = yield* digestOf(bytes, range)
    digests.push(digest)
    parts.push(live.get(digest) ?? { raw: yield* read(range) })
    yield
  }
  return { parts, digests }
}

/**
 * Reads the JSON of one domain.
 *
 * @throws SyntaxError when it is none
 */
function* readDomain(bytes: Buffer, range: Range): Steps<unknown> {
  const split = range.end - range.start < LARGE ? undefined : yield* splitObject(bytes, range, ['plugins'])
  const items = split?.lists.get('plugins')
  if (split === undefined || items === undefined) return readItem(textOf(bytes, range), 'domains')
  const plugins: unknown[] = []
  for (const item of items) {
    plugins.push(readItem(textOf(bytes, item), 'plugins'))
    yield
  }
  return Object.assign(readItem(split.frame, 'domains') as object, { plugins })
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
