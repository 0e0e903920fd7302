import { type Difference, type Finding, type PrivateKey, sign_document } from 'dynacode/tools'
import { type FileChanges, spreadFiles } from '../git/spread-files.ts'
import { Problem } from '../problem.ts'
import { type DraftImport, writeImport } from '../store/read-import.ts'
import { type CheckDocument, createCheck } from './check-document.ts'
import { compareTexts } from './compare-texts.ts'
import { type LivePlace, takeApart } from './document-parts.ts'
import { type GivenFolder, makeArchive, readFolder } from './folder.ts'
import { type ReadImport, readGiven } from './given-import.ts'
import { askLive, indexLive, type LiveAnswer, type LiveIndex, type LiveQuestion } from './live-index.ts'
import { mergeDocuments } from './merge-documents.ts'

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

/** How many of a list go out at once. */
export const SLICE = 200
/** Reviews that are remembered, for who asks for their further pages. */
const REMEMBERED = 4

/** What takes long for a document of 10,000 plugins: done in a thread of its own. */
export interface Tasks {
  /** @param name under which further pages can be asked for */
  review(name: string, before: string, after: string): Promise<Review>
  /** A further page of what an earlier review has found; undefined when it is no longer known. */
  readDifferences(name: string, from: number): Promise<Slice<Difference> | undefined>
  readFindings(name: string, from: number): Promise<Slice<Finding> | undefined>
  check(text: string): Promise<Slice<Finding>>
  compare(before: string, after: string, from: number): Promise<Slice<Difference>>
  /** A `tar.gz` of the folder format. */
  makeArchive(text: string): Promise<Uint8Array>
  readFolder(given: GivenFolder): Promise<string>
  /** Reads a request to import something, as it came. */
  readImport(bytes: Uint8Array): Promise<ReadImport>
  /** What that would change of the draft, and how much it is. */
  previewImport(
    bytes: Uint8Array,
    draft: string,
  ): Promise<Review & { readonly domains: number; readonly plugins: number }>
  /** What is to become different in a folder, of which these are the files, so that it makes up this document. */
  spread(text: string, files: Readonly<Record<string, string>> | undefined): Promise<FileChanges>
  /** Brings what is new since `base` into `ours`. */
  merge(base: string, ours: string, theirs: string): Promise<DraftImport>
  sign(text: string, key: PrivateKey): Promise<string>
  /** @param text of the version; left out, the answer is undefined where the version is not known yet */
  askLive(question: LiveQuestion, version: number, text?: string): Promise<LiveAnswer | undefined>
  takeApart(text: string, changed?: LivePlace & { readonly on: boolean }): Promise<ReturnType<typeof takeApart>>
}

/** Makes the tasks of one thread. @param globals names of the apps' own that plugins may use */
export function createTasks(globals: readonly string[]): Tasks {
  const check: CheckDocument = createCheck(globals)
  /** What is typed is not to push out what is known of the draft. */
  const checkTyped = createCheck(globals)
  let live: LiveIndex | undefined
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
    async previewImport(bytes, draft) {
      const { given } = await readGiven(bytes)
      const { domains } = given
      const plugins = domains.reduce((sum, { plugins }) => sum + plugins.length, 0)
      return { ...(await review('import', draft, writeImport(given))), domains: domains.length, plugins }
    },
    readImport: readGiven,
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
    merge: async (base, ours, theirs) => mergeDocuments(base, ours, theirs),
    sign: (text, key) => sign_document(text, key),
    async askLive(question, version, text) {
      if (live?.version !== version && text !== undefined) live = indexLive(version, text)
      return live?.version === version ? askLive(live, question) : undefined
    },
    takeApart: async (text, changed) => takeApart(text, changed),
  } satisfies Tasks)
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
