import { check_document, compare_documents, type PrivateKey, sign_document } from 'dynacode/tools'
import type { Kysely } from 'kysely'
import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import { lockPublishing } from '../store/database.ts'
import { composeDraft } from '../store/drafts.ts'
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
  return publish(db, actor, 'publish', message, rules, async (transaction, live) => {
    if (live.version !== base) {
      const text = `version ${live.version} was published since you looked at the differences; look at them once more`
      throw new Problem(409, text, { current: { version: live.version } })
    }
    return composeDraft(transaction)
  })
}

/**
 * Publishes what an earlier version had, under a new number: versions only grow. The draft stays as it is.
 *
 * @throws Problem
 */
export function rollBack(db: Db, actor: Actor, version: number, rules: PublishingRules): Promise<Version> {
  return publish(db, actor, 'rollback', `back to version ${version}`, rules, async (transaction) =>
    version === 0 ? JSON.parse(NOTHING) : JSON.parse((await findVersion(transaction, version)).document),
  )
}

/**
 * Publishes what `compose` makes. All of it is one transaction: a version is there whole, with its entry in the log and its
 * announcement, or not at all.
 */
export async function publish(
  db: Db,
  actor: Actor,
  kind: VersionKind,
  message: string,
  { globals, key }: PublishingRules,
  compose: (
    transaction: Db,
    live: Pick<Version, 'version' | 'document'>,
  ) => Promise<{ general?: object; domains: readonly unknown[] }>,
): Promise<Version> {
  return db.transaction().execute(async (transaction) => {
    await lockPublishing(transaction)
    const live = (await findLatest(transaction)) ?? { version: 0, document: NOTHING }
    const composed = await compose(transaction, live)
    const version = live.version + 1
    const expires = key === undefined ? {} : { expires: new Date(Date.now() + HOLDS_MS).toISOString() }
    const text = JSON.stringify({ ...composed, general: { ...composed.general, ...expires, version } })
    const { findings, errors } = await check_document(text, { globals })
    if (errors > 0) {
      const found = findings.filter(({ severity }) => severity === 'error')
      throw new Problem(422, `${errors === 1 ? 'an error keeps' : `${errors} errors keep`} this from being published`, {
        findings: found,
      })
    }
    if (kind !== 'renew' && compare_documents(live.document, text).every(isStamp)) {
      throw new Problem(409, `nothing is different from version ${live.version}`)
    }
    const signed = key === undefined ? null : await sign_document(text, key)
    const saved = await transaction
      .insertInto('version')
      .values({ version, kind, message, document: text, signed, created_by: actor.account_id, approved_by: null })
      .returning(VERSION)
      .executeTakeFirstOrThrow()
    await writeAudit(transaction, actor, kind, `version ${version}`, { message })
    await announce(transaction, 'studio_version', String(version))
    return saved
  })
}

/** Whether a difference is no more than what every version has of its own. */
function isStamp({ plugin, domain, changes }: ReturnType<typeof compare_documents>[number]): boolean {
  return plugin === null && domain === null && changes.every((change) => /^general\.(version|expires):/.test(change))
}
