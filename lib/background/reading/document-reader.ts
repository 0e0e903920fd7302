import { isUtf8 } from 'node:buffer'
import { DocumentError } from '../../errors.ts'
import type { ProgramDomain } from '../../program.ts'
import { runSteps, type Steps } from '../../time/steps.ts'
import { countPlugins } from './document-caps.ts'
import { readItem, readJson } from './json-reader.ts'
import { type Item, type Range, splitObject } from './json-splitter.ts'
import {
  type BuiltDomain,
  createFinder,
  digestOf,
  type KnownDomains,
  type KnownPlugins,
  type LiveText,
  learnDomains,
  learnPlugins,
  NO_TEXT,
  type ReadPlugin,
} from './live-text.ts'
import { type Id, type KeptShared, referredIds, type Shared } from './plugin-reader.ts'
import { type DocumentRules, type KeptPart, type PartlyRead, readRaw, readText } from './validator.ts'

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

/** An item whose JSON was read, and where it stands. */
interface RawPart extends Range {
  readonly raw: unknown
}

interface SharedItem extends RawPart {
  readonly digest: string
}

/** A domain that is kept for itself, without those that it was known together with. */
interface LonePart extends Range, KeptPart {}

type Part = RawPart | LonePart | KnownDomains

/** A domain that was read, or kept for itself, without its JSON. */
interface CountedPart extends Omit<BuiltDomain, 'built'> {
  /** Undefined where it was read. */
  readonly kept: ProgramDomain | undefined
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
  const findDomains = createFinder(live.domains, bytes)
  const findPlugins = createFinder(live.plugins, bytes)
  const split = yield* splitObject<KnownDomains | KnownPlugins>(
    bytes,
    { start: 0, end: bytes.length },
    ['domains', 'plugins'],
    (key, at) => (key === 'domains' ? findDomains(at) : findPlugins(at)),
  )
  const places = split?.lists.get('domains') as readonly Item<KnownDomains>[] | undefined
  if (split === undefined || places === undefined) return undefined
  const listed = (split.lists.get('plugins') ?? []) as readonly Item<KnownPlugins>[]

