import { hash } from 'node:crypto'
import type { ProgramDomain } from '../../program.ts'
import type { Steps } from '../../time/steps.ts'
import type { Known, Range } from './json-splitter.ts'
import type { Id, KeptShared, Shared } from './plugin-reader.ts'
import type { KeptPart } from './validator.ts'

/** Items of a list that are live, one after the other, by the text that they were read from. */
interface KnownText extends Known {
  readonly head: string
  readonly digest: string
}

/** Domains that are live, by their text. */
export interface KnownDomains extends KnownText, KeptPart {
  /**
   * Where each of them stands in the text, and how many plugins it has, as caps count them; undefined where none refers to
   * a shared plugin, so that they are kept or read again all together.
   */
  readonly each: readonly (Range & { readonly count: number })[] | undefined
}

/** Shared plugins that are live, by their text. */
export interface KnownPlugins extends KnownText, KeptShared {}

/** What is live, by the text that it was read from. Of the text itself nothing is kept but digests. */
export interface LiveText {
  /** No two of them have a name in common. */
  readonly domains: readonly KnownDomains[]
  readonly plugins: readonly KnownPlugins[]
  /** What the domains were read with. */
  readonly shared: Shared
}

/** Nothing is known by its text. */
export const NO_TEXT: LiveText = Object.freeze({
  domains: Object.freeze([]),
  plugins: Object.freeze([]),
  shared: new Map(),
})

/** Bytes that tell which items may stand at a place, before these are compared as a whole. */
const HEAD_BYTES = 48
/** As large as the parts get that are taken over, or read again, as one. */
const PART_BYTES = 65_536
/** Where many begin alike, no more than so many places are compared with the same one. */
const MOST_TRIES = 4

const headOf = (bytes: Buffer, start: number) => bytes.toString('latin1', start, start + HEAD_BYTES)
/** What tells a text from every other. */
export const digestOf = (bytes: Buffer, { start, end }: Range) => hash('sha256', bytes.subarray(start, end), 'base64')

/**
 * Finds in another text what is live.
 *
 * @returns tells of a place which items stand there, as many as are known together
 */
export function createFinder<T extends KnownText>(live: readonly T[], bytes: Buffer): (at: number) => T | undefined {
  const heads = new Map(live.map((known, index) => [known.head, index]))
  const tries = new Map<T, number>()
  let next = 0

  function stands(known: T | undefined, head: string, at: number): boolean {
    if (known?.head !== head || at + known.length > bytes.length) return false
    const tried = tries.get(known) ?? 0
    tries.set(known, tried + 1)
    return tried < MOST_TRIES && digestOf(bytes, { start: at, end: at + known.length }) === known.digest
  }

  return (at) => {
    if (live.length === 0) return undefined
    const head = headOf(bytes, at)
    const found = heads.get(head)
    for (const index of found === undefined || found === next ? [next] : [next, found]) {
      if (!stands(live[index], head, at)) continue
      next = index + 1
      return live[index]
    }
    return undefined
  }
}

/** A domain of a text that became live: where it stands, and to what it was built. */
export interface BuiltDomain extends Range {
  /** Undefined where it cannot be told by its text alone what it was built to. */
  readonly built: ProgramDomain | undefined
  /** How many plugins it has, as caps count them. */
  readonly count: number
  /** The shared plugins that it refers to. */
  readonly ids: readonly Id[]
}

/** Gathers by what the domains of a text are known again that is live now. */
export function learnDomains(
  bytes: Buffer,
  domains: Iterable<BuiltDomain | KnownDomains>,
): Steps<readonly KnownDomains[]> {
  return learnParts<KnownDomains, BuiltDomain>(
    bytes,
    domains,
    ({ built }) => built !== undefined,
    (run, text) => {
      const origin = (run[0] as BuiltDomain).start
      const isReferring = run.some(({ ids }) => ids.length > 0)
      const each = run.map(({ start, end, count }) => ({ start: start - origin, end: end - origin, count }))
      const built = run.map((each) => each.built as ProgramDomain)
      return Object.freeze({
        ...text,
        domains: Object.freeze(built),
        live: Object.freeze(built.flatMap(({ plugins }) => plugins)),
        plugins: each.reduce((sum, { count }) => sum + count, 0),
        each: isReferring ? Object.freeze(each) : undefined,
        refers: isReferring ? Object.freeze(run.map(({ ids }) => ids)) : undefined,
      })
    },
  )
}

/** A shared plugin of a text that became live, and where it stands. */
export interface ReadPlugin extends Range {
  /** Undefined where it is at fault. */
  readonly entry: KeptShared['entries'][number] | undefined
  /** How many plugins it is, as caps count them. */
  readonly count: number
}

/** Gathers by what the shared plugins of a text are known again. */
export function learnPlugins(
  bytes: Buffer,
  plugins: Iterable<ReadPlugin | KnownPlugins>,
): Steps<readonly KnownPlugins[]> {
  return learnParts<KnownPlugins, ReadPlugin>(
    bytes,
    plugins,
    ({ entry }) => entry !== undefined,
    (run, text) =>
      Object.freeze({
        ...text,
        entries: Object.freeze(run.map(({ entry }) => entry as KeptShared['entries'][number])),
        plugins: run.reduce((sum, { count }) => sum + count, 0),
      }),
  )
}

/** What is known stays as it is; the rest is taken together, as far as it is sound and stands side by side. */
function* learnParts<T extends KnownText, R extends Range>(
  bytes: Buffer,
  items: Iterable<R | T>,
  isSound: (item: R) => boolean,
  join: (run: readonly R[], text: KnownText) => T,
): Steps<readonly T[]> {
  const parts: T[] = []
  let run: R[] = []

  function close(): void {
    const [first, last] = [run[0], run.at(-1)]
    if (first === undefined || last === undefined) return
    const range = { start: first.start, end: last.end }
    const length = range.end - range.start
    parts.push(join(run, { length, head: headOf(bytes, range.start), digest: digestOf(bytes, range) }))
    run = []
  }

  for (const item of items) {
    const isKnown = 'head' in item
    if (isKnown || !isSound(item)) close()
    if (isKnown) parts.push(item)
    else if (isSound(item)) run.push(item)
    if (run.length > 0 && (run.at(-1) as R).end - (run[0] as R).start >= PART_BYTES) close()
    yield
  }
  close()
  return Object.freeze(parts)
}
