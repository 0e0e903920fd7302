import { constants, type Stats } from 'node:fs'
import { DynacodeError } from '../../errors.ts'
import { hashBytes } from '../../sources/content-hash.ts'
import { runInSlices } from '../../time/slices.ts'
import { runSteps, type Steps } from '../../time/steps.ts'
import type { Bytes } from '../reading/rope.ts'
import { type Asked, askedAt, askedAtWallTime, wallTimeOf } from './asked.ts'
import { type CachePlace, setAside } from './file.ts'
import { type Content, decode, headerOf, MAX_HEADER_BYTES } from './format.ts'
import { readPieces } from './pieces.ts'
import { cacheError, findFolder, isSameContent, lookAt, openSafely, setTime } from './safety.ts'

/** A document as it was received, with what belongs to it. */
export interface CacheEntry extends Content {
  /** The exact bytes received from the source, signature and all. */
  readonly bytes: Bytes
  /** When the source was last asked, of those times when this is what it had. */
  readonly asked: Asked
  /** SHA-1 of the bytes, in hex. */
  readonly sha1: string
}

/** One of the cache's two documents on the disk. */
export interface Generation {
  /**
   * The same object again as long as nothing has changed, which costs a look at the file's name; undefined where there is
   * none. What is long is done off the main thread, or in slices. One at a time. What is damaged is left where it is: whatever
   * is there is replaced by the next document.
   *
   * @throws DynacodeError when it is damaged, not for this process, or not safe to use; or the system's error
   */
  read(): Promise<CacheEntry | undefined>
  /** As `read`, for a start: at once, and with a damaged file set aside. */
  readAtOnce(): CacheEntry | undefined
  /** Takes note of what this process has written there itself, so that it need not be read. */
  learn(found: Stats, header: Buffer, entry: Content & { readonly sha1: string }): void
  /**
   * Notes when the source was asked for what is there.
   *
   * @returns whether that is noted: a file is of one setting of the clock, and has to be written anew under another one
   */
  touch(asked: Asked): boolean
}

interface Known {
  readonly found: Stats
  readonly header: Buffer
  /** As its header has it: the file's own time counts from there. */
  readonly content: Content & { readonly sha1: string }
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
  /** A file that cannot be used; no reason to read it again. */
  let useless: { found: Stats; error: Error } | undefined

  /** Finds out whether what is known still holds. The file, where it has to be read; whoever gets it closes it. */
  function openUnknown(): Opened | undefined {
    const seen = lookAt(fs, path)
    if (seen !== undefined && known !== undefined && isSame(seen, known.found)) return undefined
    if (seen !== undefined && useless !== undefined && isSame(seen, useless.found)) throw useless.error
    useless = undefined
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
    known = know(found, before.header, before.content)
    return undefined
  }

  /** Whole files replace each other; one with this checksum can only be younger by its time. */
  function beginsAs({ fd, found }: Opened, { header, content }: Known): boolean {
    if (found.size !== header.length + content.bytes.length) return false
    const start = Buffer.alloc(header.length)
    fs.readSync(fd, start, 0, start.length, 0)
    return start.equals(header)
  }

  function checkSize(size: number, most: number): void {
    if (size > most) throw cacheError(`it has ${size} bytes, expected ${max_bytes} at most (plugin_api_max_bytes)`)
  }

  function* understand(file: Buffer, found: Stats): Steps<Known> {
    const content = yield* decode(file)
    checkSize(content.bytes.length, max_bytes)
    const sha1 = yield* hashBytes(content.bytes)
    return know(found, headerOf(file) as Buffer, { ...content, sha1 })
  }

  async function read(): Promise<CacheEntry | undefined> {
    for (let readings = 0; readings < MOST_READINGS; readings += 1) {
      const opened = openUnknown()
      if (opened === undefined) return known?.entry
      const { fd, found } = opened
      try {
        checkSize(found.size, max_bytes + MAX_HEADER_BYTES)
        const file = await readPieces(fs, fd, found.size, closing)
        known = await runInSlices(understand(file, found), closing)
      } catch (error) {
        refuse(found, error as Error, false)
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
      checkSize(found.size, max_bytes + MAX_HEADER_BYTES)
      known = runSteps(understand(fs.readFileSync(fd), found))
    } catch (error) {
      refuse(found, error as Error, true)
    } finally {
      fs.closeSync(fd)
    }
    return known?.entry
  }

  /**
   * What the system refuses says nothing of the content, and what is not for this process may be for others. Only what is
   * wrong in itself is damaged: where another process has replaced it meanwhile, there may be a good one by now.
   */
  function refuse(found: Stats, cause: Error, start: boolean): void {
    const isOurs = cause instanceof DynacodeError && cause.code === 'ERR_DYNACODE_CACHE'
    if (!isOurs && (cause as NodeJS.ErrnoException).code !== undefined) throw cause
    const now = lookAt(fs, path)
    if (now === undefined || !isSameContent(now, found)) return
    const aside = !isOurs && start ? setAside(place, path) : undefined
    const what = isOurs ? `is not used: ${cause.message}` : `is damaged: ${cause.message}; it is `
    const where = isOurs ? '' : aside === undefined ? 'not used' : `now ${aside}`
    const error = cacheError(`the cache's file ${path} ${what}${where}`, cause)
    if (aside === undefined) useless = { found: now, error }
    throw error
  }

  function touch(asked: Asked): boolean {
    const at = known?.content.asked && wallTimeOf(asked, known.content.asked)
    const opened = known && at !== undefined ? openSafely(fs, path, constants.O_RDWR) : undefined
    if (opened === undefined) return false
    try {
      if (known === undefined || at === undefined || !isSameContent(opened.found, known.found)) return false
      setTime(fs, opened.fd, path, at)
      known = know(fs.fstatSync(opened.fd), known.header, known.content)
      return true
    } finally {
      fs.closeSync(opened.fd)
    }
  }

  return Object.freeze({
    read,
    readAtOnce,
    learn(found, header, content) {
      known = know(found, header, content)
    },
    touch,
  } satisfies Generation)
}

/** The file's own time goes on from that in its header. */
function know(found: Stats, header: Buffer, content: Known['content']): Known {
  const { bytes, tag, version, source, sha1, asked: written } = content
  const asked = written === undefined ? askedAt(Math.round(found.mtimeMs)) : askedAtWallTime(found.mtimeMs, written)
  return { found, header, content, entry: Object.freeze({ bytes, tag, version, source, sha1, asked }) }
}

function isSame(a: Stats, b: Stats): boolean {
  return isSameContent(a, b) && a.ctimeMs === b.ctimeMs
}
