import { type Difference, type Finding, type PrivateKey, sign_document } from 'dynacode/tools'
import { findPlaced, type PlacedPlugin } from '../actions/place-plugin.ts'
import type { MadePlugin } from '../actions/recipes.ts'
import { type Applied, applyEdits, type EditKey, type GivenEdit } from '../changes/apply-edits.ts'
import { findChangedPlugins, findEdits } from '../changes/find-edits.ts'
import { readPlain, writeDomains } from '../changes/plain-document.ts'
import { indexSet, type SetAnswers, type SetIndex, type SetQuestion } from '../changes/set-index.ts'
import { type FileChanges, spreadFiles } from '../git/spread-files.ts'
import { Problem } from '../problem.ts'
import { writeImport } from '../store/read-import.ts'
import { type CheckDocument, createCheck } from './check-document.ts'
import { compareTexts } from './compare-texts.ts'
import {
  type DocumentParts,
  type GivenShare,
  type GivenVariant,
  giveShare,
  type LivePlace,
  putTogether,
  stopVariant,
  takeApart,
} from './document-parts.ts'
import { type GivenFolder, makeArchive, readFolder } from './folder.ts'
import { type ReadImport, readGiven } from './given-import.ts'
import { askLive, indexLive, type LiveAnswer, type LiveIndex, type LiveQuestion } from './live-index.ts'

/** A page of a list that may be long, and how long all of it is. */
export interface Slice<T> {
  readonly items: readonly T[]
  readonly total: number
}

/** What would change, and what the checks find; errors first. */
export interface Review {
  readonly differences: Slice<Difference>
  readonly findings: Slice<Finding>
  readonly errors: number
}

/** The same of a change set, and where it and what is live do not go together. */
export interface SetReview extends Review {
  readonly conflicts: Applied['conflicts']
  readonly changes: number
}

/** An edit as the database has it: JSON as text. */
export interface WrittenEdit extends EditKey {
  readonly base: string
  readonly after: string
}

/** Of a document that is large, the thread that is asked keeps what it has made. */
interface SetSource {
  readonly live: string
  readonly edits: readonly WrittenEdit[]
}

/** How many of a list go out at once. */
export const SLICE = 200
/** Reviews that are remembered, for who asks for their further pages. */
const REMEMBERED = 4
/** Change sets whose lists are remembered. */
const INDEXES = 8

/** What takes long for a document of 10,000 plugins: done in a thread of its own. */
export interface Tasks {
  /** @param name under which further pages can be asked for */
  review(name: string, before: string, after: string): Promise<Review>
  /** The same of what is live with a change set in it. */
  reviewSet(name: string, live: string, edits: readonly WrittenEdit[]): Promise<SetReview>
  /** A further page of what an earlier review has found; undefined when it is no longer known. */
  readDifferences(name: string, from: number): Promise<Slice<Difference> | undefined>
  readFindings(name: string, from: number): Promise<Slice<Finding> | undefined>
  check(text: string): Promise<Slice<Finding>>
  compare(before: string, after: string, from: number): Promise<Slice<Difference>>
  /** A `tar.gz` of the folder format. */
  makeArchive(text: string): Promise<Uint8Array>
  readFolder(given: GivenFolder): Promise<string>
  /** What a request to import something, as it came, would change of what is live, and how much it is. */
  previewImport(
    bytes: Uint8Array,
    live: string,
  ): Promise<Review & { readonly domains: number; readonly plugins: number }>
  /** What is to become different in a folder, of which these are the files, so that it makes up this document. */
  spread(text: string, files: Readonly<Record<string, string>> | undefined): Promise<FileChanges>
  /** What it would make different, as edits; and what was said of it. */
  importEdits(
    bytes: Uint8Array,
    live: string,
  ): Promise<
    Omit<ReadImport, 'given'> & {
      readonly edits: readonly WrittenEdit[]
      readonly domains: number
      readonly plugins: number
    }
  >
  /** Puts a change set into what is live. */
  compose(
    live: string,
    edits: readonly WrittenEdit[],
  ): Promise<{ readonly parts: DocumentParts; readonly conflicts: Applied['conflicts'] }>
  /** @param source left out, the answer is undefined where nothing of this name is known */
  askSet(
    question: SetQuestion,
    name: string,
    source?: SetSource,
  ): Promise<{ readonly answer: SetAnswers[keyof SetAnswers] } | undefined>
  /** Plugins that are not the same in two documents. */
  findChangedPlugins(before: string, after: string): Promise<ReturnType<typeof findChangedPlugins>>
  sign(text: string, key: PrivateKey): Promise<string>
  /** @param text of the version; left out, the answer is undefined where the version is not known yet */
  askLive(question: LiveQuestion, version: number, text?: string): Promise<LiveAnswer | undefined>
  /** A plugin of what is live, by its name. */
  findPlaced(text: string, place: Omit<PlacedPlugin, 'fields'>): Promise<MadePlugin | undefined>
  /** The document with another share of a plugin's rollout; undefined where there is none. */
  giveShare(text: string, given: GivenShare): Promise<DocumentParts | undefined>
  /** The document without the code of a variant; undefined where there is none. */
  stopVariant(text: string, given: GivenVariant): Promise<DocumentParts | undefined>
  takeApart(text: string, changed?: LivePlace & { readonly on: boolean }): Promise<ReturnType<typeof takeApart>>
}

