import { check_document, compare_documents, type PrivateKey, sign_document } from 'dynacode/tools'
import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import { composeDraft } from '../store/compose-draft.ts'
import { lockPublishing } from '../store/database.ts'
import type { Tables, VersionKind } from '../store/tables.ts'

type Db = Kysely<Tables>

/** A version that was published. */
export interface Version {
  readonly version: number
  readonly kind: VersionKind
  readonly message: string
  readonly document: string
  /** As instances get it, where there is a key. */
  readonly signed: string | null
  readonly created_by: number | null
  readonly created_at: Date
}

const VERSION = ['version', 'kind', 'message', 'document', 'signed', 'created_by', 'created_at'] as const
/** What is live before anything was published. */
export const NOTHING = '{"general":{"version":0},"domains":[]}'

/** How documents are made public. */
export interface PublishingRules {
  /** Names of the apps' own that plugins may use. */
  readonly globals: readonly string[]
  /** By which versions are signed. */
  readonly key: PrivateKey | undefined
  /** Whether what one person has drafted is published by another alone. Switching off and rolling back is for everybody. */
  readonly two_persons: boolean
}

/** How long a signed version holds, in milliseconds. */
export const HOLDS_MS = 30 * 24 * 3_600_000

/** The newest version; undefined before there is one. */
export function findLatest(db: Db): Promise<Version | undefined> {
  return db.selectFrom('version').select(VERSION).orderBy('version', 'desc').limit(1).executeTakeFirst()
}

/** A version as it is listed: without its document, and with the name of who made it. */
export type ListedVersion = Pick<Version, 'version' | 'kind' | 'message' | 'created_at'> & {
  readonly created_by: string | null
}

/** Versions, the newest first. @param before the last one of the page before */
export function listVersions(db: Db, limit: number, before?: number): Promise<ListedVersion[]> {
  return db
    .selectFrom('version')
    .leftJoin('account', 'account.id', 'version.created_by')
    .select(['version.version', 'version.kind', 'version.message', 'version.created_at', 'account.name as created_by'])
    .$if(before !== undefined, (query) => query.where('version.version', '<', before as number))
    .orderBy('version.version', 'desc')
    .limit(limit)
    .execute()
}

/** @throws Problem where there is none */
export async function findVersion(db: Db, version: number): Promise<Version> {
  const found = await db.selectFrom('version').select(VERSION).where('version', '=', version).executeTakeFirst()
  if (found === undefined) throw new Problem(404, `there is no version ${version}`)
  return found
}

/** What is to be live, and who answers for it. */
export interface Release {
  readonly message: string
  readonly document: { readonly general?: object; readonly domains: readonly unknown[] }
  /** Whose it is, where that is not who publishes it: two persons were needed, and the latter agreed. */
  readonly proposed_by?: number
}

/** What is live: the newest version, or nothing yet. */
export type Live = Pick<Version, 'version' | 'document'>

/**
 * Publishes the draft.
 *
 * @param base the version that the publisher has seen the differences to
 * @throws Problem when somebody has published since, nothing is different, or the checks find errors
 */
export function publishDraft(
  db: Db,
  actor: Actor,
  { message, base }: { message: string; base: number },
  rules: PublishingRules,
): Promise<Version> {
  return publish(db, actor, 'publish', rules, async (transaction, live) => {
    demandBase(live, base)
    return { message, document: await composeDraft(transaction) }
  })
}

/** @throws Problem when another version is live than was looked at */
export function demandBase({ version }: Live, base: number): void {
  if (version === base) return
  const text = `version ${version} was published since you looked at the differences; look at them once more`
  throw new Problem(409, text, { current: { version } })
}

/**
 * Publishes what an earlier version had, under a new number: versions only grow. The draft stays as it is.
 *
 * @throws Problem
 */
export function rollBack(db: Db, actor: Actor, version: number, rules: PublishingRules): Promise<Version> {
  return publish(db, actor, 'rollback', rules, async (transaction) => {
    const text = version === 0 ? NOTHING : (await findVersion(transaction, version)).document
    return { message: `back to version ${version}`, document: JSON.parse(text) }
  })
}

/**
 * Publishes what `compose` makes. All of it is one transaction: a version is there whole, with its entry in the log and its
 * announcement, or not at all.
 */
export async function publish(
  db: Db,
  actor: Actor,
  kind: VersionKind,
  rules: PublishingRules,
  compose: (transaction: Db, live: Live) => Promise<Release>,
): Promise<Version> {
  return db.transaction().execute(async (transaction) => {
    await lockPublishing(transaction)
    const live = await findLive(transaction)
    const { message, document: composed, proposed_by } = await compose(transaction, live)
    const version = live.version + 1
    const expires = rules.key === undefined ? {} : { expires: new Date(Date.now() + HOLDS_MS).toISOString() }
    const document = JSON.stringify({ ...composed, general: { ...composed.general, ...expires, version } })
    await demandPublishable(document, kind === 'renew' ? undefined : live, rules)
    const signed = rules.key === undefined ? null : await sign_document(document, rules.key)
    const persons = { created_by: proposed_by ?? actor.account_id, approved_by: proposed_by && actor.account_id }
    const saved = await transaction
      .insertInto('version')
      .values({ version, kind, message, document, signed, ...persons })
      .returning(VERSION)
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, actor, kind, `version ${version}`, { message })
    await announce(transaction, 'studio_version', String(version))
    return saved
  })
}

/** What is live, before anything was published an empty document. */
export async function findLive(db: Db): Promise<Live> {
  return (await findLatest(db)) ?? { version: 0, document: NOTHING }
}

/**
 * Sees to it that nothing is published that dynacode would refuse.
 *
 * @param live what it has to be different from, if anything
 * @throws Problem with what was found
 */
export async function demandPublishable(
  document: string,
  live: Live | undefined,
  { globals }: PublishingRules,
): Promise<void> {
  const { findings, errors } = await check_document(document, { globals })
  if (errors > 0) {
    const found = findings.filter(({ severity }) => severity === 'error')
    const text = `${errors === 1 ? 'an error keeps' : `${errors} errors keep`} this from being published`
    throw new Problem(422, text, { findings: found })
  }
  if (live !== undefined && compare_documents(live.document, document).every(isStamp)) {
    throw new Problem(409, `nothing is different from version ${live.version}`)
  }
}

/** Whether a difference is no more than what every version has of its own. */
function isStamp({ plugin, domain, changes }: ReturnType<typeof compare_documents>[number]): boolean {
  return plugin === null && domain === null && changes.every((change) => /^general\.(version|expires):/.test(change))
}
