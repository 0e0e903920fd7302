import nodeFs from 'node:fs'
import { DynacodeError } from '../errors.ts'
import { createPlace, replaceDurably, sweep } from './cache-file.ts'
import { encodeDocument, keepableTag } from './cache-format.ts'
import { type CacheEntry, openGeneration } from './cache-generation.ts'
import { openLock } from './cache-lock.ts'
import { cacheError, checkPath, type FileSystem, findFolder, openFolder } from './cache-safety.ts'
import { createTrouble } from './cache-trouble.ts'
import { openWaitingRoom } from './cache-wait.ts'
import { identifyThisProcess } from './process-identity.ts'
import { openVersionMark } from './version-mark.ts'

export type { CacheEntry } from './cache-generation.ts'

/**
 * The documents that this machine last had, on its disk: the newest, and the one before. All processes with the same path
 * share them. Nothing here throws or rejects: what fails is reported, once per change, and is as if there were no cache.
 */
export interface Cache {
  /** Every generation that can be read, newest first; damaged ones are set aside. Cheap when nothing has changed. */
  read(): readonly CacheEntry[]
  /**
   * The newest generation, if it was found current less than this long ago; a time in the future does not count.
   *
   * @param except SHA-1 of what does not count either
   */
  fresh(max_age_ms: number, except?: string): CacheEntry | undefined
  /**
   * Puts a new generation in the newest one's place, durably; false when that failed, the lock was lost
   * meanwhile, or another process has asked for what is there later than `asked_at` (milliseconds since 1970).
   */
  write(entry: Entry, asked_at?: number): boolean
  /**
   * Notes that the newest generation is what the source has now, under this tag, if it is the one with this SHA-1. What
   * the disk has lost, or has not taken yet, is written then.
   *
   * @returns whether that document is on the disk now
   */
  touch(sha1: string, tag: string | undefined): boolean
  /**
   * Takes the right to fetch, of which there is one on the machine. Waits while another process holds it, until that one
   * gives it back, ends, or has held it for `stale_ms`.
   *
   * @returns gives it back; undefined as soon as `fresh(max_age_ms, except)` has something, or when the signal aborts
   */
  lock(options: LockOptions): Promise<(() => void) | undefined>
  /** The highest version ever noted, by any process. */
  highest_version(): number | undefined
  note_version(version: number): void
  /** Gives back what is held; nothing is read or written after that. */
  close(): void
}

interface LockOptions {
  readonly max_age_ms: number
  readonly stale_ms: number
  readonly signal: AbortSignal
  readonly except?: string | undefined
}

type Entry = Omit<CacheEntry, 'validated_at' | 'source'>

/** What is done with the disk, and to what; each can fail while the others work. */
type Part = `${'read' | 'written'}${'' | ` ${string}`}`

/**
 * Opens the cache at this path, and makes its folder where that is missing.
 *
 * @param source names the place that documents come from; those of another one are not read
 * @param max_bytes the largest document that may come out of it
 * @param report told what is wrong, once until that changes
 * @param fs what reaches the disk
 */
