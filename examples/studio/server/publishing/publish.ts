import type { Kysely } from 'kysely'
import type { VersionKind } from '../../shared/review.ts'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { type DocumentParts, putTogether } from '../review/document-parts.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import { lockPublishing } from '../store/database.ts'
import type { Tables } from '../store/tables.ts'
import type { Live } from './documents.ts'
import { noteChanged } from './live-states.ts'
import type { LedgerEntry, Press } from './press.ts'
import { findNewest, type Version } from './versions.ts'

type Db = Kysely<Tables>

/** How long a signed version holds, in milliseconds. */
export const HOLDS_MS = 30 * 24 * 3_600_000

/** What is to be live, and who answers for it. */
export interface Release {
  readonly message: string
  readonly document: DocumentParts
  /** Whose it is, where that is not who publishes it: two persons were needed, and the latter agreed. */
  readonly proposed_by?: number
  /** By what it is found in the ledger, where it came from there. */
  readonly written?: string
  /** Of a rollback: the version that it brings back. */
  readonly rolled_back_to?: number
  /** What the log says of it beside the message. */
  readonly details?: object
  /** What else changes with it, in the same transaction. */
  settle?(transaction: Db): Promise<void>
}

/** Who may publish: an account, or the studio itself. */
export type Publisher = Pick<Actor, 'name'> & { readonly account_id: number | null }

/** The studio, where it publishes by itself. */
export const STUDIO: Publisher = Object.freeze({ account_id: null, name: 'the studio' })

/** So often it is begun anew when somebody else has published meanwhile. */
const TRIES = 5

/**
 * Publishes what `prepare` makes of what is live. Everything that takes long comes before the transaction. That sees to it
 * that what is live is still the same; where it is not, all begins anew. A version is there whole, with its entry in the log
 * and its announcement, or not at all.
 *
 * @throws Problem
 */
export async function publish(
  press: Press,
  actor: Publisher,
  kind: VersionKind,
  prepare: (live: Live) => Promise<Release>,
): Promise<Version> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const live = await press.documents.live()
    const release = await prepare(live)
    const made = await makeVersion(press, live.version + 1, release.document)
    if (demandsCheck(kind)) await demandPublishable(press, made.document, live)
    const entry = release.written === undefined ? await press.ledger?.prepare(kind, release.document, live) : undefined
    const changed = kind === 'renew' ? [] : await press.reviewer.findChangedPlugins(live.document, made.document)
    const saved = await save(press, actor, kind, release, { ...made, changed }, entry)
    if (saved !== undefined) return saved
  }
  throw new Problem(503, 'others are publishing; try again in a moment', { headers: { 'Retry-After': '1' } })
}

interface Made {
  readonly version: number
  readonly document: string
  readonly signed: string | null
}

async function makeVersion({ rules: { key }, reviewer }: Press, version: number, parts: DocumentParts): Promise<Made> {
  if (key === undefined) return { version, document: putTogether(withoutEnd(parts), { version }), signed: null }
  const expires = new Date(Date.now() + HOLDS_MS).toISOString()
  const document = putTogether(parts, { version, expires })
  return { version, document, signed: await reviewer.sign(document, key) }
}

/** A version that was signed, published once more without a key, holds for ever. */
function withoutEnd({ general, domains }: DocumentParts): DocumentParts {
  const { expires: _, ...rest } = general
  return { general: rest, domains }
}

/** @returns undefined when another version is live by now */
function save(
  { db, ledger }: Press,
  { account_id, name }: Publisher,
  kind: VersionKind,
  { message, details, proposed_by, rolled_back_to, settle, written: known }: Release,
  { changed, ...made }: Made & { readonly changed: Parameters<typeof noteChanged>[2] },
  entry: LedgerEntry | undefined,
): Promise<Version | undefined> {
  const persons = { created_by: proposed_by ?? account_id, approved_by: proposed_by === undefined ? null : account_id }
  return db.transaction().execute(async (transaction) => {
    await lockPublishing(transaction)
    if ((await findNewest(transaction)) !== made.version - 1) return undefined
    await settle?.(transaction)
    const saved = await transaction
      .insertInto('version')
      .values({ ...made, kind, message, ...persons, rolled_back_to: rolled_back_to ?? null })
      .returning(['created_by', 'created_at'])
      .executeTakeFirstOrThrow()
    await noteChanged(transaction, made.version, changed)
    await writeAudit(transaction, { account_id, name }, kind, `version ${made.version}`, { message, ...details })
    await announce(transaction, 'studio_version', String(made.version))
    // Last: whatever else fails, nothing is written down of it.
    const written = known ?? (await entry?.write(name, message))
    if (written !== undefined) await ledger?.note(transaction, written, made.version)
    return { ...made, kind, message, ...saved }
  })
}

/**
 * What is live already is signed anew, and what is switched off or stopped is on its way out: none of it may be held up by a
 * rule that came later.
 */
function demandsCheck(kind: VersionKind): boolean {
  return kind !== 'renew' && kind !== 'switch' && kind !== 'stop'
}

/**
 * Sees to it that nothing is published that dynacode would refuse.
 *
 * @param live what it has to be different from
 * @throws Problem with what was found
 */
export async function demandPublishable({ reviewer }: Press, document: string, live: Live): Promise<void> {
  const { findings, errors, differences } = await reviewer.review(
    `to publish after ${live.version}`,
    live.document,
    document,
  )
  if (errors > 0) {
    const found = findings.items.filter(({ severity }) => severity === 'error')
    const text = errors === 1 ? '1 error prevents publishing' : `${errors} errors prevent publishing`
    throw new Problem(422, text, { findings: found })
  }
  if (differences.total === 0)
    throw new Unchanged(409, `nothing to publish: there are no changes since version ${live.version}`)
}

/** There is nothing to be published. */
export class Unchanged extends Problem {}
