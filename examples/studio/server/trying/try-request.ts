import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import type { GivenRequest, Ran } from 'dynacode/tools'
import { Problem } from '../problem.ts'

/** What is tried out. */
export interface Trial {
  /** A document, as JSON text. */
  readonly document: string
  readonly request: GivenRequest
  readonly now?: string | undefined
}

const CHILD = join(import.meta.dirname, 'child.mjs')
/** Longer than any plugin may take, in milliseconds. */
const PATIENCE_MS = 20_000
/** More than a request's trace takes, in characters. */
const LONGEST_ANSWER = 16 * 1024 * 1024
/** Each is a process. */
const AT_ONCE = 4

/**
 * Tries a request out, in a process of its own: one that cannot read the studio's files or its environment, and is ended if
 * it takes too long. What plugins fetch, they fetch.
 *
 * @throws Problem
 */
export type TryRequest = (trial: Trial) => Promise<Ran>

/** Makes what tries requests out, a few at a time. */
export function createTrials(): TryRequest {
  let running = 0
  return async function tryRequest(trial) {
    if (running >= AT_ONCE) {
      throw new Problem(503, 'others are trying something out; try again in a moment', {
        headers: { 'Retry-After': '2' },
      })
    }
    running += 1
    try {
      return await runChild(trial)
    } finally {
      running -= 1
    }
  }
}

async function runChild(trial: Trial): Promise<Ran> {
  const child = spawn(process.execPath, [...permissions(), '--max-old-space-size=256', CHILD], {
    env: {},
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  // The document as it is, behind a line with the rest: it may be large.
  const { document, ...rest } = trial
  child.stdin.on('error', () => undefined).end(`${JSON.stringify(rest)}\n${document}`)
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(signal ?? `code ${code}`))
  })
  const [answer, said, end] = await Promise.all([
    readSome(child.stdout, LONGEST_ANSWER, () => child.kill('SIGKILL')),
    readSome(child.stderr, LONGEST_ANSWER, () => child.kill('SIGKILL')),
    ended,
  ])
  const { ran, failed, option } = parse(answer, said, end)
  if (ran !== undefined) return ran
  throw new Problem(
    422,
    String(failed),
    option === undefined ? {} : { fields: { [`request.${option}`]: withoutPlace(String(failed)) } },
  )
}

/** Reads text up to some length; what says more is ended. */
async function readSome(stream: Readable, longest: number, end: () => void): Promise<string> {
  let read = ''
  for await (const part of stream.setEncoding('utf8')) {
    if (read.length < longest) read += part
    else end()
  }
  return read
}

/** At the field, nobody needs to be told which one it is. */
function withoutPlace(message: string): string {
  return message.replace(/^run_request\(.*?\): option [\w.]+: /, '')
}

function parse(answer: string, said: string, end: string): { ran?: Ran; failed?: string; option?: string } {
  try {
    return JSON.parse(answer)
  } catch {
    const why =
      end === 'SIGKILL'
        ? `it took more than ${PATIENCE_MS / 1000} seconds, or said too much`
        : said.trim().split('\n').at(-1) || end
    throw new Problem(422, `the request could not be tried out: ${why}`)
  }
}

/** Files may be read that are code, and no others; nothing may be written, and no process begun. */
function permissions(): string[] {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]
  const flag = major > 23 || (major === 23 && minor >= 5) ? '--permission' : '--experimental-permission'
  return [flag, '--no-warnings', ...readableFolders().map((folder) => `--allow-fs-read=${folder}/*`)]
}

function readableFolders(): readonly string[] {
  const require = createRequire(import.meta.url)
  const dynacode = dirname(realpathSync(require.resolve('dynacode/package.json')))
  const own = join(import.meta.dirname, '..', '..')
  const folders = [
    join(dynacode, 'dist'),
    join(dynacode, 'node_modules'),
    join(own, 'node_modules'),
    import.meta.dirname,
  ]
  return [...new Set(folders.filter((folder) => existsSync(folder)))]
}