export function createCache(
  {
    path,
    source,
    max_bytes,
    report,
  }: { path: string; source: string; max_bytes: number; report: (error: DynacodeError) => void },
  fs: FileSystem = nodeFs,
): Cache {
  const place = createPlace(fs, path, identifyThisProcess())
  const trouble = createTrouble(report)
  const newest = openGeneration(place, path, max_bytes)
  const previous = openGeneration(place, `${path}.previous`, max_bytes)
  const mutex = openLock(place)
  const versionMark = openVersionMark(place)
  const room = openWaitingRoom()
  let entries: readonly CacheEntry[] = Object.freeze([])
  /** What this process has last given or got: to put it back should the disk lose it, or not have taken it. */
  let last: Entry | undefined
  let held: string | undefined
  let closed = false

  /** Does one thing with the disk; where that fails it says so, and returns the fallback. */
  function attempt<T>(part: Part, fallback: T, action: () => T): T {
    if (closed) return fallback
    try {
      const result = action()
      trouble.over(part)
      return result
    } catch (error) {
      trouble.failed(part, asCacheError(error, `the cache at ${path} cannot be ${part.split(' ')[0]}`))
      return fallback
    }
  }

  const readNewest = () => attempt('read newest', undefined, () => checkOwn(newest.read(), path))

  function checkOwn(entry: CacheEntry | undefined, file: string): CacheEntry | undefined {
    if (entry?.source === undefined || entry.source === source) return entry
    throw cacheError(
      `the cache's file ${file} holds a document from another plugin_api_uri or source, and is not used; ` +
        'give each app a cache_path of its own',
    )
  }

  /** What is wrong with the newest generation's path speaks against the other files beside it, too. */
  const isSafe = () =>
    attempt('read at all', false, () => {
      const isThere = findFolder(fs, place.folder)
      checkPath(fs, path)
      return isThere
    })

  function store(entry: Entry, asked_at = Date.now()): boolean {
    const token = held
    const isLate = token !== undefined && !attempt('read lock', true, () => mutex.isHeld(token))
    // Whoever took the lock over has fetched later than we have.
    if (isLate) return false
    const current = readNewest()
    // Without the lock, others may have asked after us and been faster. A time in the future says nothing.
    const now = Date.now()
    const isOutdated = current !== undefined && current.validated_at > asked_at && current.validated_at <= now
    if (token === undefined && isOutdated && current.sha1 !== entry.sha1) return false
    return attempt('written', false, () => {
      const { bytes, version, sha1 } = entry
      if (bytes.length > max_bytes) throw cacheError(`the cache takes ${max_bytes} bytes at most, got ${bytes.length}`)
      openFolder(fs, place.folder)
      checkPath(fs, path)
      checkPath(fs, `${path}.previous`)
      const content = encodeDocument({ bytes, tag: keepableTag(entry.tag), version, source })
      replaceDurably(place, content, current !== undefined && current.sha1 !== sha1, asked_at)
      return true
    })
  }

  function release(token: string): void {
    if (held !== token) return
    held = undefined
    attempt('written lock', undefined, () => mutex.release(token))
  }

  /** Undefined: another process has the lock. On a disk that refuses, everybody fetches for himself. */
  function take(stale_ms: number): (() => void) | undefined {
    return attempt<(() => void) | undefined>(
      'written lock',
      () => undefined,
      () => {
        openFolder(fs, place.folder)
        checkPath(fs, path)
        const token = mutex.take(stale_ms)
        if (token === undefined) return undefined
        held = token
        return () => release(token)
      },
    )
  }

  function fresh(max_age_ms: number, except?: string): CacheEntry | undefined {
    const entry = readNewest()
    if (entry !== undefined && entry.sha1 === except) return undefined
    const age_ms = entry === undefined ? -1 : Date.now() - entry.validated_at
    if (age_ms < 0 || age_ms >= max_age_ms) return undefined
    last = entry
    return entry
  }

  attempt('written', undefined, () => {
    openFolder(fs, place.folder)
    sweep(place)
  })

  return Object.freeze({
    fresh,
    read() {
      const isUsable = isSafe()
      const first = isUsable ? readNewest() : undefined
      const second = isUsable
        ? attempt('read previous', undefined, () => checkOwn(previous.read(), `${path}.previous`))
        : undefined
      last = first ?? second
      const found = [first, second?.sha1 === first?.sha1 ? undefined : second].filter((entry) => entry !== undefined)
      const isSame = found.length === entries.length && found.every((entry, index) => entry === entries[index])
      if (!isSame) entries = Object.freeze(found)
      return entries
    },
    write(entry, asked_at) {
      last = entry
      return store(entry, asked_at)
    },
    touch(sha1, tag) {
      const current = readNewest()
      if (current?.sha1 === sha1 && current.tag === keepableTag(tag)) {
        last = current
        attempt('written', undefined, newest.touch)
        return true
      }
      const entry = current?.sha1 === sha1 ? current : last
      return entry?.sha1 === sha1 && store({ ...entry, tag })
    },
    async lock({ max_age_ms, stale_ms, signal, except }) {
      while (!signal.aborted && !closed) {
        if (fresh(max_age_ms, except) !== undefined) return undefined
        const giveBack = take(stale_ms)
        if (giveBack === undefined) {
          await room.pause(signal)
          continue
        }
        // The one before may have written and gone between the two looks.
        if (fresh(max_age_ms, except) === undefined) return giveBack
        giveBack()
      }
      return undefined
    },
    highest_version: () => attempt('read version', undefined, versionMark.highest),
    note_version: (version) => attempt('written version', undefined, () => versionMark.note(version)),
    close() {
      if (held !== undefined) release(held)
      closed = true
      room.close()
    },
  } satisfies Cache)
}

function asCacheError(error: unknown, what: string): DynacodeError {
  if (error instanceof DynacodeError) return error
  // Without the call and the temporary file's name, which are different each time.
  const [reason] = String((error as Error).message).split(', ')
  return cacheError(`${what}: ${reason}`, error)
}
