import { isUtf8 } from 'node:buffer'
import type { Domain, RefusedDomain } from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import type { ProgramDomain } from '../../program.ts'
import { KNOWN_STRETCH, type Steps } from '../../time/steps.ts'
import { checkCaps } from './document-caps.ts'
import { type Reading, readDomain as readJsonOfDomain } from './document-reader.ts'
import { isNamed, readDomain, readSkipped } from './domain-reader.ts'
import { readJson } from './json-reader.ts'
import { type Range, splitObject, type TakeList } from './json-splitter.ts'
import type { KnownDomain, Layout, LiveText } from './live-text.ts'
import { readShared } from './plugin-reader.ts'
import { type Edit, editBytes, wholeOf } from './rope.ts'
import { createDocument, type DocumentRules, type General, listReferences, readGeneral } from './validator.ts'

/**
 * Reads what some edits make of the live document. Only the domains that they are in are looked at, and what stands outside of the
 * document's lists.
 *
 * @returns undefined where it takes more to tell: what was edited is not within domains that keep their names, or there is something
 *   wrong with it that concerns the whole document
 */
export function* readEdits(edits: readonly Edit[], rules: DocumentRules, live: LiveText): Steps<Reading | undefined> {
  const { layout } = live
  const placed = layout && placeEdits(edits, layout, live)
  const frame = placed && (yield* editFrame(placed.outside, layout as Layout))
  const texts = frame && (yield* editDomains(placed.inside, live))
  if (layout === undefined || placed === undefined || frame === undefined || texts === undefined) return undefined
  try {
    const general = readGeneral(readJson(frame.toString()))
    const read = general && (yield* readDomains(texts, general, rules, live, layout))
    if (read === undefined) return undefined
    const { document, notes, count } = read
    const moved = yield* moveLayout(layout, edits, frame, count)
    return { document, learn: (builtOf) => learn(document.domains, texts, notes, moved, live, builtOf) }
  } catch (error) {
    // What is wrong, and where, shows when the document is read as a whole.
    if (error instanceof SyntaxError || error instanceof DocumentError) return undefined
    throw error
  }
}

/** The edits by the place of the domain that they are in, from where that begins, and those outside of the lists. */
interface Placed {
  readonly inside: ReadonlyMap<number, readonly Edit[]>
  readonly outside: readonly Edit[]
}

/** Undefined where there is an edit that is neither: one that adds or removes domains, or is in a shared plugin. */
function placeEdits(edits: readonly Edit[], { starts, lists }: Layout, { domains }: LiveText): Placed | undefined {
  const inside = new Map<number, Edit[]>()
  const outside: Edit[] = []
  for (const edit of edits) {
    const place = lastBefore(starts, edit.start)
    const [from, to] = [domains.starts[place] as number, domains.ends[place] as number]
    // The first and the last byte of a domain stay: what stands between two of them is in neither.
    if (place !== -1 && edit.end < (starts[place] as number) + to - from) {
      inside.set(place, [...(inside.get(place) ?? []), move(edit, -(starts[place] as number))])
    } else if (isOutside(edit, lists.domains) && isOutside(edit, lists.plugins)) outside.push(edit)
    else return undefined
  }
  return { inside, outside }
}

/** The last of the domains that begin before a place; -1: there is none. */
function lastBefore(starts: Float64Array, place: number): number {
  let [low, high] = [0, starts.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((starts[middle] as number) < place) low = middle + 1
    else high = middle
  }
  return low - 1
}

const isOutside = (edit: Edit, { start, end }: Range) => start === -1 || edit.end <= start || edit.start >= end
const move = ({ start, end, text }: Edit, by: number): Edit => ({ start: start + by, end: end + by, text })
const growthOf = (edits: readonly Edit[]) =>
  edits.reduce((sum, { start, end, text }) => sum + text.length - (end - start), 0)

/**
 * The document without what is in its lists.
 *
 * @param outside as they stand in the document
 * @returns undefined where the lists are not what they were
 */
function* editFrame(outside: readonly Edit[], { frame, lists }: Layout): Steps<Buffer | undefined> {
  if (outside.length === 0) return frame
  /** Bytes of the lists before a place that are not in the frame, where they are empty. */
  const hiddenBefore = (place: number) =>
    [lists.domains, lists.plugins].reduce(
      (sum, { start, end }) => sum + (end > place ? 0 : Math.max(0, end - start - 2)),
      0,
    )
  const inFrame = outside.map((edit) => move(edit, -hiddenBefore(edit.start)))
  const edited = yield* wholeOf(yield* editBytes(frame, inFrame))
  if (!isUtf8(edited)) return undefined
  let missing = 0
  function expectAt({ start }: Range): TakeList {
    const before = outside.filter(({ end }) => end <= start)
    const place = start - hiddenBefore(start) + growthOf(before)
    if (start !== -1) missing += 1
    // biome-ignore lint/correctness/useYield: it takes no time
    return function* takeEmpty(bytes, at) {
      if (start === -1 || at !== place || bytes[at + 1] !== CLOSE_LIST) return undefined
      missing -= 1
      return at + 2
    }
  }
  const expected = { domains: expectAt(lists.domains), plugins: expectAt(lists.plugins) }
  const text = yield* splitObject(edited, { start: 0, end: edited.length }, expected)
  return text === undefined || missing > 0 ? undefined : edited
}

