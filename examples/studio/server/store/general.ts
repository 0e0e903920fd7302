import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { change, describeConflict } from './change.ts'
import type { Tables } from './tables.ts'

type Db = Kysely<Tables>

/** What concerns the whole document, as it is being worked on. */
export interface DraftGeneral {
  /** As a document has it in `general`, without what every version has of its own. */
  readonly fields: Readonly<Record<string, unknown>>
  readonly revision: number
}

/** What is there. */
export function findGeneral(db: Db): Promise<DraftGeneral> {
  return db.selectFrom('general').select(['fields', 'revision']).executeTakeFirstOrThrow()
}

/**
 * Saves it.
 *
 * @param revision the one that was changed
 * @throws Problem with 409 and what is there now, when somebody else has saved it since
 */
export function saveGeneral(
  db: Db,
  actor: Actor,
  revision: number,
  fields: DraftGeneral['fields'],
): Promise<DraftGeneral> {
  return change(db, actor, 'save general', 'the whole document', async (transaction) => {
    const saved = await transaction
      .updateTable('general')
      .set({ fields: JSON.stringify(fields), revision: revision + 1 })
      .where('revision', '=', revision)
      .returning(['fields', 'revision'])
      .executeTakeFirst()
    if (saved === undefined) throw await describeConflict(() => findGeneral(transaction))
    return saved
  })
}