/** Makes the tasks of one thread. @param globals names of the apps' own that plugins may use */
export function createTasks(globals: readonly string[]): Tasks {
  const check: CheckDocument = createCheck(globals)
  /** What is typed is not to push out what is known of the draft. */
  const checkTyped = createCheck(globals)
  let live: LiveIndex | undefined
  const sets = new Map<string, SetIndex>()
  const reviews = new Map<string, { differences: readonly Difference[]; findings: readonly Finding[] }>()

  async function review(name: string, before: string, after: string): Promise<Review> {
    const findings = orderFindings(await check(after))
    const review = { differences: compareOrNone(before, after), findings }
    reviews.delete(name)
    reviews.set(name, review)
    for (const oldest of reviews.keys()) if (reviews.size > REMEMBERED) reviews.delete(oldest)
    const errors = findings.filter(({ severity }) => severity === 'error').length
    return { differences: slice(review.differences, 0), findings: slice(findings, 0), errors }
  }

  return Object.freeze({
    review,
    async reviewSet(name, live, edits) {
      const { parts, conflicts } = compose(live, edits)
      return { ...(await review(name, live, putTogether(parts, {}))), conflicts, changes: edits.length }
    },
    async previewImport(bytes, live) {
      const { given } = await readGiven(bytes)
      return { ...(await review('import', live, writeImport(given))), ...count(given) }
    },
    async importEdits(bytes, live) {
      const { given, ...said } = await readGiven(bytes)
      const edits = findEdits(readPlain(live), given).map(({ base, after, ...key }) => ({
        ...key,
        base: JSON.stringify(base),
        after: JSON.stringify(after),
      }))
      return { ...said, ...count(given), edits }
    },
    compose: async (live, edits) => compose(live, edits),
    async askSet(question, name, source) {
      let index = sets.get(name)
      if (index === undefined && source === undefined) return undefined
      index ??= indexSet(readPlain((source as SetSource).live), (source as SetSource).edits.map(readEdit))
      // Used a moment ago: the last to go.
      sets.delete(name)
      sets.set(name, index)
      for (const oldest of sets.keys()) if (sets.size > INDEXES) sets.delete(oldest)
      return { answer: index(question) }
    },
    findChangedPlugins: async (before, after) => findChangedPlugins(readPlain(before), readPlain(after)),
    async readDifferences(name, from) {
      const known = reviews.get(name)
      return known && slice(known.differences, from)
    },
    async readFindings(name, from) {
      const known = reviews.get(name)
      return known && slice(known.findings, from)
    },
    check: async (text) => slice(orderFindings(await checkTyped(text)), 0),
    compare: async (before, after, from) => slice(compareTexts(before, after), from),
    makeArchive,
    readFolder,
    async spread(text, files) {
      const known = files && { files: new Map(Object.entries(files)), text: await readFolder({ files }) }
      try {
        return spreadFiles(text, known)
      } catch (error) {
        throw new Problem(422, (error as Error).message)
      }
    },
    sign: (text, key) => sign_document(text, key),
    async askLive(question, version, text) {
      if (live?.version !== version && text !== undefined) live = indexLive(version, text)
      return live?.version === version ? askLive(live, question) : undefined
    },
    findPlaced: async (text, place) => findPlaced(text, place),
    giveShare: async (text, given) => giveShare(text, given),
    stopVariant: async (text, given) => stopVariant(text, given),
    takeApart: async (text, changed) => takeApart(text, changed),
  } satisfies Tasks)
}

function compose(live: string, edits: readonly WrittenEdit[]) {
  const { document, conflicts } = applyEdits(readPlain(live), edits.map(readEdit))
  return { parts: { general: document.general, domains: writeDomains(document.domains) }, conflicts }
}

function readEdit({ base, after, ...key }: WrittenEdit): GivenEdit {
  return { ...key, base: JSON.parse(base), after: JSON.parse(after) }
}

function count({ domains }: ReadImport['given']) {
  return { domains: domains.length, plugins: domains.reduce((sum, { plugins }) => sum + plugins.length, 0) }
}

/** A draft that would be refused as a whole cannot be compared; the findings say why. */
function compareOrNone(before: string, after: string): readonly Difference[] {
  try {
    return compareTexts(before, after)
  } catch {
    return []
  }
}

const ORDER = ['error', 'warning', 'note']

function orderFindings(findings: readonly Finding[]): readonly Finding[] {
  return [...findings].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity))
}

function slice<T>(list: readonly T[], from: number): Slice<T> {
  return { items: list.slice(from, from + SLICE), total: list.length }
}
