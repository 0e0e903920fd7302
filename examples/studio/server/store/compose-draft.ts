import { setImmediate } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import type { DocumentParts } from '../review/document-parts.ts'
import { findDraftRevision } from './change.ts'
import type { Tables } from './tables.ts'

/** Everything that is being worked on, as one document without its version. */
export interface DraftDocument extends DocumentParts {
  /** Of the draft: it is the same document while this is the same. */
  readonly revision: number
}

/** So many rows at a time, and others are answered in between. */
const ROWS = 500

/** Makes what puts the draft together: once for each of its revisions, however many ask. */
export function createComposer(db: Kysely<Tables>): () => Promise<DraftDocument> {
  let known: DraftDocument | undefined
  let running: Promise<DraftDocument> | undefined

  return async function composeDraft(): Promise<DraftDocument> {
    if (known !== undefined && known.revision === (await findDraftRevision(db))) return known
    if (running !== undefined) {
      // It may have begun before what the caller has just saved.
      const composed = await running
      return composed.revision === (await findDraftRevision(db)) ? composed : composeDraft()
    }
    running = compose(db).finally(() => {
      running = undefined
    })
    const composed = await running
    known = composed
    return composed
  }
}

/** All of it as it was at one moment. */
function compose(db: Kysely<Tables>): Promise<DraftDocument> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (transaction) => {
      const revision = await findDraftRevision(transaction)
      const { fields: general } = await transaction.selectFrom('general').select('fields').executeTakeFirstOrThrow()
      const domains = await transaction.selectFrom('domain').select(['id', 'name']).orderBy('position').execute()
      const texts = new Map<number, string[]>(domains.map(({ id }) => [id, []]))
      for await (const { domain_id, name, phase, fields } of readPlugins(transaction)) {
        // As text: to read the fields and write them again would be most of the work.
        const rest = fields.trim().slice(1).trimStart()
        const head = `{"name":${JSON.stringify(name)},"phase":${JSON.stringify(phase)}`
        texts.get(domain_id)?.push(rest === '}' ? `${head}}` : `${head},${rest}`)
      }
      const list = domains.map(
        ({ id, name }) => `{"name":${JSON.stringify(name)},"plugins":[${texts.get(id)?.join()}]}`,
      )
      return { revision, general, domains: `[${list.join()}]` }
    })
}

async function* readPlugins(db: Kysely<Tables>) {
  let after = { domain_id: 0, position: 0, id: 0 }
  for (;;) {
    const rows = await db
      .selectFrom('plugin')
      .select(['id', 'domain_id', 'position', 'name', 'phase', sql<string>`fields::text`.as('fields')])
      .where(({ eb, refTuple, tuple }) =>
        eb(refTuple('domain_id', 'position', 'id'), '>', tuple(after.domain_id, after.position, after.id)),
      )
      .orderBy('domain_id')
      .orderBy('position')
      .orderBy('id')
      .limit(ROWS)
      .execute()
    yield* rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS) return
    after = last
    await setImmediate()
  }
}
