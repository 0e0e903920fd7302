import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import type { Ledger } from '../publishing/press.ts'
import { putTogether } from '../review/document-parts.ts'
import type { Reviewer } from '../review/reviewer.ts'
import type { Tables } from '../store/tables.ts'
import { GitError } from './git.ts'
import { demandClean, type WorkingCopy } from './working-copy.ts'

/** What is known of the newest commit that was looked at. */
export interface KnownCommit {
  readonly id: number
  readonly commit: string
  readonly version: number | null
  readonly problem: string | null
  readonly findings: readonly object[]
}

/** The newest commit that was looked at; undefined before there is one. @param sound of those that are live */
export function findCommit(db: Kysely<Tables>, sound = false): Promise<KnownCommit | undefined> {
  return db
    .selectFrom('git_commit')
    .select(['id', 'commit', 'version', 'problem', 'findings'])
    .$if(sound, (query) => query.where('problem', 'is', null))
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** Remembers a commit. */
export async function noteCommit(
  db: Kysely<Tables>,
  commit: string,
  version: number | null,
  problem?: Problem,
): Promise<void> {
  const values = {
    commit,
    version,
    problem: problem?.message ?? null,
    findings: JSON.stringify(problem?.details.findings ?? []),
  }
  await db.insertInto('git_commit').values(values).execute()
}

/**
 * Writes versions down as commits. What is switched off or stopped is so, whether it can be written down or not: that is made
 * up for when it can.
 */
export function createLedger(db: Kysely<Tables>, copy: WorkingCopy, reviewer: Reviewer): Ledger {
  return Object.freeze({
    async prepare(kind, { general, domains }, live) {
      const is_off = kind === 'switch' || kind === 'stop'
      const lets_pass = is_off || kind === 'renew'
      // In this order: a commit that somebody else makes in between is one that is not known.
      const [known, head] = [await findCommit(db), await copy.head()]
      const is_behind = head !== undefined && (known?.commit !== head || known.problem !== null)
      const is_ahead = known !== undefined && (known.version ?? 0) !== live.version
      if ((is_behind || is_ahead) && lets_pass) return { write: async () => undefined }
      if (is_behind) {
        const why = known?.commit === head ? `: ${known?.problem}` : ''
        throw new Problem(409, `the folder in git has a commit that is not live, ${head?.slice(0, 12)}${why}`)
      }
      if (kind === 'renew') return { write: async () => head }
      if (!is_off) await demandClean(copy)
      const { version: _version, expires: _expires, ...rest } = general
      const files = head === undefined ? new Map<string, string>() : await copy.readFiles(head)
      const given = files.has('dynacode.json') ? Object.fromEntries(files) : undefined
      const changes = await reviewer.spread(putTogether({ general: rest, domains }, {}), given)
      return {
        async write(author, message) {
          if ((await copy.head()) !== head)
            throw new Problem(409, 'a commit was made in the folder in the meantime; try again')
          if (changes.written.size + changes.removed.length === 0) return head
          try {
            return await copy.commit(head, changes, author, message)
          } catch (error) {
            if (lets_pass) return undefined
            throw error instanceof GitError ? new Problem(409, error.message) : error
          }
        },
      }
    },
    note: (transaction, written, version) => noteCommit(transaction, written, version),
  } satisfies Ledger)
}
