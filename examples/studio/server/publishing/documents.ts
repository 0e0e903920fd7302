import type { Kysely } from 'kysely'
import { putTogether } from '../review/document-parts.ts'
import type { Review, Reviewer } from '../review/reviewer.ts'
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
    if (known === undefined || known.version < version) known = Object.freeze({ version, document, signed })
    return known
  }

  async function compare(live: Live, draft: DraftDocument, name: string): Promise<DraftReview> {
    const found = await reviewer.review(name, live.document, putTogether(draft, {}))
    return Object.freeze({ ...found, base: live.version, revision: draft.revision, name })
  }

  return Object.freeze({
    live,
    draft: composeDraft,
    async textOf(version) {
      if (version === 0) return NOTHING
      const newest = await live()
      return newest.version === version ? newest.document : (await findVersion(db, version)).document
    },
    async review() {
      const [newest, draft] = [await live(), await composeDraft()]
      const name = `${newest.version}/${draft.revision}`
      if (reviewed?.name !== name) {
        const review = compare(newest, draft, name)
        reviewed = { name, review }
        review.catch(() => {
          if (reviewed?.review === review) reviewed = undefined
        })
      }
      return reviewed.review
    },
  } satisfies Documents)
}
