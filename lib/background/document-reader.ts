import { isUtf8 } from 'node:buffer'
import { DocumentError } from '../errors.ts'
import type { ProgramDomain } from '../program.ts'
import type { Steps } from '../steps.ts'
import { readItem, readJson } from './json-reader.ts'
import { type Item, type Range, splitItems, splitObject } from './json-splitter.ts'
import {
  createFinder,
  type KnownDomains,
  type KnownPlugins,
  type LiveText,
  learnDomains,
  learnPlugins,
  NO_TEXT,
} from './live-text.ts'
import { countPlugins, type DocumentRules, type PartlyRead, readRaw, readText } from './validator.ts'

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

/** A domain whose JSON was read, and where it stands. */
interface RawPart extends Range {
  readonly raw: unknown
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
  const finder = createFinder(live, bytes)
  const split = yield* splitObject<KnownDomains | KnownPlugins>(
    bytes,
    { start: 0, end: bytes.length },
    ['domains', 'plugins'],
    (key, at) => (key === 'domains' ? finder.domains(at) : finder.plugins(at)),
  )
  const places = split?.lists.get('domains') as readonly Item<KnownDomains>[] | undefined
  if (split === undefined || places === undefined) return undefined
  const listed = (split.lists.get('plugins') ?? []) as readonly Item<KnownPlugins>[]
  const known = listed.length === 1 ? listed[0]?.known : undefined
  // Known at another place than the first, it is not the whole list.
  if (known === undefined && listed.some((item) => item.known !== undefined)) return undefined
  const isSame = known !== undefined || listed.length === 0
  let isApart = true

  try {
    const frame = readJson(split.frame)
    const plugins: unknown[] = []
    for (const range of known === undefined ? listed : []) {
      plugins.push(readItem(textOf(bytes, range), 'plugins'))
      yield
    }
    const parts: (RawPart | KnownDomains)[] = []
    const starts = new Map<object, number>()
    for (const place of places) {
      const { known: domains } = place
      if (domains !== undefined) starts.set(domains, place.start)
      if (domains !== undefined && isSame && domains.shared === known?.shared) parts.push(domains)
      else for (const part of yield* readDomains(bytes, place)) parts.push(part)
      yield
    }
    const read = yield* readRaw({ frame, domains: parts, plugins: known ?? plugins }, rules, function* expand(part) {
      isApart = false
      const start = starts.get(part) as number
      return yield* readDomains(bytes, { start, end: start + (part as KnownDomains).length, known: part })
    })
    if (read === undefined) return undefined
    const { document, isSharedSound } = read
    const shared = read.shared.size === 0 ? undefined : read.shared
    return { document, learn: isApart && isSharedSound ? learn : learnNothing }

    function* learn(builtOf: (domain: object) => ProgramDomain | undefined): Steps<LiveText> {
      const domains = yield* learnDomains(bytes, eachDomain(builtOf), shared)
      if (known !== undefined || shared === undefined) return Object.freeze({ domains, plugins: known })
      const range = { start: listed[0]?.start as number, end: listed.at(-1)?.end as number }
      const count = yield* countPlugins(plugins, 'plugins', 0, rules)
      return Object.freeze({ domains, plugins: learnPlugins(bytes, range, shared, count) })
    }

    function* eachDomain(builtOf: (domain: object) => ProgramDomain | undefined) {
      let index = 0
      for (const part of parts) {
        if ('digest' in part) {
          index += part.domains.length
          yield part
          continue
        }
        const built = builtOf(document.domains[index] as object)
        index += 1
        yield { start: part.start, end: part.end, built, plugins: countOf(part.raw) }
      }
    }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }

  function countOf(raw: unknown): number {
    const counting = countPlugins((raw as { plugins?: unknown }).plugins, '', 0, rules)
    for (let step = counting.next(); ; step = counting.next()) if (step.done === true) return step.value
  }
}

/**
 * Reads the JSON of one domain, or of several that are known.
 *
 * @throws SyntaxError when it is none
 */
function* readDomains<T>(bytes: Buffer, { start, end, known }: Item<T>): Steps<readonly RawPart[]> {
  if (known === undefined) return [{ start, end, raw: yield* readDomain(bytes, { start, end }) }]
  const parts: RawPart[] = []
  for (const range of (yield* splitItems(bytes, { start, end })) ?? []) {
    parts.push({ ...range, raw: yield* readDomain(bytes, range) })
    yield
  }
  return parts
}

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
