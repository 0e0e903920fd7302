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

/** What is put in the newest generation's place. */
interface Replacement {
  /** The content, by its parts. */
  readonly parts: readonly Uint8Array[]
  /** When it was asked for, in milliseconds since 1970. */
  readonly at: number
  /**
   * Asked when the content is on the disk, and nothing comes between its answer and what is done by it: whether the newest
   * generation is to become the previous one; undefined: the content is not wanted any more.
   */
  readonly keeps: () => Promise<boolean | undefined>
  /** Told of the new file as soon as it has the name: others hear of it at the same time. */
  readonly placed: (found: Stats) => void
  /** Lays it down: then nothing has changed. */
  readonly closing: AbortSignal
}

/**
 * Puts a file with this content where the newest generation is, so that it is there after a crash of the machine, too. At
 * every moment each of the two names has a whole file, or none if it had none. What is long is done off the main thread.
 *
 */
export async function replaceDurably(place: CachePlace, content: Replacement): Promise<void> {
  const { fs, path, folder } = place
  const temporary = place.temporary()
  let written: Stats
  try {
    written = await writeDurably(fs, temporary, content)
    const keep = await content.keeps()
    content.closing.throwIfAborted()
    if (keep === undefined) {
      unlinkIf(fs, temporary)
      return
    }
    exchange(place, temporary, keep)
  } catch (error) {
    unlinkIf(fs, temporary)
    throw error
  }
  const found = lookAt(fs, path)
  if (found !== undefined && isSameContent(found, written)) content.placed(found)
  await syncFolder(fs, folder)
}

async function writeDurably(fs: FileSystem, path: string, { parts, at, closing }: Replacement): Promise<Stats> {
  const fd = fs.openSync(path, 'wx', 0o600)
  try {
    await writePieces(fs, fd, parts, closing)
    // The time says when the content was last asked for; set before the sync, so that it lasts, too.
    setTime(fs, fd, path, at)
    await syncFile(fs, fd)
    return fs.fstatSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/**
 * Gives the file to its name and, where it is to be kept, what had that name to the previous generation. By a second name
 * for it, so that two different generations are there at every moment.
 */
function exchange(place: CachePlace, from: string, keep: boolean): void {
  const { fs, path } = place
  const kept = keep ? linkAside(place) : undefined
  try {
    fs.renameSync(from, path)
    if (kept !== undefined) fs.renameSync(kept, `${path}.previous`)
  } finally {
    // Where both are names of one file already, a rename does nothing at all; see rename(2).
    if (kept !== undefined) unlinkIf(fs, kept)
  }
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
