import { constants, type Stats } from 'node:fs'
import { hashBytes } from '../../sources/content-hash.ts'
import { runInSlices } from '../../time/slices.ts'
import { runSteps, type Steps } from '../../time/steps.ts'
import { type CachePlace, takeAway } from './file.ts'
import { type Content, decode, headerOf, MAX_HEADER_BYTES } from './format.ts'
import { readPieces } from './pieces.ts'
import { cacheError, findFolder, isSameContent, lookAt, openSafely } from './safety.ts'

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
   * The same object again as long as nothing has changed, which costs a look at the file's name; undefined where there is
   * none. What is long is done off the main thread, or in slices. One at a time.
   *
   * @throws DynacodeError when it is damaged (it is set aside then) or not safe to use, or the system's error
   */
  read(): Promise<CacheEntry | undefined>
  /** As `read`, at once: for a start, where nothing else waits. */
  readAtOnce(): CacheEntry | undefined
  /** Takes note of what this process has written there itself, so that it need not be read. */
  learn(found: Stats, header: Buffer, entry: Omit<CacheEntry, 'validated_at'>): void
  /** Notes that its content is current now. */
  touch(): void
}

interface Known {
  readonly found: Stats
  readonly header: Buffer
  readonly entry: CacheEntry
}

interface Opened {
  readonly fd: number
  readonly found: Stats
}

/** How often a file is read that others replace again and again meanwhile. Each was the newest when it was opened. */
const MOST_READINGS = 5

/** @param closing lays reading down */
export function openGeneration(
  place: CachePlace,
  path: string,
  max_bytes: number,
  closing: AbortSignal = new AbortController().signal,
): Generation {
  const { fs, folder } = place
  let known: Known | undefined
  /** A damaged file that could not be moved away; no reason to read it again. */
  let damaged: { found: Stats; error: Error } | undefined

  /** Finds out whether what is known still holds. The file, where it has to be read; whoever gets it closes it. */
  function openUnknown(): Opened | undefined {
    const seen = lookAt(fs, path)
    if (seen !== undefined && known !== undefined && isSame(seen, known.found)) return undefined
    if (seen !== undefined && damaged !== undefined && isSame(seen, damaged.found)) throw damaged.error
    damaged = undefined
    const opened = seen !== undefined && findFolder(fs, folder) ? openSafely(fs, path) : undefined
    const before = known
    known = undefined
    if (opened === undefined) return undefined
    const { fd, found } = opened
    try {
      if (before === undefined || !beginsAs(opened, before)) return opened
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
    fs.closeSync(fd)
    known = { ...before, found, entry: at(before.entry, found) }
    return undefined
  }

  /** Whole files replace each other; one with this checksum can only be younger by its time. */
  function beginsAs({ fd, found }: Opened, { header, entry }: Known): boolean {
    if (found.size !== header.length + entry.bytes.length) return false
    const start = Buffer.alloc(header.length)
    fs.readSync(fd, start, 0, start.length, 0)
    return start.equals(header)
  }

  function checkSize({ size }: Stats): void {
    if (size > max_bytes + MAX_HEADER_BYTES) throw tooLarge(size, max_bytes)
  }

  function* understand(file: Buffer, found: Stats): Steps<Known> {
    const content = yield* decode(file)
    if (content.bytes.length > max_bytes) throw tooLarge(content.bytes.length, max_bytes)
    const sha1 = yield* hashBytes(content.bytes)
    return { found, header: headerOf(file) as Buffer, entry: at({ ...content, sha1 }, found) }
  }

  async function read(): Promise<CacheEntry | undefined> {
    for (let readings = 0; readings < MOST_READINGS; readings += 1) {
      const opened = openUnknown()
      if (opened === undefined) return known?.entry
      const { fd, found } = opened
      try {
        checkSize(found)
        const file = await readPieces(fs, fd, found.size, closing)
        known = await runInSlices(understand(file, found), closing)
      } catch (error) {
        refuse(found, error as Error)
      } finally {
        fs.closeSync(fd)
      }
    }
    return known?.entry
  }

  function readAtOnce(): CacheEntry | undefined {
    const opened = openUnknown()
    if (opened === undefined) return known?.entry
    const { fd, found } = opened
    try {
      checkSize(found)
      known = runSteps(understand(fs.readFileSync(fd), found))
    } catch (error) {
      refuse(found, error as Error)
    } finally {
      fs.closeSync(fd)
    }
    return known?.entry
  }

  /**
   * What the system refuses says nothing of the content. Of the processes that see the damage, the one that sets the file
   * aside says so; where another one has done that, there may be a good one by now.
   */
  function refuse(found: Stats, cause: Error): void {
    if ((cause as NodeJS.ErrnoException).code !== undefined) throw cause
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

  return Object.freeze({
    read,
    readAtOnce,
    learn(found, header, entry) {
      known = { found, header, entry: at(entry, found) }
    },
    touch,
  } satisfies Generation)
}

/** File systems and Node keep times in steps finer than ours; a rounding down would make them a millisecond older. */
function at(entry: Omit<CacheEntry, 'validated_at'>, { mtimeMs }: Stats): CacheEntry {
  const { bytes, tag, version, source, sha1 } = entry
  return Object.freeze({ bytes, tag, version, source, sha1, validated_at: Math.round(mtimeMs) })
}

function isSame(a: Stats, b: Stats): boolean {
  return isSameContent(a, b) && a.ctimeMs === b.ctimeMs
}

function tooLarge(bytes: number, max_bytes: number): Error {
  return new Error(`it has ${bytes} bytes, expected ${max_bytes} at most`)
}
