import { execFile } from 'node:child_process'

/** Runs git in a folder. @throws GitError with what git says */
export type Git = (
  args: readonly string[],
  given?: {
    /** What it reads from standard input. */
    readonly input?: string | Buffer
    readonly env?: NodeJS.ProcessEnv
  },
) => Promise<Buffer>

/** What git says, without the command. */
export class GitError extends Error {}

/** No command of ours takes longer, in milliseconds: a remote that is not there may. */
const TIMEOUT_MS = 30_000
const LARGEST_OUTPUT = 256 * 1024 * 1024

/** Makes what runs git in a folder: the program itself, without a shell, that asks nobody for a password. */
export function createGit(folder: string): Git {
  return (args, { input, env } = {}) =>
    new Promise((resolve, reject) => {
      const options = {
        cwd: folder,
        env: { ...process.env, GIT_TERMINAL_PROMPT: '0', GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C', ...env },
        timeout: TIMEOUT_MS,
        killSignal: 'SIGKILL',
        maxBuffer: LARGEST_OUTPUT,
        encoding: 'buffer',
      } as const
      const child = execFile('git', args, options, (error, stdout, stderr) => {
        if (error === null) return resolve(stdout)
        const said = stderr.toString().trim() || stdout.toString().trim() || error.message
        reject(new GitError(`git ${args[0]}: ${error.killed ? 'git took too long' : said}`, { cause: error }))
      })
      child.stdin?.on('error', () => undefined).end(input)
    })
}

/** What git prints, without the end of its last line. */
export async function ask(git: Git, ...args: readonly string[]): Promise<string> {
  return (await git(args)).toString().replace(/\n$/, '')
}