  try {
    const frame = readJson(split.frame)
    const plugins = yield* readPlugins(bytes, listed)
    const domains = yield* readDomains(bytes, places)
    const opened = new Map<KeptPart, readonly Part[]>()
    const read = yield* readRaw({ frame, domains, plugins }, rules, {
      shared: live.shared,
      isSame: isSameList(plugins, live),
      gone: listGone(live.domains, domains),
      *open(part, isKept) {
        const { start } = places.find(({ known }) => known === part) as Range
        const parts = yield* openPart(bytes, part as KnownDomains, start, isKept)
        opened.set(part, parts)
        return parts
      },
    })
    // What is known may have come to mean something else, for what stands beside it now.
    if (read === undefined) return live === NO_TEXT ? undefined : yield* readParts(bytes, rules, NO_TEXT)
    const { document, shared, namesakes } = read
    // The JSON itself is not held any longer: while programs are built, it would be what the garbage collector moves about.
    const parts = yield* countParts(domains, opened, rules)
    return {
      document,
      *learn(builtOf) {
        return Object.freeze({
          domains: yield* learnDomains(bytes, listBuilt(parts, document, namesakes, builtOf)),
          plugins: yield* learnPlugins(bytes, listShared(plugins, shared, rules)),
          shared,
        })
      },
    }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** What was known, and does not stand in the document. */
function listGone(known: readonly KnownDomains[], parts: readonly object[]): readonly KnownDomains[] {
  const there = new Set(parts)
  return known.filter((part) => !there.has(part))
}

/** Whether a document has just the shared plugins that are known, none of which was at fault. */
function isSameList(plugins: readonly object[], live: LiveText): boolean {
  if (plugins.length !== live.plugins.length || plugins.some((part, at) => part !== live.plugins[at])) return false
  return live.plugins.reduce((sum, { entries }) => sum + entries.length, 0) === live.shared.size
}

/**
 * Reads the JSON of the domains that are not known.
 *
 * @throws SyntaxError when it is none
 */
function* readDomains(bytes: Buffer, places: readonly Item<KnownDomains>[]): Steps<(RawPart | KnownDomains)[]> {
  const parts: (RawPart | KnownDomains)[] = []
  for (const { start, end, known } of places) {
    parts.push(known ?? { start, end, raw: yield* readDomain(bytes, { start, end }) })
    yield
  }
  return parts
}

/** The same of the shared plugins. */
function* readPlugins(bytes: Buffer, places: readonly Item<KnownPlugins>[]): Steps<(SharedItem | KnownPlugins)[]> {
  const parts: (SharedItem | KnownPlugins)[] = []
  for (const { known, ...range } of places) {
    parts.push(known ?? { ...range, raw: readItem(textOf(bytes, range), 'plugins'), digest: digestOf(bytes, range) })
    yield
  }
  return parts
}

/** Takes domains apart that are known together, and reads some of them. */
function* openPart(
  bytes: Buffer,
  { domains, each, refers }: KnownDomains,
  origin: number,
  isKept: (place: number) => boolean,
): Steps<readonly Part[]> {
  const parts: Part[] = []
  for (const [place, { start, end, count }] of (each ?? []).entries()) {
    const range = { start: origin + start, end: origin + end }
    const domain = domains[place] as ProgramDomain
    const ids = refers?.[place]
    parts.push(
      isKept(place)
        ? { ...range, domains: [domain], live: domain.plugins, plugins: count, refers: ids && [ids] }
        : { ...range, raw: yield* readDomain(bytes, range) },
    )
    yield
  }
  return parts
}

/** Keeps of what was read where it stands, and what can be told of it by itself. */
function* countParts(
  parts: readonly Part[],
  opened: ReadonlyMap<object, readonly Part[]>,
  rules: DocumentRules,
): Steps<(CountedPart | KnownDomains)[]> {
  const counted: (CountedPart | KnownDomains)[] = []
  for (const part of parts) {
    const inside = opened.get(part)
    if (inside !== undefined) counted.push(...(yield* countParts(inside, opened, rules)))
    else if ('digest' in part) counted.push(part)
    else counted.push(yield* countPart(part, rules))
    yield
  }
  return counted
}

function* countPart(part: RawPart | LonePart, rules: DocumentRules): Steps<CountedPart> {
  const { start, end } = part
  if ('raw' in part) {
    const { plugins } = part.raw as { plugins?: unknown }
    const count = yield* countPlugins(plugins, '', 0, rules)
    return { start, end, kept: undefined, count, ids: referredIds(plugins) }
  }
  return { start, end, kept: part.domains[0], count: part.plugins, ids: part.refers?.[0] ?? referredIds([]) }
}

/** What became of each part of a document that is live. */
function* listBuilt(
  parts: readonly (CountedPart | KnownDomains)[],
  { domains }: PartlyRead,
  namesakes: ReadonlySet<string>,
  builtOf: (domain: object) => ProgramDomain | undefined,
): Generator<BuiltDomain | KnownDomains> {
  for (const [index, part] of parts.entries()) {
    if ('digest' in part) {
      yield part
      continue
    }
    const domain = domains[index] as { readonly name: string }
    // What is wrong with a domain may depend on its namesakes.
    yield { ...part, built: part.kept ?? (namesakes.has(domain.name) ? undefined : builtOf(domain)) }
  }
}

function* listShared(
  parts: readonly (SharedItem | KnownPlugins)[],
  shared: Shared,
  rules: DocumentRules,
): Generator<ReadPlugin | KnownPlugins> {
  for (const part of parts) {
    if ('entries' in part) {
      yield part
      continue
    }
    const count = runSteps(countPlugins([part.raw], '', 0, rules))
    yield { start: part.start, end: part.end, entry: entryOf(part, shared), count }
  }
}

/** Undefined where it is at fault, or another one has its id. */
function entryOf({ raw, digest }: SharedItem, shared: Shared): KeptShared['entries'][number] | undefined {
  const id = (raw as { readonly id?: Id } | null)?.id as Id
  const found = shared.get(id)
  if (found === undefined || found.raw !== raw || found.fields instanceof DocumentError) return undefined
  return Object.freeze({ id, fields: found.fields, raw, digest })
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
