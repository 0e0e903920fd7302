import { createHash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type CachePlace, takeAway } from './cache-file.ts'
import { type Content, decode, headerOf, MAX_HEADER_BYTES } from './cache-format.ts'
import { cacheError, findFolder, lookAt, openSafely } from './cache-safety.ts'

/** A document as it was received, with what belongs to it. */
export interface CacheEntry extends Content {
  /** The exact bytes received from the source, signature and all. */
  readonly bytes: Uint8Array
  /** When these bytes were last known to be what the source has, in milliseconds since 1970. */
  readonly validated_at: number
  /** SHA-1 of the bytes, in hex. */
  readonly sha1: string
}

/** One of the cache's two documents on the disk. */
export interface Generation {
  /**
   * The same object again as long as nothing has changed; undefined where there is none.
   *
   * @throws DynacodeError when it is damaged (it is set aside then) or not safe to use, or the system's error
   */
  read(): CacheEntry | undefined
  /** Notes that its content is current now. */
  touch(): void
}

interface Known {
  readonly found: Stats
  readonly header: Buffer
  readonly entry: CacheEntry
}

export function openGeneration(place: CachePlace, path: string, max_bytes: number): Generation {
  const { fs, folder } = place
  let known: Known | undefined
  /** A damaged file that could not be moved away; no reason to read it again. */
  let damaged: { found: Stats; error: Error } | undefined

  function read(): CacheEntry | undefined {
    const seen = lookAt(fs, path)
    if (seen !== undefined && known !== undefined && isSame(seen, known.found)) return known.entry
    if (seen !== undefined && damaged !== undefined && isSame(seen, damaged.found)) throw damaged.error
    damaged = undefined
    const opened = seen !== undefined && findFolder(fs, folder) ? openSafely(fs, path) : undefined
    if (opened === undefined) {
      known = undefined
      return undefined
    }
    try {
      known = readOpened(opened.fd, opened.found)
      // Undefined: another process has set it aside, and may have written a good one by now.
      return known?.entry
    } finally {
      fs.closeSync(opened.fd)
    }
  }

  function readOpened(fd: number, found: Stats): Known | undefined {
    if (known !== undefined && found.size === known.header.length + known.entry.bytes.length) {
      // Whole files replace each other; one with this checksum can only be younger by its time.
      const start = Buffer.alloc(known.header.length)
      fs.readSync(fd, start, 0, start.length, 0)
      if (start.equals(known.header)) return { ...known, found, entry: at(known.entry, found) }
    }
    known = undefined
    try {
      if (found.size > max_bytes + MAX_HEADER_BYTES) throw tooLarge(found.size, max_bytes)
      const file = fs.readFileSync(fd)
      const content = decode(file)
      if (content.bytes.length > max_bytes) throw tooLarge(content.bytes.length, max_bytes)
      const sha1 = createHash('sha1').update(content.bytes).digest('hex')
      return { found, header: headerOf(file) as Buffer, entry: at({ ...content, sha1 }, found) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== undefined) throw error
      return setAside(found, error as Error)
    }
  }

  /** Of the processes that see the damage, the one that sets the file aside says so. */
  function setAside(found: Stats, cause: Error): Known | undefined {
    const aside = `${place.path}.damaged`
    const what = `the cache's file ${path} is damaged: ${cause.message}`
    let isAside: boolean
    try {
      isAside = takeAway(place, path, (temporary) => isSameContent(fs.lstatSync(temporary), found), aside)
    } catch {
      const error = cacheError(`${what}; it is not used`, cause)
      damaged = { found, error }
      throw error
    }
    if (isAside) throw cacheError(`${what}; it is now ${aside}`, cause)
    return undefined
  }

  function touch(): void {
    const opened = known && openSafely(fs, path, constants.O_RDWR)
    if (opened === undefined) return
    try {
      if (known === undefined || !isSameContent(opened.found, known.found)) return
      const now = Date.now() / 1000
      fs.futimesSync(opened.fd, now, now)
      const found = fs.fstatSync(opened.fd)
      known = { ...known, found, entry: at(known.entry, found) }
    } finally {
      fs.closeSync(opened.fd)
    }
  }

  return Object.freeze({ read, touch } satisfies Generation)
}

/** File systems and Node keep times in steps finer than ours; a rounding down would make them a millisecond older. */
function at(entry: Omit<CacheEntry, 'validated_at'>, { mtimeMs }: Stats): CacheEntry {
  const { bytes, tag, version, source, sha1 } = entry
  return Object.freeze({ bytes, tag, version, source, sha1, validated_at: Math.round(mtimeMs) })
}

function isSame(a: Stats, b: Stats): boolean {
  return isSameContent(a, b) && a.ctimeMs === b.ctimeMs
}

/** A new name alone changes the ctime. */
function isSameContent(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs
}

function tooLarge(bytes: number, max_bytes: number): Error {
  return new Error(`it has ${bytes} bytes, expected ${max_bytes} at most`)
}
