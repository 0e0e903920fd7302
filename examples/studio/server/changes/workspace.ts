import { createHash, randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { Problem } from '../problem.ts'
import type { Documents, Live } from '../publishing/documents.ts'
import { askForAll } from '../review/asking.ts'
import type { DocumentParts } from '../review/document-parts.ts'
import type { Reviewer, SetReview } from '../review/reviewer.ts'
import type { Slice, WrittenEdit } from '../review/tasks.ts'
import type { Tables } from '../store/tables.ts'
import type { Applied } from './apply-edits.ts'
import { canonical } from './plain-document.ts'
import type { SetAnswer, SetQuestion } from './set-index.ts'

/** Rows at a time, and others are answered in between. */
const ROWS = 500
/** Reviews that are remembered, of one change set each. */
const REMEMBERED = 8

/** A review of a change set, and what it is of. */
export interface ReviewOfSet extends SetReview {
  /** The version that it was compared with. */
  readonly base: number
  readonly revision: number
  /** By which its further pages are asked for. */
  readonly name: string
}

/** A change set put into what is live. */
export interface Composed {
  readonly parts: DocumentParts
  readonly conflicts: Applied['conflicts']
  readonly revision: number
}

/** What is live with a change set in it. Without a change set: what is live. */
export interface Workspace {
  ask<Q extends SetQuestion>(set: number | undefined, question: Q): Promise<SetAnswer<Q>>
  /** @throws Problem where there is no such change set */
  compose(set: number, live: Live): Promise<Composed>
  /** What a change set would change, and what is wrong with it; done once, however many ask. */
  review(set: number): Promise<ReviewOfSet>
  listDifferences(set: number, from: number): Promise<SetReview['differences']>
  listFindings(set: number, from: number): Promise<SetReview['findings']>
}

/** Makes that of one process. */
export function createWorkspace(db: Kysely<Tables>, documents: Documents, reviewer: Reviewer): Workspace {
  /** What the threads remember is of this database. */
  const own = randomUUID()
  const reviewed = new Map<number, { readonly name: string; readonly review: Promise<ReviewOfSet> }>()

  async function nameOf(set: number | undefined): Promise<{ name: string; live: Live }> {
    const [live, revision] = [await documents.live(), set === undefined ? 0 : await findRevision(db, set)]
    return { name: [own, live.version, set ?? 0, revision].join('/'), live }
  }

  async function makeReview(set: number, live: Live, name: string): Promise<ReviewOfSet> {
    const { revision, edits } = await readEdits(db, set)
    const found = await reviewer.reviewSet(name, live.document, edits)
    return Object.freeze({ ...found, base: live.version, revision, name })
  }

  async function review(set: number): Promise<ReviewOfSet> {
    const { name, live } = await nameOf(set)
    const known = reviewed.get(set)
    if (known?.name === name) return known.review
    const review = askForAll(() => makeReview(set, live, name))
    reviewed.delete(set)
    reviewed.set(set, { name, review })
    for (const oldest of reviewed.keys()) if (reviewed.size > REMEMBERED) reviewed.delete(oldest)
    review.catch(() => {
      if (reviewed.get(set)?.review === review) reviewed.delete(set)
    })
    return review
  }

  /** A review that later ones have pushed out is made once more. */
  async function readOn<T>(set: number, read: (name: string) => Promise<Slice<T> | undefined>): Promise<Slice<T>> {
    const found = await read((await review(set)).name)
    if (found !== undefined) return found
    reviewed.delete(set)
    return (await read((await review(set)).name)) ?? { items: [], total: 0 }
  }

  return Object.freeze({
    async ask(set, question) {
      const { name, live } = await nameOf(set)
      // What is large goes to the thread once.
      const known = await reviewer.askSet(question, name)
      if (known !== undefined) return known.answer as never
      const { edits } = set === undefined ? { edits: [] } : await readEdits(db, set)
      const asked = await reviewer.askSet(question, name, { live: live.document, edits })
      return asked?.answer as never
    },
    async compose(set, live) {
      const { revision, edits } = await readEdits(db, set)
      return { ...(await reviewer.compose(live.document, edits)), revision }
    },
    review,
    listDifferences: (set, from) => readOn(set, (name) => reviewer.readDifferences(name, from)),
    listFindings: (set, from) => readOn(set, (name) => reviewer.readFindings(name, from)),
  } satisfies Workspace)
}

async function findRevision(db: Kysely<Tables>, set: number): Promise<number> {
  const found = await db.selectFrom('change_set').select('revision').where('id', '=', set).executeTakeFirst()
  if (found === undefined) throw new Problem(404, 'there is no such change set')
  return found.revision
}

/** All of it as it was at one moment; as text, which a thread reads. */
function readEdits(db: Kysely<Tables>, set: number): Promise<{ revision: number; edits: WrittenEdit[] }> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (transaction) => {
      const revision = await findRevision(transaction, set)
      const edits: WrittenEdit[] = []
      for (let after = 0; ; ) {
        const rows = await transaction
          .selectFrom('change_edit')
          .select(['id', 'kind', 'domain', 'name', 'phase'])
          .select([sql<string>`base::text`.as('base'), sql<string>`after::text`.as('after')])
          .where('set_id', '=', set)
          .where('id', '>', after)
          // What is added stands in the order in which it was.
          .orderBy('id')
          .limit(ROWS)
          .execute()
        edits.push(...rows.map(({ id: _, ...edit }) => edit))
        const last = rows.at(-1)
        if (last === undefined || rows.length < ROWS) return { revision, edits }
        after = last.id
        await setImmediate()
      }
    })
}

/** Of an edit and what is live of the same: whoever saves says which both were. */
export function revisionOf(edit: { readonly revision: number } | undefined, live: unknown): string {
  const digest = createHash('sha1').update(canonical(live)).digest('base64url').slice(0, 12)
  return `${edit?.revision ?? 0}-${digest}`
}
