import { sql } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { dependsUntil, WAIT_MS } from '../auth/second-person.ts'
import { Problem } from '../problem.ts'
import { type DocumentParts, putTogether } from '../review/document-parts.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import type { Live } from './documents.ts'
import type { Press } from './press.ts'
import { demandPublishable, publish } from './publish.ts'
import type { Version } from './versions.ts'

type Db = Press['db']

/** What was looked at before it is published. */
export interface Seen {
  /** The version that the differences were to. */
  readonly base: number
  /** The change set's. */
  readonly revision: number
}

/** @throws Problem when another version is live than was looked at */
function demandBase({ version }: Live, base: number): void {
  if (version === base) return
  const text = `version ${version} was published since you looked at the differences; review them again`
  throw new Problem(409, text, { current: { version } })
}

/** A change set in what is live. @throws Problem when it is not what was looked at, or does not go together with what is live */
async function composeSet(
  { db, workspace }: Press,
  set: number,
  live: Live,
  { base, revision }: Seen,
): Promise<DocumentParts> {
  await demandOpen(db, set)
  demandBase(live, base)
  const { parts, conflicts, revision: current } = await workspace.compose(set, live)
  if (current !== revision) {
    const text = 'the change set was changed since you looked at the differences; review them again'
    throw new Problem(409, text, { current: { revision: current } })
  }
  if (conflicts.length === 0) return parts
  const names = conflicts
    .slice(0, 5)
    .map(({ kind, domain, name }) => (kind === 'plugin' ? `${domain}/${name}` : domain || kind))
  const text = `conflicts with what went live: ${names.join(', ')}; resolve them first`
  throw new Problem(409, text, { current: { version: live.version } })
}

/**
 * Publishes a change set.
 *
 * @throws Problem when it is not what was looked at, nothing is different, or the checks find errors
 */
export function publishSet(press: Press, actor: Actor, set: number, message: string, seen: Seen): Promise<Version> {
  return publish(press, actor, 'publish', async (live) => {
    const document = await composeSet(press, set, live, seen)
    return { message, document, settle: settleSet(set, seen.revision, live.version + 1) }
  })
}

/** From here on it is no longer open; somebody may have changed it in the very last moment. */
function settleSet(set: number, revision: number, version: number): (transaction: Db) => Promise<void> {
  return async (transaction) => {
    const closed = await transaction
      .updateTable('change_set')
      .set({ state: 'published', version, updated_at: new Date() })
      .where('id', '=', set)
      .where('state', '=', 'open')
      .where('revision', '=', revision)
      .returning('id')
      .executeTakeFirst()
    if (closed === undefined) throw new Problem(409, 'the change set was changed or closed just now; review it again')
    await announce(transaction, 'studio_change', String(set))
  }
}

/**
 * Proposes a change set, as it is now, for publishing by somebody else. Whoever changes it afterwards takes the proposal back.
 *
 * @throws Problem as publishing does
 */
export async function proposeSet(
  press: Press,
  actor: Actor,
  set: number,
  message: string,
  seen: Seen,
): Promise<number> {
  const live = await press.documents.live()
  const document = putTogether(await composeSet(press, set, live, seen), {})
  await demandPublishable(press, document, live)
  return press.db.transaction().execute(async (transaction) => {
    const values = {
      proposed_by: actor.account_id,
      proposed_at: new Date(),
      proposed_revision: seen.revision,
      proposed_message: message,
    }
    const proposed = await transaction
      .updateTable('change_set')
      .set(values)
      .where('id', '=', set)
      .where('state', '=', 'open')
      .where('revision', '=', seen.revision)
      .returning('name')
      .executeTakeFirst()
    if (proposed === undefined) throw new Problem(409, 'the change set was changed or closed just now; review it again')
    await writeAudit(transaction, actor, 'propose', proposed.name, { message, base: live.version, change_set: set })
    await announce(transaction, 'studio_change', String(set))
    return set
  })
}

