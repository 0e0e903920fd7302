import type fs from 'node:fs'
import type { Stats } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a folder with its parents, for this user alone. Node's own way never returns where one of these takes no folder, as
 * /proc does.
 *
 * @throws the system's error
 */
export function makeOwnFolder(
  { mkdirSync, lstatSync }: Pick<typeof fs, 'mkdirSync' | 'lstatSync'>,
  path: string,
): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    const parent = dirname(path)
    if (code !== 'ENOENT' || lstatSync(parent, { throwIfNoEntry: false }) !== undefined) throw error
    makeOwnFolder({ mkdirSync, lstatSync }, parent)
    makeOwnFolder({ mkdirSync, lstatSync }, path)
  }
}

/** Why a folder cannot be used, if so: others may replace the files in it. For a message, after the folder's name. */
export function findFolderFault(found: Stats): string | undefined {
  if (!found.isDirectory()) return 'is not a folder'
  const isOpen = process.platform !== 'win32' && (found.mode & 0o002) !== 0 && (found.mode & 0o1000) === 0
  if (!isOpen) return undefined
  return `is writable by everybody and not sticky (mode ${modeOf(found)}); use a folder of the app's own in it, which dynacode makes with mode 0700`
}

/** Why a file cannot be used, if so: it may not be ours alone to write. For a message, after the file's name. */
export function findFileFault(found: Stats): string | undefined {
  if (found.isSymbolicLink()) return 'is a symbolic link'
  if (!found.isFile()) return 'is not a regular file'
  // Windows has no such number.
  const uid = process.geteuid?.()
  if (uid === undefined) return undefined
  if (found.uid !== uid) return `belongs to user ${found.uid}, not to this process's user ${uid}`
  return (found.mode & 0o002) === 0 ? undefined : `is writable by everybody (mode ${modeOf(found)})`
}

const modeOf = ({ mode }: Stats) => (mode & 0o7777).toString(8).padStart(4, '0')
