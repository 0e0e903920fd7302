import { type Kysely, sql } from 'kysely'
import type { ChangeSet, Comment, SetState } from '../../shared/changes.ts'
import { type Actor, demandRole } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import { beginSet, editSet } from './edit-set.ts'

type Db = Kysely<Tables>
/** Of comments, the newest are shown. */
const MOST_COMMENTS = 500
/** As the database has it: times are dates. */
type Stored<T> = T extends { at: string } ? Omit<T, 'at'> & { at: Date } : T
type FoundSet = Omit<ChangeSet, 'created_at' | 'updated_at' | 'proposal'> & {
  readonly created_at: Date
  readonly updated_at: Date
  readonly proposal: Stored<NonNullable<ChangeSet['proposal']>> | null
}

function selectSets(db: Db) {
  return db
    .selectFrom('change_set')
    .leftJoin('account as maker', 'maker.id', 'change_set.created_by')
    .leftJoin('account as proposer', 'proposer.id', 'change_set.proposed_by')
    .select((builder) => [
      'change_set.id',
      'change_set.name',
      'change_set.state',
      'change_set.revision',
      'change_set.created_by as created_by_id',
      'maker.name as created_by',
      'change_set.created_at',
      'change_set.updated_at',
      'change_set.version',
      'change_set.rolled_back_by',
      'change_set.proposed_by',
      'change_set.proposed_at',
      'change_set.proposed_message',
      'change_set.proposed_revision',
      'proposer.name as proposed_by_name',
      builder
        .selectFrom('change_edit')
        .whereRef('change_edit.set_id', '=', 'change_set.id')
        .select((inner) => inner.cast<number>(inner.fn.countAll(), 'integer').as('count'))
        .as('edits'),
      builder
        .selectFrom('change_comment')
        .whereRef('change_comment.set_id', '=', 'change_set.id')
        .select((inner) => inner.cast<number>(inner.fn.countAll(), 'integer').as('count'))
        .as('comments'),
    ])
}

type Row = Awaited<ReturnType<ReturnType<typeof selectSets>['executeTakeFirstOrThrow']>>

function toSet(row: Row): FoundSet {
  const { proposed_by, proposed_at, proposed_message, proposed_revision, proposed_by_name, ...set } = row
  const proposal =
    proposed_by === null || proposed_at === null
      ? null
      : {
          message: proposed_message ?? '',
          by: proposed_by_name ?? 'somebody',
          by_id: proposed_by,
          at: proposed_at,
          is_current: proposed_revision === set.revision,
        }
  return {
    ...set,
    created_by: set.created_by ?? 'the studio',
    edits: set.edits ?? 0,
    comments: set.comments ?? 0,
    proposal,
  }
}

/** Change sets that are open, or those that are not any more, the newest first. */
export async function listSets(db: Db, is_open: boolean, limit: number, from: number): Promise<FoundSet[]> {
  const rows = await selectSets(db)
    .where('change_set.state', is_open ? '=' : '!=', 'open')
    .orderBy('change_set.updated_at', 'desc')
    .orderBy('change_set.id', 'desc')
    .limit(limit)
    .offset(from)
    .execute()
  return rows.map(toSet)
}

/** @throws Problem where there is none */
export async function findSet(db: Db, id: number): Promise<FoundSet> {
  const row = await selectSets(db).where('change_set.id', '=', id).executeTakeFirst()
  if (row === undefined) throw new Problem(404, 'there is no such change set')
  return toSet(row)
}

/** How many change sets wait for a publisher. */
export async function countWaiting(db: Db): Promise<number> {
  const { count } = await db
    .selectFrom('change_set')
    .select(({ fn, cast }) => cast<number>(fn.countAll(), 'integer').as('count'))
    .where('state', '=', 'open')
    .whereRef('proposed_revision', '=', 'revision')
    .executeTakeFirstOrThrow()
  return count
}

/** Open change sets that change a plugin, too. */
export async function listOthers(db: Db, but: number | undefined, domain: string, name: string, phase: string) {
  const rows = await db
    .selectFrom('change_edit')
    .innerJoin('change_set', 'change_set.id', 'change_edit.set_id')
    .leftJoin('account', 'account.id', 'change_set.created_by')
    .select(['change_set.id', 'change_set.name', 'account.name as created_by'])
    .where('change_edit.domain', '=', domain)
    .where('change_edit.name', '=', name)
    .where('change_edit.phase', '=', phase)
    .where('change_set.state', '=', 'open')
    .where('change_set.id', '!=', but ?? 0)
    .orderBy('change_set.id')
    .limit(20)
    .execute()
  return rows.map((row) => ({ ...row, created_by: row.created_by ?? 'the studio' }))
}

