import { type Kysely, sql } from 'kysely'
import type { ChangeKind } from '../../shared/changes.ts'
import type { Tables } from '../store/tables.ts'
import type { Applied } from './apply-edits.ts'

/** As many of a list go out at once. */
const MOST = 200

/** The changes of a change set: those that do not go together with what is live first. */
export async function listEdits(db: Kysely<Tables>, set: number, conflicts: Applied['conflicts']) {
  const rows = await db
    .selectFrom('change_edit')
    .leftJoin('account', 'account.id', 'change_edit.updated_by')
    .select([
      'change_edit.kind',
      'change_edit.domain',
      'change_edit.name',
      'change_edit.phase',
      'change_edit.updated_at',
    ])
    .select('account.name as updated_by')
    .select([
      sql<boolean>`change_edit.base::text = 'null'`.as('was_not'),
      sql<boolean>`change_edit.after::text = 'null'`.as('is_not'),
    ])
    .where('set_id', '=', set)
    .orderBy('change_edit.id')
    .limit(MOST)
    .execute()
  const textOf = ({ kind, domain, name, phase }: { kind: string; domain: string; name: string; phase: string }) =>
    JSON.stringify([kind, domain, name, phase])
  const known = new Map(conflicts.map((each) => [textOf(each), each.conflicts]))
  const edits = rows.map(({ was_not, is_not, ...row }) => ({
    ...row,
    change: (was_not ? 'added' : is_not ? 'removed' : 'changed') as ChangeKind,
    conflicts: known.get(textOf(row)) ?? [],
  }))
  return [...edits.filter((each) => each.conflicts.length > 0), ...edits.filter((each) => each.conflicts.length === 0)]
}
