import { createHash, hash } from 'node:crypto'
import type { PluginFields } from '../../document.ts'
import type { ProgramDomain } from '../../program.ts'
import { STRETCH, type Steps } from '../../time/steps.ts'
import type { Range } from './json-splitter.ts'
import type { Id } from './plugin-reader.ts'

/** A domain that is live just as its text has it. */
export interface KnownDomain {
  readonly domain: ProgramDomain
  /** How many plugins it has, as caps count them. */
  readonly count: number
  /** The shared plugins that it refers to, as they were then: what it became is true for as long as they are the same. */
  readonly refers: readonly Reference[]
}

/** A shared plugin that a domain refers to. */
export interface Reference {
  readonly id: Id
  readonly fields: PluginFields
}

/** A shared plugin that was read, and found to be in order. */
export interface KnownPlugin {
  readonly raw: unknown
  readonly fields: PluginFields
  /** How many plugins it is, as caps count them. */
  readonly count: number
}

/** The items of one of the lists of the document that is live: their texts, and what is known of each. */
export interface LiveList<T> {
  /** The bytes that each of them stands in. */
  readonly texts: readonly Buffer[]
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  /** Undefined: it is read anew in any case. */
  readonly parts: readonly (T | undefined)[]
}

/** What is live, beside the text that it was read from. */
export interface LiveText {
  readonly domains: LiveList<KnownDomain>
  readonly plugins: LiveList<KnownPlugin>
  /** Undefined where that is not known, or not all of the document is live as it stands there. */
  readonly layout: Layout | undefined
}

/** Where everything stands in a document that is live as it stands there. */
export interface Layout {
  /** The document with its lists empty. */
  readonly frame: Buffer
  /** Where its lists stand, from bracket to bracket; the shared plugins' begins at -1 where there is none. */
  readonly lists: { readonly domains: Range; readonly plugins: Range }
  /** Where its domains begin. */
  readonly starts: Float64Array
  /** How many plugins it has, as caps count them. */
  readonly count: number
}

const EMPTY: LiveList<never> = Object.freeze({ texts: [], starts: [], ends: [], parts: [] })

/** Nothing is known by its text. */
export const NO_TEXT: LiveText = Object.freeze({ domains: EMPTY, plugins: EMPTY, layout: undefined })

/** What tells a text from every other, in as little memory as that takes. */
export function* digestOf(bytes: Buffer, start: number, end: number): Steps<string> {
  // One call for each of the many small ones.
  if (end - start <= STRETCH) return hash('sha256', bytes.subarray(start, end), 'binary')
  const long = createHash('sha256')
  for (let at = start; at < end; at += STRETCH) {
    long.update(bytes.subarray(at, Math.min(at + STRETCH, end)))
    yield
  }
  return long.digest('binary')
}