export function createSet(db: Db, actor: Actor, name: string): Promise<{ set: number }> {
  return editSet(db, actor, { name }, ['begin change set', name], async () => undefined)
}

/** Another name changes nothing that was looked at. */
export function renameSet(db: Db, actor: Actor, id: number, name: string): Promise<void> {
  return tell(db, actor, id, 'rename change set', name, async (transaction) => {
    await transaction.updateTable('change_set').set({ name }).where('id', '=', id).execute()
  })
}

/** Discards one that is open, one's own or, as a publisher, anybody's. It can be begun anew from the list. */
export function discardSet(db: Db, actor: Actor, id: number): Promise<void> {
  return tell(db, actor, id, 'discard change set', undefined, async (transaction, { created_by, state }) => {
    if (state !== 'open') throw new Problem(409, `this change set is already ${state}`)
    if (created_by !== actor.account_id && created_by !== null) demandRole(actor, 'publisher')
    const values = { state: 'discarded' as SetState, updated_at: new Date(), ...NO_PROPOSAL }
    await transaction.updateTable('change_set').set(values).where('id', '=', id).execute()
  })
}

/** Begins a change set with what another one had, that was discarded, published or rolled back. */
export function reopenSet(db: Db, actor: Actor, id: number): Promise<{ set: number }> {
  return db.transaction().execute(async (transaction) => {
    const known = await findSet(transaction, id)
    if (known.state === 'open') throw new Problem(409, 'this change set is open')
    const set = await beginSet(transaction, actor, known.name)
    const columns = ['kind', 'domain', 'name', 'phase', 'base', 'after', 'updated_by'] as const
    await transaction
      .insertInto('change_edit')
      .columns(['set_id', ...columns])
      .expression((builder) =>
        builder
          .selectFrom('change_edit')
          .select([sql<number>`${set}::integer`.as('set_id'), ...columns])
          .where('set_id', '=', id)
          .orderBy('id'),
      )
      .execute()
    await writeAudit(transaction, actor, 'reopen change set', known.name, { change_set: set, of: id })
    await announce(transaction, 'studio_change', String(set))
    return { set }
  })
}

/** What clears a proposal. */
const NO_PROPOSAL = {
  proposed_by: null,
  proposed_at: null,
  proposed_revision: null,
  proposed_message: null,
} as const

/** Takes a proposal back, one's own or, as a publisher, another's. @throws Problem */
export function withdrawProposal(db: Db, actor: Actor, id: number): Promise<void> {
  return tell(db, actor, id, 'close proposal', undefined, async (transaction, { proposed_by, state }) => {
    if (proposed_by === null || state !== 'open')
      throw new Problem(404, 'this change set is not proposed, or it was already decided')
    if (proposed_by !== actor.account_id) demandRole(actor, 'publisher')
    await transaction.updateTable('change_set').set(NO_PROPOSAL).where('id', '=', id).execute()
  })
}

async function tell(
  db: Db,
  actor: Actor,
  id: number,
  action: string,
  subject: string | undefined,
  run: (
    transaction: Db,
    known: { state: SetState; created_by: number | null; proposed_by: number | null },
  ) => Promise<void>,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const known = await transaction
      .selectFrom('change_set')
      .select(['name', 'state', 'created_by', 'proposed_by'])
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst()
    if (known === undefined) throw new Problem(404, 'there is no such change set')
    await run(transaction, known)
    await writeAudit(transaction, actor, action, subject ?? known.name, { change_set: id })
    await announce(transaction, 'studio_change', String(id))
  })
}

export async function listComments(db: Db, id: number): Promise<Stored<Comment>[]> {
  await findSet(db, id)
  const newest = await db
    .selectFrom('change_comment')
    .select(['id', 'by', 'at', 'text'])
    .where('set_id', '=', id)
    .orderBy('id', 'desc')
    .limit(MOST_COMMENTS)
    .execute()
  return newest.reverse()
}

export function addComment(db: Db, actor: Actor, id: number, text: string): Promise<void> {
  return tell(db, actor, id, 'comment', undefined, async (transaction) => {
    const values = { set_id: id, account_id: actor.account_id, by: actor.name, text }
    await transaction.insertInto('change_comment').values(values).execute()
  })
}