const CLOSE_LIST = 0x5d

/** Undefined where one of them is not UTF-8 any more. */
function* editDomains(inside: Placed['inside'], { domains }: LiveText): Steps<ReadonlyMap<number, Buffer> | undefined> {
  const edited = new Map<number, Buffer>()
  for (const [place, edits] of inside) {
    const before = (domains.texts[place] as Buffer).subarray(domains.starts[place], domains.ends[place])
    const text = yield* wholeOf(yield* editBytes(before, edits))
    if (!isUtf8(text)) return undefined
    edited.set(place, text)
    yield
  }
  return edited
}

type Notes = ReadonlyMap<number, Omit<KnownDomain, 'domain'>>

function* readDomains(
  texts: ReadonlyMap<number, Buffer>,
  general: General,
  rules: DocumentRules,
  { domains, plugins }: LiveText,
  layout: Layout,
) {
  const faults: DocumentError[] = []
  const skip = readSkipped(general.skip_domains ?? [], faults)
  const shared = yield* readShared(plugins.parts as readonly NonNullable<(typeof plugins.parts)[number]>[], faults)
  const read = domains.parts.slice() as (Domain | RefusedDomain | KnownDomain)[]
  const notes = new Map<number, Omit<KnownDomain, 'domain'>>()
  let { count } = layout
  for (const [place, text] of texts) {
    const before = domains.parts[place] as KnownDomain
    const raw = yield* readJsonOfDomain(text, { start: 0, end: text.length })
    // Whether another one has its name, it takes all of them to tell.
    if (!isNamed(raw) || raw.name !== before.domain.name) return undefined
    const own = (yield* checkCaps([{ raw }], [], rules))?.domains[0]
    if (own === undefined) return undefined
    count += own - before.count
    read[place] = yield* readDomain(raw, `domains[${place}]`, shared, new Map(), rules)
    notes.set(place, Object.freeze({ count: own, refers: listReferences(raw.plugins, shared) }))
    yield
  }
  if (count > rules.max_plugins) return undefined
  const document = createDocument(general, skip, read, faults)
  return { document: Object.freeze({ ...document, edited: [...texts.keys()] }), notes: notes as Notes, count }
}

/** Where everything is once that was edited. */
function* moveLayout({ lists, starts }: Layout, edits: readonly Edit[], frame: Buffer, count: number): Steps<Layout> {
  const moveRange = ({ start, end }: Range): Range =>
    start === -1
      ? { start, end }
      : {
          start: start + growthOf(edits.filter((edit) => edit.end <= start)),
          end: end + growthOf(edits.filter((edit) => edit.start < end)),
        }
  const moved = new Float64Array(starts.length)
  let [next, by] = [0, 0]
  for (let place = 0; place < starts.length; place += 1) {
    const at = starts[place] as number
    for (; next < edits.length && (edits[next] as Edit).end <= at; next += 1) by += growthOf([edits[next] as Edit])
    moved[place] = at + by
    if (place % KNOWN_STRETCH === 0) yield
  }
  return Object.freeze({
    frame,
    lists: { domains: moveRange(lists.domains), plugins: moveRange(lists.plugins) },
    starts: moved,
    count,
  })
}

function* learn(
  read: readonly object[],
  edited: ReadonlyMap<number, Buffer>,
  notes: Notes,
  layout: Layout,
  { domains, plugins }: LiveText,
  builtOf: (domain: object) => ProgramDomain | undefined,
): Steps<LiveText> {
  const [texts, starts, ends] = [domains.texts.slice(), domains.starts.slice(), domains.ends.slice()]
  const parts = domains.parts.slice()
  let isSound = true
  for (const [place, text] of edited) {
    texts[place] = text
    starts[place] = 0
    ends[place] = text.length
    const domain = builtOf(read[place] as object)
    const note = notes.get(place) as Omit<KnownDomain, 'domain'>
    parts[place] = domain && Object.freeze({ domain, ...note })
    isSound &&= domain !== undefined
    yield
  }
  const list = Object.freeze({ texts, starts, ends, parts })
  return Object.freeze({ domains: list, plugins, layout: isSound ? layout : undefined })
}
