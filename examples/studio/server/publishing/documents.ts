import type { Kysely } from 'kysely'
import type { Tables } from '../store/tables.ts'
import { findLatest, findNewest, findVersion, NOTHING } from './versions.ts'

/** What is live: the newest version, or nothing yet. */
export interface Live {
  readonly version: number
  readonly document: string
  /** As instances get it, where there is a key. */
  readonly signed: string | null
}

/** Documents as text, each read once. */
export interface Documents {
  live(): Promise<Live>
  /** The text of a version; of 0, the empty document. @throws Problem where there is none */
  textOf(version: number): Promise<string>
}

/** Makes the documents of one process. */
export function createDocuments(db: Kysely<Tables>): Documents {
  let known: Live | undefined

  async function live(): Promise<Live> {
    const newest = await findNewest(db)
    if (known?.version === newest) return known
    const latest = await findLatest(db)
    const { version, document, signed } = latest ?? { version: 0, document: NOTHING, signed: null }
    known = Object.freeze({ version, document, signed })
    return known
  }

  return Object.freeze({
    live,
    async textOf(version) {
      if (version === 0) return NOTHING
      const newest = await live()
      return newest.version === version ? newest.document : (await findVersion(db, version)).document
    },
  } satisfies Documents)
}
