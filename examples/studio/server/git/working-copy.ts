import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Problem } from '../problem.ts'
import { readTar } from '../store/archive.ts'
import { ask, createGit } from './git.ts'
import type { FileChanges } from './spread-files.ts'

/** A folder of a git working copy that somebody else works in, too. */
export interface WorkingCopy {
  /** The commit that is checked out; undefined before there is one. */
  head(): Promise<string | undefined>
  /** Files that differ from it, or are new. */
  listDirty(): Promise<readonly string[]>
  /** The files of a commit, of this folder alone. */
  readFiles(commit: string): Promise<ReadonlyMap<string, string>>
  describe(commit: string): Promise<{ readonly author: string; readonly message: string }>
  /**
   * Makes a commit and checks it out. Git itself sees to it that nothing is overwritten that was not committed.
   *
   * @param parent that is checked out
   * @throws GitError
   */
  commit(parent: string | undefined, changes: FileChanges, author: string, message: string): Promise<string>
  push(): Promise<void>
}

/**
 * Opens it.
 *
 * @throws Error when the folder is none of a working copy
 */
export async function openWorkingCopy(folder: string): Promise<WorkingCopy> {
  const git = createGit(folder)
  const prefix = await ask(git, 'rev-parse', '--show-prefix').catch((error: Error) => {
    const { code } = (error.cause ?? {}) as { code?: unknown }
    const why = code === 'ENOENT' ? 'the folder does not exist, or git is not installed' : error.message
    throw new Error(`GIT_FOLDER: expected a folder in a git working copy, got ${folder}: ${why}`)
  })

  async function head(): Promise<string | undefined> {
    const found = await ask(git, 'rev-parse', '--verify', '--quiet', 'HEAD').catch(() => '')
    return found === '' ? undefined : found
  }

  /** The tree of a commit with the changes in it; neither the index of the working copy nor its files are touched. */
  async function writeTree(parent: string | undefined, { written, removed }: FileChanges): Promise<string> {
    const scratch = await mkdtemp(join(tmpdir(), 'studio-git-'))
    try {
      const env = { GIT_INDEX_FILE: join(scratch, 'index') }
      await git(['read-tree', ...(parent === undefined ? ['--empty'] : [parent])], { env })
      const names = [...written.keys()]
      const paths = names.map((_, at) => join(scratch, String(at)))
      for (const [at, name] of names.entries()) await writeFile(paths[at] as string, written.get(name) as string)
      const given = { input: paths.map((path) => `${path}\n`).join('') }
      const ids = (await git(['hash-object', '-w', '--no-filters', '--stdin-paths'], given)).toString().split('\n')
      const lines = [
        ...names.map((name, at) => `100644 ${ids[at]}\t${prefix}${name}\0`),
        ...removed.map((name) => `0 ${'0'.repeat(ids[0]?.length || 40)}\t${prefix}${name}\0`),
      ]
      await git(['update-index', '-z', '--index-info'], { env, input: lines.join('') })
      return (await git(['write-tree'], { env })).toString().trim()
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  }

  return Object.freeze({
    head,
    async listDirty() {
      const said = await git(['status', '--porcelain', '-z', '--untracked-files=all', '--no-renames', '--', '.'])
      return said
        .toString()
        .split('\0')
        .flatMap((entry) => entry.slice(3) || [])
    },
    readFiles: async (commit) => readTar(await git(['archive', '--format=tar', commit])),
    async describe(commit) {
      const [author = '', message = ''] = (await ask(git, 'log', '-1', '--format=%an%x00%s', commit)).split('\0')
      return { author, message }
    },
    async commit(parent, changes, author, message) {
      const tree = await writeTree(parent, changes)
      const [name, email] = [cleanName(author), 'studio@localhost']
      const env = {
        GIT_AUTHOR_NAME: name,
        GIT_AUTHOR_EMAIL: email,
        GIT_COMMITTER_NAME: name,
        GIT_COMMITTER_EMAIL: email,
      }
      const parents = parent === undefined ? [] : ['-p', parent]
      const made = await git(['commit-tree', tree, ...parents, '-F', '-'], { env, input: `${message}\n` })
      const commit = made.toString().trim()
      await git(['merge', '--ff-only', '--quiet', commit], { env })
      return commit
    },
    async push() {
      await git(['push', '--quiet'])
    },
  } satisfies WorkingCopy)
}

/** Git takes no name that is empty or nothing but marks, and none with these in it. */
function cleanName(name: string): string {
  const clean = name.replace(/[\p{Cc}<>]/gu, ' ').trim()
  return /[\p{L}\p{N}]/u.test(clean) ? clean : 'somebody'
}

/** @throws Problem that names the files, where there is work that was not committed */
export async function demandClean(copy: WorkingCopy): Promise<void> {
  const dirty = await copy.listDirty()
  if (dirty.length === 0) return
  const names = `${dirty.slice(0, 5).join(', ')}${dirty.length > 5 ? ` and ${dirty.length - 5} more` : ''}`
  throw new Problem(409, `the folder in git has uncommitted changes: ${names}; commit or discard them`)
}
