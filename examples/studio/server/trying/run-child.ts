import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { Way } from './levels.ts'

/** What a child has said, and how it ended. */
export interface Ended {
  readonly answer: string
  /** The last line on standard error. */
  readonly said: string
  /** Whether it took too long, or said too much, or nobody wanted it any more. */
  readonly was_ended: boolean
  /** Its code or signal. */
  readonly end: string
}

/**
 * Runs a child that is given some text, and ends it with everything that it has begun.
 *
 * @param limits.signal ends it
 * @throws Error where it cannot be started
 */
export async function runChild(
  { command: [program, ...args], id }: Way,
  input: string,
  limits: { readonly patience_ms: number; readonly longest_answer: number; readonly signal?: AbortSignal | undefined },
): Promise<Ended> {
  const child = spawn(program as string, args, {
    // Another time zone than that of production would be another time of day for plugins.
    env: process.env.TZ === undefined ? {} : { TZ: process.env.TZ },
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
    // Its session and its group are its own: what it sends to its group, it sends to itself.
    detached: true,
    ...(id === undefined ? {} : { uid: id, gid: id }),
  })
  let was_ended = false
  let is_gone = false
  const end = () => {
    was_ended = true
    endGroup()
  }
  /** Until it was waited for, its number is nobody else's. */
  const endGroup = () => {
    if (child.pid === undefined || is_gone) return
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      child.kill('SIGKILL')
    }
  }
  const timer = setTimeout(end, limits.patience_ms)
  limits.signal?.addEventListener('abort', end, { once: true })
  if (limits.signal?.aborted) end()
  child.stdin.on('error', () => undefined).end(input)
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => {
      is_gone = true
    })
    child.once('close', (code, signal) => resolve(signal ?? `code ${code}`))
  })
  try {
    const [answer, said, how] = await Promise.all([
      readSome(child.stdout, limits.longest_answer, end),
      readSome(child.stderr, limits.longest_answer, end),
      ended,
    ])
    return { answer, said: said.trim().split('\n').at(-1) ?? '', was_ended, end: how }
  } finally {
    clearTimeout(timer)
    limits.signal?.removeEventListener('abort', end)
    endGroup()
  }
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
