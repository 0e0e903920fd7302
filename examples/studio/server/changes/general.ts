import type { Fields } from '../../shared/changes.ts'
import type { Actor } from '../auth/actor.ts'
import type { EditKey } from './apply-edits.ts'
import { conflictWith, editSet, findEdit, putEdit, type SetRef } from './edit-set.ts'
import { type Desk, idOf } from './plugins.ts'
import { revisionOf } from './workspace.ts'

const KEY: EditKey = { kind: 'general', domain: '', name: '', phase: '' }

/** What a change set says of the whole document. */
export async function findGeneral({ db, workspace }: Desk, set: number | undefined) {
  const { general, live_general, conflicts } = await workspace.ask(set, { about: 'document' })
  const edit = set === undefined ? undefined : await findEdit(db, set, KEY)
  return { set: set ?? null, fields: general, revision: revisionOf(edit, live_general), conflicts }
}

/**
 * Saves it.
 *
 * @throws Problem with 409 and what is there now, when somebody else has saved or published it since
 */
export async function saveGeneral(
  desk: Desk,
  actor: Actor,
  set: SetRef,
  fields: Fields,
  { revision, resolve }: { readonly revision: string; readonly resolve: boolean },
): Promise<{ set: number }> {
  const { live_general, conflicts, general } = await desk.workspace.ask(idOf(set), { about: 'document' })
  return editSet(desk.db, actor, set, ['save general', 'the whole document'], async (transaction, id) => {
    const edit = await findEdit(transaction, id, KEY)
    const is = revisionOf(edit, live_general)
    if (is !== revision) throw conflictWith({ fields: edit?.after ?? general, revision: is })
    const base = conflicts.length > 0 && !resolve ? (edit?.base ?? live_general) : live_general
    await putEdit(transaction, actor, id, { ...KEY, base, after: fields })
    return undefined
  })
}
