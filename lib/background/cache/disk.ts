import nodeFs from 'node:fs'
import type { DynacodeError } from '../../errors.ts'
import { runInSlices } from '../../time/slices.ts'
import { createAttempts } from './attempts.ts'
import { createPlace, replaceDurably, sweep } from './file.ts'
import { encodeHeader, keepableTag } from './format.ts'
import { type CacheEntry, openGeneration } from './generation.ts'
import { openHolding } from './holding.ts'
import { identifyThisProcess } from './process-identity.ts'
import { cacheError, checkPath, type FileSystem, findFolder, openFolder } from './safety.ts'
import { createTrouble } from './trouble.ts'
import { openVersionMark } from './version-mark.ts'
import { openWaitingRoom } from './wait.ts'

export type { CacheEntry } from './generation.ts'

/**
 * The documents that this machine last had, on its disk: the newest, and the one before. All processes with the same path
 * share them. Nothing here throws or rejects: what fails is reported, once per change, and is as if there were no cache.
 * What is long is done in the order in which it is asked for, on the thread pool or in slices; `readAtOnce` alone is not.
 */
export interface Cache {
  /** Every generation that can be read, newest first; damaged ones are set aside. Cheap when nothing has changed. */
  read(): Promise<readonly CacheEntry[]>
  /** As `read`, at once: for a start, where nothing else waits. */
  readAtOnce(): readonly CacheEntry[]
  /**
   * The newest generation, if it was found current less than this long ago; a time in the future does not count.
   *
   * @param except SHA-1 of what does not count either
   */
  fresh(max_age_ms: number, except?: string): Promise<CacheEntry | undefined>
  /**
   * Puts a new generation in the newest one's place, durably; false when that failed, the lock was lost
   * meanwhile, or another process has asked for what is there later than `asked_at` (milliseconds since 1970).
   */
  write(entry: Entry, asked_at?: number): Promise<boolean>
  /**
   * Notes that the newest generation is what the source has now, under this tag, if it is the one with this SHA-1. What
   * the disk has lost, or has not taken yet, is written then.
   *
   * @returns whether that document is on the disk now
   */
  touch(sha1: string, tag: string | undefined): Promise<boolean>
  /**
   * Takes the right to fetch, of which there is one on the machine. Waits while another process holds it, until that one
   * gives it back, ends, or has held it for `stale_ms`.
   *
   * @returns gives it back; undefined as soon as `fresh(max_age_ms, except)` has something, or when the signal aborts
   */
  lock(options: LockOptions): Promise<(() => void) | undefined>
  /** The highest version ever noted, by any process. */
  highest_version(): number | undefined
  note_version(version: number): Promise<void>
  /**
   * Gives back what is held, and lays down what is under way. Nothing is begun after that, and nothing of this process is
   * done with the disk any more once it resolves.
   */
  close(): Promise<void>
}

interface LockOptions {
  readonly max_age_ms: number
  readonly stale_ms: number
  readonly signal: AbortSignal
  readonly except?: string | undefined
}

