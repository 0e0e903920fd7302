import type { Kysely } from 'kysely'
import type { VersionKind } from '../../shared/review.ts'
import { Problem } from '../problem.ts'
import type { Tables } from '../store/tables.ts'

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

/** Number of the newest version; 0 before there is one. */
export async function findNewest(db: Db): Promise<number> {
  const { newest } = await db
    .selectFrom('version')
    .select(({ fn }) => fn.max('version').as('newest'))
    .executeTakeFirstOrThrow()
  return newest ?? 0
}

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
