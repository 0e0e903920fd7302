import type fs from 'node:fs'
import { constants, type Stats } from 'node:fs'
import { DynacodeError } from '../../errors.ts'

/** What the cache needs of node:fs. */
export type FileSystem = Pick<
  typeof fs,
  | 'closeSync'
  | 'fstatSync'
  | 'fsync'
  | 'futimesSync'
  | 'linkSync'
  | 'lstatSync'
  | 'mkdirSync'
  | 'openSync'
  | 'read'
  | 'readdirSync'
  | 'readFileSync'
  | 'readSync'
  | 'renameSync'
  | 'statSync'
  | 'unlinkSync'
  | 'write'
  | 'writeSync'
>

/** Who owns the files that this process makes; undefined on Windows, which has no such number. */
const userId = (): number | undefined => process.geteuid?.()

/** A fault of the cache. */
export function cacheError(message: string, cause?: unknown): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_CACHE', message, cause === undefined ? {} : { cause })
}

/**
 * Makes the folder where it is missing, for this user alone.
 *
 * @throws DynacodeError when others may replace the files in it
 */
export function openFolder(fs: FileSystem, folder: string): void {
  let found = ifThere(() => fs.statSync(folder))
  if (found === undefined) {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
    found = fs.statSync(folder)
  }
  checkFolder(folder, found)
}

/** As `openFolder`, of a folder that may be missing; says whether it is there. */
export function findFolder(fs: FileSystem, folder: string): boolean {
  const found = ifThere(() => fs.statSync(folder))
  if (found === undefined) return false
  checkFolder(folder, found)
  return true
}

function checkFolder(folder: string, found: Stats): void {
  if (!found.isDirectory()) throw cacheError(`the cache's folder ${folder} is not a folder`)
  const open = process.platform !== 'win32' && (found.mode & 0o002) !== 0 && (found.mode & 0o1000) === 0
  if (!open) return
  throw cacheError(
    `the cache's folder ${folder} is writable by everybody and not sticky (mode ${modeOf(found)}); use a folder of the app's own in it, which dynacode makes with mode 0700`,
  )
}

/**
 * Opens a file that is ours alone to write. Symbolic links are not followed, and nothing that is no file can block.
 *
 * @returns undefined where there is no such file
 * @throws DynacodeError when it is not safe to use; the system's error when it cannot be opened
 */
export function openSafely(
  fs: FileSystem,
  path: string,
  access: number = constants.O_RDONLY,
): { fd: number; found: Stats } | undefined {
  const seen = lookAt(fs, path)
  if (seen === undefined) return undefined
  checkFile(path, seen)
  // Windows has neither of the two.
  const flags = access | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
  const fd = ifThere(() => fs.openSync(path, flags))
  if (fd === undefined) return undefined
  try {
    const found = fs.fstatSync(fd)
    checkFile(path, found)
    return { fd, found }
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}

/** What is at this path, itself: a symbolic link is not followed. */
export function lookAt(fs: FileSystem, path: string): Stats | undefined {
  return ifThere(() => fs.lstatSync(path))
}

/** Whether it is the same file, unchanged; a new name alone changes neither its number nor these. */
export function isSameContent(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs
}

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** @throws DynacodeError when there is something at this path that is not safe to use */
export function checkPath(fs: FileSystem, path: string): void {
  const found = lookAt(fs, path)
  if (found !== undefined) checkFile(path, found)
}

function checkFile(path: string, found: Stats): void {
  const uid = userId()
  const fault = found.isSymbolicLink()
    ? 'is a symbolic link'
    : !found.isFile()
      ? 'is not a regular file'
      : uid === undefined
        ? undefined
        : found.uid !== uid
          ? `belongs to user ${found.uid}, not to this process's user ${uid}`
          : (found.mode & 0o002) !== 0
            ? `is writable by everybody (mode ${modeOf(found)})`
            : undefined
  if (fault !== undefined) throw cacheError(`the cache's file ${path} ${fault}; it is not used`)
}

const modeOf = ({ mode }: Stats) => (mode & 0o7777).toString(8).padStart(4, '0')
