import type { Difference } from 'dynacode/tools'
import type { Kysely } from 'kysely'
import { type Actor, demandRole } from '../auth/actor.ts'
import { dependsUntil, WAIT_MS } from '../auth/second-person.ts'
import { Problem } from '../problem.ts'
import { type DocumentParts, putTogether } from '../review/document-parts.ts'
import type { Slice } from '../review/tasks.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Tables } from '../store/tables.ts'
import type { Press } from './press.ts'
import { demandPublishable, publish } from './publish.ts'
import { demandBase, demandRevision, type Seen } from './publish-draft.ts'
import type { Version } from './versions.ts'

/** A draft as it was when somebody asked for it to be published. */
export interface Proposal {
  readonly id: number
  readonly message: string
  /** The version that it was compared with. */
  readonly base: number
  readonly created_by: number
  readonly created_by_name: string
  readonly created_at: Date
}

/** Proposals that nobody has decided on, the newest first. */
export function listProposals(db: Kysely<Tables>): Promise<Proposal[]> {
  return db
    .selectFrom('proposal')
    .innerJoin('account', 'account.id', 'proposal.created_by')
    .select([
      'proposal.id',
      'proposal.message',
      'proposal.base',
      'proposal.created_by',
      'account.name as created_by_name',
      'proposal.created_at',
    ])
    .where('closed_at', 'is', null)
    .orderBy('proposal.id', 'desc')
    .execute()
}

/**
 * Proposes the draft, as it is now, for publishing by somebody else.
 *
 * @throws Problem as publishing does
 */
export async function proposeDraft(press: Press, actor: Actor, { message, base, revision }: Seen): Promise<number> {
  const live = await press.documents.live()
  demandBase(live, base)
  const draft = await press.documents.draft()
  demandRevision(draft.revision, revision)
  const document = putTogether(draft, {})
  await demandPublishable(press, document, live)
  return press.db.transaction().execute(async (transaction) => {
    const { id } = await transaction
      .insertInto('proposal')
      .values({ kind: 'publish', message, document, base, created_by: actor.account_id, closed_at: null })
      .returning('id')
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, actor, 'propose', `proposal ${id}`, { message, base })
    await announce(transaction, 'studio_draft', `proposal ${id}`)
    return id
  })
}

/**
 * What a proposal would change of what is live now.
 *
 * @throws Problem
 */
export async function compareProposal(
  { db, documents, reviewer }: Press,
  id: number,
  from = 0,
): Promise<Slice<Difference>> {
  const [{ document }, live] = [await findOpen(db, id), await documents.live()]
  return reviewer.compare(live.document, document, from)
}

/**
 * Publishes what somebody else has proposed.
 *
 * @throws Problem for one's own, and for one that is not about what is live any more
 */
export function approveProposal(press: Press, actor: Actor, id: number): Promise<Version> {
  return publish(press, actor, 'publish', async (live) => {
    const { message, created_by, document, base } = await findOpen(press.db, id)
    if (created_by === actor.account_id)
      throw new Problem(403, 'someone else has to approve: this is your own proposal')
    const { two_persons, wait_ms = WAIT_MS } = press.rules
    const until = await dependsUntil(press.db, actor.account_id, created_by, { two_persons, wait_ms })
    if (two_persons && until !== undefined) {
      const message = `someone else has to approve: your account was made a publisher by the person who proposes this; it counts as another person's from ${until.toISOString()} on`
      throw new Problem(403, message)
    }
    demandBase(live, base)
    const parts = (await press.reviewer.takeApart(document)) as DocumentParts
    return {
      message,
      document: parts,
      proposed_by: created_by,
      settle: (transaction) => close(transaction, id),
    }
  })
}

/** Takes a proposal back, one's own or, as a publisher, another's. @throws Problem */
export async function closeProposal(db: Kysely<Tables>, actor: Actor, id: number): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const { created_by } = await findOpen(transaction, id)
    if (created_by !== actor.account_id) demandRole(actor, 'publisher')
    await close(transaction, id)
    await writeAudit(transaction, actor, 'close proposal', `proposal ${id}`)
    await announce(transaction, 'studio_draft', `proposal ${id}`)
  })
}

async function findOpen(db: Kysely<Tables>, id: number) {
  const found = await db
    .selectFrom('proposal')
    .select(['message', 'document', 'base', 'created_by'])
    .where('id', '=', id)
    .where('closed_at', 'is', null)
    .executeTakeFirst()
  if (found === undefined) throw new Problem(404, 'there is no such proposal, or it was already decided')
  return found
}

async function close(db: Kysely<Tables>, id: number): Promise<void> {
  const closed = await db
    .updateTable('proposal')
    .set({ closed_at: new Date() })
    .where('id', '=', id)
    .where('closed_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  if (closed === undefined) throw new Problem(404, 'it was already decided')
}
