import { setImmediate } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import type { EditKey, GivenEdit } from './apply-edits.ts'
import { isSame } from './plain-document.ts'

type Db = Kysely<Tables>

/** A change set that there is, or one that begins with this very change. */
export type SetRef = number | { readonly name: string }

/** Rows of one statement: others are answered in between. */
const ROWS = 500

/**
 * Changes something in a change set, in one transaction: from its beginning on, others who change the same one wait. The log
 * has it, and everybody who looks at it is told.
 *
 * @throws Problem where it is none, or not open any more
 */
export function editSet<T extends object | undefined>(
  db: Db,
  actor: Actor,
  set: SetRef,
  [action, subject]: readonly [action: string, subject: string],
  run: (transaction: Db, set_id: number) => Promise<T>,
): Promise<T & { readonly set: number }> {
  return db.transaction().execute((transaction) => changeSet(transaction, actor, set, [action, subject], run))
}

/** The same in a transaction that has begun. */
export async function changeSet<T extends object | undefined>(
  transaction: Db,
  actor: Actor,
  set: SetRef,
  [action, subject]: readonly [action: string, subject: string],
  run: (transaction: Db, set_id: number) => Promise<T>,
): Promise<T & { readonly set: number }> {
  const set_id =
    typeof set === 'number' ? await touchSet(transaction, set) : await beginSet(transaction, actor, set.name)
  const result = await run(transaction, set_id)
  await writeAudit(transaction, actor, action, subject, { change_set: set_id })
  await announce(transaction, 'studio_change', String(set_id))
  return { ...result, set: set_id } as T & { set: number }
}

export async function beginSet(transaction: Db, actor: Actor, name: string): Promise<number> {
  const values = { name: name.trim().slice(0, 100) || 'Change set', created_by: actor.account_id }
  return (await transaction.insertInto('change_set').values(values).returning('id').executeTakeFirstOrThrow()).id
}

async function touchSet(transaction: Db, id: number): Promise<number> {
  const touched = await transaction
    .updateTable('change_set')
    .set((builder) => ({ revision: builder('revision', '+', 1), updated_at: new Date() }))
    .where('id', '=', id)
    .where('state', '=', 'open')
    .returning('id')
    .executeTakeFirst()
  if (touched !== undefined) return id
  const known = await transaction.selectFrom('change_set').select('state').where('id', '=', id).executeTakeFirst()
  if (known === undefined) throw new Problem(404, 'there is no such change set')
  throw new Problem(409, `this change set is already ${known.state}; your next change starts another one`)
}

/** An edit as it is stored. */
export interface StoredEdit extends GivenEdit {
  readonly revision: number
}

/** Undefined where the change set says nothing of it. */
export async function findEdit(db: Db, set_id: number, key: EditKey): Promise<StoredEdit | undefined> {
  const { kind, domain, name, phase } = key
  const found = await db
    .selectFrom('change_edit')
    .select(['base', 'after', 'revision'])
    .where('set_id', '=', set_id)
    .where('kind', '=', kind)
    .where('domain', '=', domain)
    .where('name', '=', name)
    .where('phase', '=', phase)
    .executeTakeFirst()
  return found && { kind, domain, name, phase, ...found }
}

/** Puts an edit in place of the one of its key; where it would change nothing, there is none any more. */
export async function putEdit(transaction: Db, actor: Actor, set_id: number, edit: GivenEdit): Promise<void> {
  const { kind, domain, name, phase, base, after } = edit
  if (isSame(base, after)) return dropEdit(transaction, set_id, edit)
  const written = { base: JSON.stringify(base), after: JSON.stringify(after), updated_by: actor.account_id }
  await transaction
    .insertInto('change_edit')
    .values({ set_id, kind, domain, name, phase, ...written })
    .onConflict((conflict) =>
      conflict.columns(['set_id', 'kind', 'domain', 'name', 'phase']).doUpdateSet({
        ...written,
        revision: sql<number>`change_edit.revision + 1`,
        updated_at: new Date(),
      }),
    )
    .execute()
}

export async function dropEdit(transaction: Db, set_id: number, { kind, domain, name, phase }: EditKey): Promise<void> {
  await transaction
    .deleteFrom('change_edit')
    .where('set_id', '=', set_id)
    .where('kind', '=', kind)
    .where('domain', '=', domain)
    .where('name', '=', name)
    .where('phase', '=', phase)
    .execute()
}

/** Adds edits of which the change set has none yet. */
export async function addEdits(
  transaction: Db,
  actor: Actor,
  set_id: number,
  edits: readonly { readonly [K in keyof GivenEdit]: K extends 'base' | 'after' ? string : GivenEdit[K] }[],
): Promise<void> {
  for (let at = 0; at < edits.length; at += ROWS) {
    const rows = edits.slice(at, at + ROWS).map((edit) => ({ set_id, updated_by: actor.account_id, ...edit }))
    await transaction.insertInto('change_edit').values(rows).execute()
    await setImmediate()
  }
}

/** Somebody else was there first: what is there now is part of the answer, so that nobody's work is lost. */
export function conflictWith(current: object): Problem {
  return new Problem(409, 'someone else changed this after you opened it', { current })
}
