import { hash } from 'node:crypto'
import type { ProgramDomain } from '../program.ts'
import type { Steps } from '../steps.ts'
import type { Known, Range } from './json-splitter.ts'
import type { Shared } from './plugin-reader.ts'
import type { KeptDomain, KeptPart, KnownShared } from './validator.ts'

/** Domains that are live, one after the other, by the text that they were read from. */
export interface KnownDomains extends Known, KeptPart {
  /** The shared plugins that they may refer to; undefined where there were none. */
  readonly shared: Shared | undefined
  readonly head: string
  readonly digest: string
}

/** All of the shared plugins that are live, by the text that they were read from. */
export interface KnownPlugins extends Known, KnownShared {
  readonly digest: string
}

/** What is live, by the text that it was read from. Of the text itself nothing is kept but digests. */
export interface LiveText {
  readonly domains: readonly KnownDomains[]
  readonly plugins: KnownPlugins | undefined
}

/** Nothing is known by its text. */
export const NO_TEXT: LiveText = Object.freeze({ domains: Object.freeze([]), plugins: undefined })

/** Bytes that tell which domains may stand at a place, before these are compared as a whole. */
const HEAD_BYTES = 48
/** As large as the parts get that are taken over, or read again, as one. */
const PART_BYTES = 65_536
/** Where many begin alike, no more than so many places are compared with the same one. */
const MOST_TRIES = 4

const headOf = (bytes: Buffer, start: number) => bytes.toString('latin1', start, start + HEAD_BYTES)
const digestOf = (bytes: Buffer, { start, end }: Range) => hash('sha256', bytes.subarray(start, end), 'base64')

/** Finds in another text what is live. */
export function createFinder(live: LiveText, bytes: Buffer) {
  const heads = new Map(live.domains.map((known, index) => [known.head, index]))
  const tries = new Map<KnownDomains, number>()
  let next = 0

  function stands(known: KnownDomains | undefined, head: string, at: number): boolean {
    if (known?.head !== head || at + known.length > bytes.length) return false
    const tried = tries.get(known) ?? 0
    tries.set(known, tried + 1)
    return tried < MOST_TRIES && digestOf(bytes, { start: at, end: at + known.length }) === known.digest
  }

  return {
    /** The domains that stand here, as many as are known together. */
    domains(at: number): KnownDomains | undefined {
      if (live.domains.length === 0) return undefined
      const head = headOf(bytes, at)
      const found = heads.get(head)
      for (const index of found === undefined || found === next ? [next] : [next, found]) {
        if (!stands(live.domains[index], head, at)) continue
        next = index + 1
        return live.domains[index]
      }
      return undefined
    },
    /** The list of shared plugins whose first one stands here. */
    plugins(at: number): KnownPlugins | undefined {
      const known = live.plugins
      const isThere = known !== undefined && digestOf(bytes, { start: at, end: at + known.length }) === known.digest
      return isThere ? known : undefined
    },
  }
}

/** A domain of a text that became live: where it stands, and to what it was built. */
interface BuiltDomain extends Range {
  /** Undefined where it was not built as it stands there. */
  readonly built: ProgramDomain | undefined
  /** How many plugins it has, as caps count them. */
  readonly plugins: number
}

/** Gathers by what the domains of a text are known again that is live now. */
export function* learnDomains(
  bytes: Buffer,
  domains: Iterable<BuiltDomain | KnownDomains>,
  shared: Shared | undefined,
): Steps<readonly KnownDomains[]> {
  const known: KnownDomains[] = []
  let run: BuiltDomain[] = []

  function close(): void {
    const [first, last] = [run[0], run.at(-1)]
    if (first === undefined || last === undefined) return
    const { start } = first
    known.push(
      Object.freeze({
        length: last.end - start,
        head: headOf(bytes, start),
        digest: digestOf(bytes, { start, end: last.end }),
        shared,
        domains: run.map(({ built }) => Object.freeze({ name: built?.name, kept: built }) as KeptDomain),
        plugins: run.reduce((sum, { plugins }) => sum + plugins, 0),
      }),
    )
    run = []
  }

  for (const domain of domains) {
    if ('digest' in domain || domain.built === undefined) close()
    if ('digest' in domain) known.push(domain)
    else if (domain.built !== undefined) run.push(domain)
    if (run.length > 0 && (run.at(-1) as Range).end - (run[0] as Range).start >= PART_BYTES) close()
    yield
  }
  close()
  return known
}

/** Gathers by what the list of shared plugins is known again. */
export function learnPlugins(bytes: Buffer, range: Range, shared: Shared, plugins: number): KnownPlugins {
  return Object.freeze({ length: range.end - range.start, digest: digestOf(bytes, range), shared, plugins })
}
