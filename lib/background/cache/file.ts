import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { syncFile, writePieces } from './pieces.ts'
import { isGone, type ProcessIdentity } from './process-identity.ts'
import { type FileSystem, isSameContent, lookAt, setTime } from './safety.ts'

/** Where a cache lies: the paths of its files, and what they are reached by. */
export interface CachePlace {
  readonly fs: FileSystem
  /** The newest generation; the other files are named after it. */
  readonly path: string
  readonly folder: string
  readonly here: ProcessIdentity
  /** A new name in the same folder, used by nobody else. */
  temporary(): string
}

/** A temporary file older than this belongs to nobody any more, whatever its name says. */
const ABANDONED_MS = 3_600_000

export function createPlace(fs: FileSystem, path: string, here: ProcessIdentity): CachePlace {
  const temporary = () => `${path}.${here.machine}-${here.pid}-${randomBytes(6).toString('hex')}.tmp`
  return Object.freeze({ fs, path, folder: dirname(path), here, temporary })
}

/** A file that is on the disk, and has no name of its own yet. */
export interface Written {
  readonly path: string
  readonly found: Stats
}

/**
 * Puts some content on the disk, durably. What is long is done off the main thread.
 *
 * @param parts the content
 * @param at when it was asked for, in milliseconds since 1970
 * @param closing lays it down: then nothing is left of it
 */
export async function writeDurably(
  place: CachePlace,
  parts: readonly Uint8Array[],
  at: number,
  closing: AbortSignal,
): Promise<Written> {
  const { fs } = place
  const path = place.temporary()
  try {
    const fd = fs.openSync(path, 'wx', 0o600)
    try {
      await writePieces(fs, fd, parts, closing)
      // The time says when the content was last asked for; set before the sync, so that it lasts, too.
      setTime(fs, fd, path, at)
      await syncFile(fs, fd)
      return { path, found: fs.fstatSync(fd) }
    } finally {
      fs.closeSync(fd)
    }
  } catch (error) {
    unlinkIf(fs, path)
    throw error
  }
}

/**
 * Gives the file to the newest generation's name and, where that is to be kept, what had that name to the previous one. By a
 * second name for it, so that at every moment each of the two names has a whole file, and two different ones.
 *
 * @returns the new file, as it is found at its name; undefined where another one is there already
 */
export function putInPlace(place: CachePlace, written: Written, keep: boolean): Stats | undefined {
  const { fs, path } = place
  const kept = keep ? linkAside(place) : undefined
  try {
    fs.renameSync(written.path, path)
    if (kept !== undefined) fs.renameSync(kept, `${path}.previous`)
  } finally {
    // Where both are names of one file already, a rename does nothing at all; see rename(2).
    if (kept !== undefined) unlinkIf(fs, kept)
  }
  const found = lookAt(fs, path)
  return found !== undefined && isSameContent(found, written.found) ? found : undefined
}

function linkAside(place: CachePlace): string | undefined {
  const { fs, path } = place
  const aside = place.temporary()
  try {
    fs.linkSync(path, aside)
    return aside
  } catch {
    // Not every file system knows links. There, a moment has one generation alone.
    if (lookAt(fs, path) !== undefined) fs.renameSync(path, `${path}.previous`)
    return undefined
  }
}

/** A new name lasts once its folder is on the disk, too. Windows cannot do that, and does not need it. */
export async function syncFolder(fs: FileSystem, folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const fd = fs.openSync(folder, 'r')
  try {
    await syncFile(fs, fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** Gives a damaged file the name under which it is kept to be looked at; undefined where the disk does not allow that. */
export function setAside(place: CachePlace, path: string): string | undefined {
  const aside = `${place.path}.damaged`
  try {
    place.fs.renameSync(path, aside)
    return aside
  } catch {
    return undefined
  }
}

/** Removes temporary files whose process was ended before it could do so. */
export function sweep({ fs, path, folder, here }: CachePlace): void {
  const before = `${basename(path)}.`
  for (const name of fs.readdirSync(folder)) {
    const owner = name.startsWith(before)
      ? /^([0-9a-f]{8})-(\d+)-[0-9a-f]{12}\.tmp$/.exec(name.slice(before.length))
      : null
    if (owner === null) continue
    const file = join(folder, name)
    const found = lookAt(fs, file)
    if (found === undefined) continue
    const [, machine = '', pid] = owner
    const abandoned = Date.now() - found.mtimeMs > ABANDONED_MS
    if (abandoned || isGone({ machine, pid: Number(pid), started: undefined }, here)) unlinkIf(fs, file)
  }
}

export function unlinkIf(fs: FileSystem, path: string): void {
  try {
    fs.unlinkSync(path)
  } catch {
    // It is gone, or it stays until the next sweep.
  }
}