async function demandOpen(db: Db, set: number): Promise<void> {
  const known = await db.selectFrom('change_set').select('state').where('id', '=', set).executeTakeFirst()
  if (known === undefined) throw new Problem(404, 'there is no such change set')
  if (known.state !== 'open') throw new Problem(409, `this change set is already ${known.state}`)
}

/**
 * Publishes what somebody else has proposed.
 *
 * @throws Problem for one's own, and for one that is not what was proposed or looked at any more
 */
export function approveSet(press: Press, actor: Actor, set: number, seen: Seen): Promise<Version> {
  return publish(press, actor, 'publish', async (live) => {
    const { proposed_by, message } = await findProposal(press.db, set)
    if (proposed_by === actor.account_id)
      throw new Problem(403, 'someone else has to approve: this is your own proposal')
    const { two_persons, wait_ms = WAIT_MS } = press.rules
    const until = await dependsUntil(press.db, actor.account_id, proposed_by, { two_persons, wait_ms })
    if (two_persons && until !== undefined) {
      const message = `someone else has to approve: your account was made a publisher by the person who proposes this; it counts as another person's from ${until.toISOString()} on`
      throw new Problem(403, message)
    }
    const document = await composeSet(press, set, live, seen)
    const close = settleSet(set, seen.revision, live.version + 1)
    return {
      message,
      document,
      proposed_by,
      async settle(transaction) {
        // It may have been taken back, or proposed anew by oneself, meanwhile.
        const still = await findProposal(transaction, set)
        if (still.proposed_by !== proposed_by || still.revision !== seen.revision)
          throw new Problem(409, 'the change set was changed after it was proposed: review it again')
        await close(transaction)
      },
    }
  })
}

async function findProposal(db: Db, set: number) {
  const found = await db
    .selectFrom('change_set')
    .select(['proposed_by', 'proposed_message', 'proposed_revision', 'revision'])
    .where('id', '=', set)
    .where('state', '=', 'open')
    .executeTakeFirst()
  if (found === undefined || found.proposed_by === null)
    throw new Problem(404, 'this change set is not proposed, or it was already decided')
  const { proposed_by, proposed_message, proposed_revision } = found
  if (proposed_revision !== found.revision)
    throw new Problem(409, 'the change set was changed after it was proposed: propose it again')
  return { proposed_by, message: proposed_message ?? '', revision: proposed_revision }
}

/**
 * Publishes what an earlier version had, under a new number: versions only grow. Change sets that are live no longer are
 * marked as rolled back; open ones stay as they are.
 *
 * @throws Problem
 */
export function rollBack(press: Press, actor: Actor, version: number): Promise<Version> {
  return publish(press, actor, 'rollback', async (live) => {
    const document = (await press.reviewer.takeApart(await press.documents.textOf(version))) as DocumentParts
    return {
      message: `back to version ${version}`,
      document,
      rolled_back_to: version,
      settle: (transaction) => markRolledBack(transaction, version, live.version + 1),
    }
  })
}

/** What is live after a rollback is what its version had, with all that this was made of. */
async function markRolledBack(transaction: Db, to: number, by: number): Promise<void> {
  const line = sql<number>`with recursive line(version) as (
    select ${to}::integer
    union select coalesce(v.rolled_back_to, v.version - 1) from line join version v on v.version = line.version
  ) select version from line`
  await transaction
    .updateTable('change_set')
    .set({ rolled_back_by: by })
    .where('state', '=', 'published')
    .where('rolled_back_by', 'is', null)
    .where(sql<boolean>`version not in (${line})`)
    .execute()
  await transaction
    .updateTable('change_set')
    .set({ rolled_back_by: null })
    .where('state', '=', 'published')
    .where('rolled_back_by', 'is not', null)
    .where(sql<boolean>`version in (${line})`)
    .execute()
  await announce(transaction, 'studio_change', 'rollback')
}
