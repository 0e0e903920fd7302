import { z } from 'zod'
import type { GitState } from '../../shared/review.ts'
import { Problem } from '../problem.ts'
import type { Live } from '../publishing/documents.ts'
import type { Press } from '../publishing/press.ts'
import { type Publisher, publish, Unchanged } from '../publishing/publish.ts'
import type { DocumentParts } from '../review/document-parts.ts'
import { announce } from '../store/announcements.ts'
import { writeAudit } from '../store/audit.ts'
import { lockPublishing } from '../store/database.ts'
import { readImport, writeImport } from '../store/read-import.ts'
import { findCommit, type KnownCommit, noteCommit } from './ledger.ts'
import type { WorkingCopy } from './working-copy.ts'

/** Follows a folder in git. */
export interface GitFollower {
  /** Brings what was committed since to life, if it passes the check; and into the folder what it lacks. Never rejects. */
  sync(): Promise<void>
  /** Publishes the commit that is checked out, though what is live has something that it has not. */
  take(): Promise<void>
  state(): Promise<
    Omit<GitState, 'findings' | 'dirty'> & { readonly findings: readonly object[]; readonly dirty: readonly string[] }
  >
}

const DOCUMENT = z.looseObject({
  general: z.record(z.string(), z.unknown()).nullish(),
  domains: z.array(z.looseObject({ name: z.string(), plugins: z.array(z.unknown()).nullish() })),
  plugins: z.array(z.unknown()).nullish(),
})

/**
 * Makes what follows it.
 *
 * @param options.push whether every commit goes to the remote
 * @param options.published told of every version that comes from there
 */
export function createFollower(
  press: Press,
  copy: WorkingCopy,
  options: { readonly push: boolean; published(): Promise<void>; failed(error: unknown): void },
): GitFollower {
  const { db, documents, reviewer } = press
  let push_problem: string | null = null
  let pushed: string | undefined
  let running: Promise<void> = Promise.resolve()

  async function look(is_taken: boolean): Promise<void> {
    // In this order: what is published from here in between has a commit that is known before there is another one.
    const [known, live, head] = [await findCommit(db), await documents.live(), await copy.head()]
    try {
      if (head !== undefined && (known?.commit !== head || is_taken)) await bringIn(head, live, known, is_taken)
      else if (known?.problem == null && (known?.version ?? 0) !== live.version) await makeUpFor(live)
    } catch (error) {
      // Of what came in between, the next look takes care: it is no failure, unless somebody waits for this one.
      if (is_taken || !(await isOutdated(live, head))) throw error
    }
    if (options.push) await pushNew()
  }

  async function isOutdated(live: Live, head: string | undefined): Promise<boolean> {
    return (await copy.head()) !== head || (await documents.live()).version !== live.version
  }

  /** A commit that somebody else has made. */
  async function bringIn(commit: string, live: Live, known: KnownCommit | undefined, is_taken: boolean): Promise<void> {
    const note = (version: number | null, problem?: Problem) => noteUnless(known, commit, version, problem)
    try {
      const files = await copy.readFiles(commit)
      if (!files.has('dynacode.json')) return await note(null)
      const sound = await findCommit(db, true)
      if (sound !== undefined && (sound.version ?? 0) !== live.version && !is_taken) {
        const message = `the commit lacks changes of version ${live.version} and would undo them: publish the commit as it is, or add them to it`
        throw new Problem(409, message)
      }
      await publishCommit(commit, files)
    } catch (error) {
      if (error instanceof Unchanged) return note(live.version)
      if (!(error instanceof Problem) || error.details.current !== undefined) throw error
      await note(null, error)
    }
  }

  /** Nothing, where something else was noted meanwhile: somebody has published, and has made a commit of it. */
  async function noteUnless(
    known: KnownCommit | undefined,
    commit: string,
    version: number | null,
    problem?: Problem,
  ): Promise<void> {
    await db.transaction().execute(async (transaction) => {
      await lockPublishing(transaction)
      if ((await findCommit(transaction))?.id !== known?.id || (await copy.head()) !== commit) return
      await noteCommit(transaction, commit, version, problem)
      if (problem !== undefined) await announce(transaction, 'studio_change', 'git')
    })
  }

  async function publishCommit(commit: string, files: ReadonlyMap<string, string>): Promise<void> {
    const parsed = DOCUMENT.safeParse(JSON.parse(await reviewer.readFolder({ files: Object.fromEntries(files) })))
    if (!parsed.success) throw new Problem(422, `dynacode.json: ${parsed.error.issues[0]?.message}`)
    const given = readImport(parsed.data)
    const text = writeImport(given)
    const { author, message } = await copy.describe(commit)
    const publisher: Publisher = { account_id: null, name: `${author} (git)` }
    await publish(press, publisher, 'import', async () => {
      return {
        message: message.slice(0, 500) || commit,
        document: (await reviewer.takeApart(text)) as DocumentParts,
        written: commit,
        async settle(transaction) {
          await writeAudit(transaction, publisher, 'import', `commit ${commit}`)
        },
      }
    })
    await options.published()
  }

  /** What was switched off while nothing could be committed. */
  async function makeUpFor(live: Live): Promise<void> {
    if ((await copy.listDirty()).length > 0) return
    const document = (await reviewer.takeApart(live.document)) as DocumentParts
    const written = await db
      .selectFrom('version')
      .select(['message', 'kind'])
      .where('version', '=', live.version)
      .executeTakeFirst()
    const known = await findCommit(db)
    const entry = await press.ledger?.prepare('publish', document, { ...live, version: known?.version ?? 0 })
    const commit = await entry?.write('studio', written?.message ?? `version ${live.version}`)
    if (commit !== undefined) await noteUnless(known, commit, live.version)
  }

  async function pushNew(): Promise<void> {
    const head = await copy.head()
    if (head === undefined || head === pushed) return
    try {
      await copy.push()
      pushed = head
      push_problem = null
    } catch (error) {
      push_problem = (error as Error).message
    }
  }

  /** One after the other. */
  function run(is_taken: boolean): Promise<void> {
    const done = running.then(() => look(is_taken))
    running = done.catch(() => undefined)
    return done
  }

  return Object.freeze({
    sync: () => run(false).catch(options.failed),
    take: () => run(true),
    async state() {
      const [commit, known, sound] = [await copy.head(), await findCommit(db), await findCommit(db, true)]
      const is_known = known?.commit === commit
      return {
        commit: commit ?? null,
        version: sound?.version ?? null,
        problem: is_known ? (known?.problem ?? null) : commit === undefined ? null : 'it has not been checked yet',
        findings: is_known ? (known?.findings ?? []) : [],
        dirty: await copy.listDirty(),
        push_problem,
      }
    },
  } satisfies GitFollower)
}
