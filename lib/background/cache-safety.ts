import { lstatSync, readdirSync, rmSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DynacodeError } from '../errors.ts'

const STICKY = 0o1000
const WORLD_WRITABLE = 0o002
/** A temporary file that is older belongs to nobody, in milliseconds. */
const OLD_MS = 3_600_000

/**
 * Looks at a file of the cache before it is used: what is in it decides what code runs.
 *
 * @returns what the file is; undefined when there is none
 * @throws DynacodeError ERR_DYNACODE_CACHE when somebody else may have put it there
 */
export function inspect(path: string): Stats | undefined {
  const folder = statSync(dirname(path))
  if ((folder.mode & WORLD_WRITABLE) !== 0 && (folder.mode & STICKY) === 0) {
    throw refuse(path, `everybody may write to its folder; take that right away (chmod o-w ${dirname(path)})`)
  }
  const file = lstatSync(path, { throwIfNoEntry: false })
  if (file === undefined) return undefined
  if (file.isSymbolicLink()) throw refuse(path, 'it is a symbolic link; name the file itself')
  if (!file.isFile()) throw refuse(path, 'it is no regular file')
  const uid = process.getuid?.()
  if (uid !== undefined && file.uid !== uid)
    throw refuse(path, `it belongs to user ${file.uid}, and this process is user ${uid}`)
  return file
}

/** Removes the temporary files that processes left behind that were killed while they wrote. */
export function sweepTemporaries(path: string): void {
  const begin = `${basename(path)}.`
  for (const name of readdirSync(dirname(path))) {
    const pid = name.startsWith(begin) ? /\.(\d+)\.[0-9a-f]+\.tmp$/.exec(name)?.[1] : undefined
    if (pid === undefined) continue
    const file = join(dirname(path), name)
    const changed = lstatSync(file, { throwIfNoEntry: false })?.mtimeMs
    if (changed !== undefined && (!isAlive(Number(pid)) || Date.now() - changed > OLD_MS)) rmSync(file, { force: true })
  }
}

/** Whether a process of this number lives. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function refuse(path: string, why: string): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_CACHE', `the cache file ${path} is not used: ${why}`)
}
