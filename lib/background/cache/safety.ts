import type fs from 'node:fs'
import { constants, type Stats } from 'node:fs'
import { DynacodeError } from '../../errors.ts'
import { findFileFault, findFolderFault, makeOwnFolder } from '../../validation/own-files.ts'

/** What the cache needs of node:fs. */
export type FileSystem = Pick<
  typeof fs,
  | 'closeSync'
  | 'fstatSync'
  | 'fsync'
  | 'futimesSync'
  | 'linkSync'
  | 'lstatSync'
  | 'lutimesSync'
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
    makeOwnFolder(fs, folder)
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
  const fault = findFolderFault(found)
  if (fault !== undefined) throw cacheError(`the cache's folder ${folder} ${fault}`)
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
  const fault = findFileFault(found)
  if (fault !== undefined) throw cacheError(`the cache's file ${path} ${fault}; it is not used`)
}

/**
 * Sets the time of a file that is open. Where Node has a permission model (`node --permission`), that goes by the path alone.
 */
export function setTime(fs: FileSystem, fd: number, path: string, at_ms: number): void {
  try {
    fs.futimesSync(fd, at_ms / 1000, at_ms / 1000)
  } catch (error) {
    if (!isForbidden(error)) throw error
    fs.lutimesSync(path, at_ms / 1000, at_ms / 1000)
  }
}

/** Whether a call is one that Node has switched off for the whole process (`node --permission`). */
export function isForbidden(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ERR_ACCESS_DENIED'
}
