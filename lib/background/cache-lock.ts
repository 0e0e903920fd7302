import { randomBytes } from 'node:crypto'
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { readIfThere, temporaryName } from './cache-file.ts'
import { isAlive } from './cache-safety.ts'

/** Time between two looks at a lock that somebody else holds, in milliseconds. */
const LOOK_EVERY_MS = 50

/**
 * Takes the machine-wide right to fetch. A holder that was killed is followed at once, one that hangs after `stale_ms`.
 * In the worst case two processes fetch at once, and nothing is lost by it.
 *
 * @param settled asked while waiting: whether the fetch is no longer needed
 * @returns a function that gives the right back; undefined when it was no longer needed
 */
export async function takeLock(
  path: string,
  stale_ms: number,
  settled: () => boolean,
): Promise<(() => void) | undefined> {
  const mark = `${process.pid} ${performance.timeOrigin} ${randomBytes(6).toString('hex')}`
  for (;;) {
    if (settled()) return undefined
    if (tryToTake(path, mark)) return () => release(path, mark)
    if (isAbandoned(path, stale_ms)) takeAway(path)
    else await pause()
  }
}

function tryToTake(path: string, mark: string): boolean {
  try {
    writeFileSync(path, mark, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function isAbandoned(path: string, stale_ms: number): boolean {
  const held = readIfThere(path)
  if (held === undefined) return false
  const age_ms = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
  if (Math.abs(age_ms) > stale_ms) return true
  const [pid, origin] = held.toString().split(' ')
  // Between its making and its writing a lock is empty.
  if (pid === undefined || origin === undefined) return age_ms > 1000
  // In a container the next process has the number of the one before it.
  if (Number(pid) === process.pid) return Number(origin) !== performance.timeOrigin
  return !isAlive(Number(pid))
}

/** By renaming, so that of several processes one succeeds. */
function takeAway(path: string): void {
  const aside = temporaryName(path)
  try {
    renameSync(path, aside)
    rmSync(aside, { force: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function release(path: string, mark: string): void {
  try {
    if (readIfThere(path)?.toString() === mark) rmSync(path, { force: true })
  } catch {
    // It is given back by growing old.
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, LOOK_EVERY_MS).unref()
  })
}