type Entry = Omit<CacheEntry, 'validated_at' | 'source'>

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
  const closing = new AbortController()
  const attempts = createAttempts(path, createTrouble(report), closing.signal)
  const newest = openGeneration(place, path, max_bytes, closing.signal)
  const previous = openGeneration(place, `${path}.previous`, max_bytes, closing.signal)
  const holding = openHolding(place, attempts)
  const versionMark = openVersionMark(place)
  const room = openWaitingRoom()
  let entries: readonly CacheEntry[] = Object.freeze([])
  /** What this process has last given or got: to put it back should the disk lose it, or not have taken it. */
  let last: Entry | undefined
  /** Settles when what was asked for so far is over. */
  let idle: Promise<unknown> = Promise.resolve()

  /** What one generation is known by must not change while another part of this process goes by it. */
  function inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = idle.then(action)
    idle = turn.catch(() => undefined)
    return turn
  }

  const readNewest = () => attempts.long('read newest', undefined, async () => checkOwn(await newest.read(), path))

  function checkOwn(entry: CacheEntry | undefined, file: string): CacheEntry | undefined {
    if (entry?.source === undefined || entry.source === source) return entry
    throw cacheError(
      `the cache's file ${file} holds a document from another plugin_api_uri or source, and is not used; ` +
        'give each app a cache_path of its own',
    )
  }

  /** What is wrong with the newest generation's path speaks against the other files beside it, too. */
  const isSafe = () =>
    attempts.once('read at all', false, () => {
      const isThere = findFolder(fs, place.folder)
      checkPath(fs, path)
      return isThere
    })

  /**
   * Looks whether a document that was asked for then, under this lock, may still become the newest generation.
   *
   * @returns whether what is the newest one becomes the previous one; undefined: it may not
   */
  async function judge({ sha1 }: Entry, asked_at: number, token: string | undefined): Promise<boolean | undefined> {
    const current = await readNewest()
    const isHeld = token === undefined ? undefined : holding.isHeld(token)
    // Whoever took the lock over has fetched later than we have.
    if (isHeld === false) return undefined
    // Without the lock, others may have asked after us and been faster. A time in the future says nothing.
    const isOutdated = current !== undefined && current.validated_at > asked_at && current.validated_at <= Date.now()
    if (isHeld === undefined && isOutdated && current.sha1 !== sha1) return undefined
    return current !== undefined && current.sha1 !== sha1
  }

  async function store(entry: Entry, asked_at = Date.now()): Promise<boolean> {
    const token = holding.token()
    if ((await judge(entry, asked_at, token)) === undefined) return false
    return attempts.long('written', false, async () => {
      const { bytes, version, sha1 } = entry
      if (bytes.length > max_bytes) throw cacheError(`the cache takes ${max_bytes} bytes at most, got ${bytes.length}`)
      openFolder(fs, place.folder)
      checkPath(fs, path)
      checkPath(fs, `${path}.previous`)
      const content = { bytes, tag: keepableTag(entry.tag), version, source }
      const header = await runInSlices(encodeHeader(content), closing.signal)
      let isWanted = true
      const found = await replaceDurably(place, {
        parts: [header, bytes],
        at: asked_at,
        closing: closing.signal,
        // Once more: all that took a while.
        async keeps() {
          const keeps = await judge(entry, asked_at, token)
          isWanted = keeps !== undefined
          return keeps
        },
      })
      if (found !== undefined) newest.learn(found, header, { ...content, sha1 })
      return isWanted
    })
  }

  async function findFresh(max_age_ms: number, except: string | undefined): Promise<CacheEntry | undefined> {
    const entry = await readNewest()
    if (entry !== undefined && entry.sha1 === except) return undefined
    const age_ms = entry === undefined ? -1 : Date.now() - entry.validated_at
    if (age_ms < 0 || age_ms >= max_age_ms) return undefined
    last = entry
    return entry
  }

  attempts.once('written', undefined, () => {
    openFolder(fs, place.folder)
    sweep(place)
  })

  /** What there is to begin with, one object as long as nothing has changed. */
  function list(first: CacheEntry | undefined, second: CacheEntry | undefined): readonly CacheEntry[] {
    last = first ?? second
    const found = [first, second?.sha1 === first?.sha1 ? undefined : second].filter((entry) => entry !== undefined)
    const isSame = found.length === entries.length && found.every((entry, index) => entry === entries[index])
    if (!isSame) entries = Object.freeze(found)
    return entries
  }

  const checkPrevious = (entry: CacheEntry | undefined) => checkOwn(entry, `${path}.previous`)

  async function read(): Promise<readonly CacheEntry[]> {
    if (!isSafe()) return list(undefined, undefined)
    const first = await readNewest()
    const second = await attempts.long('read previous', undefined, async () => checkPrevious(await previous.read()))
    return list(first, second)
  }

  async function touch(sha1: string, tag: string | undefined): Promise<boolean> {
    const current = await readNewest()
    if (current?.sha1 === sha1 && current.tag === keepableTag(tag)) {
      last = current
      attempts.once('written', undefined, newest.touch)
      return true
    }
    const entry = current?.sha1 === sha1 ? current : last
    return entry?.sha1 === sha1 && store({ ...entry, tag })
  }

  const fresh: Cache['fresh'] = (max_age_ms, except) => inTurn(() => findFresh(max_age_ms, except))

  return Object.freeze({
    fresh,
    read: () => inTurn(read),
    readAtOnce() {
      if (!isSafe()) return list(undefined, undefined)
      const first = attempts.once('read newest', undefined, () => checkOwn(newest.readAtOnce(), path))
      return list(
        first,
        attempts.once('read previous', undefined, () => checkPrevious(previous.readAtOnce())),
      )
    },
    write: (entry, asked_at) =>
      inTurn(() => {
        last = entry
        return store(entry, asked_at)
      }),
    touch: (sha1, tag) => inTurn(() => touch(sha1, tag)),
    async lock({ max_age_ms, stale_ms, signal, except }) {
      const isOver = () => signal.aborted || closing.signal.aborted
      while (!isOver()) {
        if ((await fresh(max_age_ms, except)) !== undefined || isOver()) return undefined
        const giveBack = holding.take(stale_ms)
        if (giveBack === undefined) {
          await room.pause(signal)
          continue
        }
        // The one before may have written and gone between the two looks.
        if ((await fresh(max_age_ms, except)) === undefined && !isOver()) return giveBack
        giveBack()
      }
      return undefined
    },
    highest_version: () => attempts.once('read version', undefined, versionMark.highest),
    note_version: (version) =>
      inTurn(() => attempts.long('written version', undefined, () => versionMark.note(version))),
    async close() {
      holding.giveBack()
      closing.abort()
      room.close()
      await idle
    },
  } satisfies Cache)
}
