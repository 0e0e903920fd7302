import type { Kysely } from 'kysely'
import { askForAll } from '../review/asking.ts'
import { putTogether } from '../review/document-parts.ts'
import type { Review, Reviewer } from '../review/reviewer.ts'
import type { Slice } from '../review/tasks.ts'
import type { DraftDocument } from '../store/compose-draft.ts'
import { createComposer } from '../store/compose-draft.ts'
import type { Tables } from '../store/tables.ts'
import { findLatest, findNewest, findVersion, NOTHING } from './versions.ts'

/** What is live: the newest version, or nothing yet. */
export interface Live {
  readonly version: number
  readonly document: string
  /** As instances get it, where there is a key. */
  readonly signed: string | null
}

/** A review of the draft, and what it is of. */
export interface DraftReview extends Review {
  /** The version it was compared with. */
  readonly base: number
  /** Revision of the draft. */
  readonly revision: number
  /** By which its further pages are asked for. */
  readonly name: string
}

/** Documents as text, each read or put together once. */
export interface Documents {
  live(): Promise<Live>
  draft(): Promise<DraftDocument>
  /** The text of a version; of 0, the empty document. @throws Problem where there is none */
  textOf(version: number): Promise<string>
  /** What the draft would change, and what is wrong with it. */
  review(): Promise<DraftReview>
  /** The same from one of the differences on. */
  listDifferences(from: number): Promise<DraftReview['differences']>
  /** The same from one of the findings on. */
  listFindings(from: number): Promise<DraftReview['findings']>
}

/** Makes the documents of one process. */
export function createDocuments(db: Kysely<Tables>, reviewer: Reviewer): Documents {
  const composeDraft = createComposer(db)
  let known: Live | undefined
  let reviewed: { readonly name: string; readonly review: Promise<DraftReview> } | undefined

  async function live(): Promise<Live> {
    const newest = await findNewest(db)
    if (known?.version === newest) return known
    const latest = await findLatest(db)
    const { version, document, signed } = latest ?? { version: 0, document: NOTHING, signed: null }
    known = Object.freeze({ version, document, signed })
    return known
  }

  async function compare(live: Live, draft: DraftDocument, name: string): Promise<DraftReview> {
    const found = await reviewer.review(name, live.document, putTogether(draft, {}))
    return Object.freeze({ ...found, base: live.version, revision: draft.revision, name })
  }

  async function review(): Promise<DraftReview> {
    const [newest, draft] = [await live(), await composeDraft()]
    const name = `${newest.version}/${draft.revision}`
    if (reviewed?.name !== name) {
      const review = askForAll(() => compare(newest, draft, name))
      reviewed = { name, review }
      review.catch(() => {
        if (reviewed?.review === review) reviewed = undefined
      })
    }
    return reviewed.review
  }

  /** A review that later ones have pushed out is made once more. */
  async function readOn<T>(read: (name: string) => Promise<Slice<T> | undefined>): Promise<Slice<T>> {
    const found = await read((await review()).name)
    if (found !== undefined) return found
    reviewed = undefined
    return (await read((await review()).name)) ?? { items: [], total: 0 }
  }

  return Object.freeze({
    live,
    draft: composeDraft,
    async textOf(version) {
      if (version === 0) return NOTHING
      const newest = await live()
      return newest.version === version ? newest.document : (await findVersion(db, version)).document
    },
    review,
    listDifferences: (from) => readOn((name) => reviewer.readDifferences(name, from)),
    listFindings: (from) => readOn((name) => reviewer.readFindings(name, from)),
  } satisfies Documents)
}
