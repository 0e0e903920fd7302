import nodeFs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DynacodeError } from '../../errors.ts'
import { type Asked, askNow } from './asked.ts'
import { createAttempts } from './attempts.ts'
import { createPlace, sweep } from './file.ts'
import { type CacheEntry, openGeneration } from './generation.ts'
import { identifyThisProcess } from './process-identity.ts'
import { cacheError, checkPath, type FileSystem, findFolder, openFolder } from './safety.ts'
import { createTurns } from './turns.ts'
import { openVersionMark } from './version-mark.ts'
import { createWriter, type Entry } from './writer.ts'

export type { CacheEntry } from './generation.ts'

/**
 * The documents that this machine last had, on its disk: the newest, and the one before. All processes with the same path
 * share them. Nothing here throws or rejects: what fails is reported, once per change, and is as if there were no cache.
 * What is long is done on the thread pool or in slices; `read` alone is not.
 */
export interface Cache {
  /** For a start, and at once: every generation that can be read, newest first; damaged ones are set aside. */
  read(): readonly CacheEntry[]
  /**
   * The newest generation, if it was asked for less than this long ago; a time in the future does not count. The same object
   * again as long as nothing has changed, and cheap then.
   *
   * @param except SHA-1 of what does not count either
   */
  fresh(max_age_ms: number, except?: string): Promise<CacheEntry | undefined>
  /**
   * Has this document be the newest generation, durably, if nothing there was asked for later.
   *
   * @param urgent whether somebody waits for it, and other processes that are about to write the same are not waited for
   * @returns whether it is on the disk now
   */
  write(entry: Entry, asked?: Asked, urgent?: boolean): Promise<boolean>
  /**
   * As `write`, of the document with this SHA-1, which the source had under this tag when it was asked then. What the disk has
   * lost, or has not taken yet, is written then.
   */
  touch(sha1: string, tag: string | undefined, asked?: Asked): Promise<boolean>
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
  /** What does not work at this moment; null when all does. */
  trouble(): DynacodeError | null
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

/** How often a process that waits for another one looks again, in milliseconds. */
const LOOK_AGAIN_MS = 50
/** A file system, or somebody who sets the clock a little, may have a time be ahead by this much, in milliseconds. */
const AHEAD_MS = 1000

/**
 * Opens the cache at this path, and makes its folder where that is missing.
 *
 * @param source names the place that documents come from; those of another one are not read
 * @param max_bytes the largest document that may come out of it
 * @param report called with what is wrong, once until that changes
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
  const attempts = createAttempts(path, report, closing.signal)
  const openOne = (file: string) => openGeneration(place, file, max_bytes, closing.signal)
  const newest = openOne(path)
  const versionMark = openVersionMark(place)
  const turns = createTurns(place, attempts)
  let reading: Promise<unknown> = Promise.resolve()

  const isOver = () => closing.signal.aborted
  const pause = () => sleep(LOOK_AGAIN_MS, undefined, { ref: false, signal: closing.signal }).catch(() => undefined)

  const writer = createWriter({
    place,
    source,
    max_bytes,
    newest,
    readNewest,
    turns,
    attempts,
    pause,
    closing: closing.signal,
  })

  /** What one generation is known by must not change while another part of this process goes by it. */
  function readNewest(): Promise<CacheEntry | undefined> {
    const turn = reading.then(() =>
      attempts.long('read newest', undefined, async () => checkOwn(await newest.read(), path)),
    )
    reading = turn
    return turn
  }

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

  async function fresh(max_age_ms: number, except: string | undefined): Promise<CacheEntry | undefined> {
    if (isOver()) return undefined
    const entry = await readNewest()
    if (isOver() || entry === undefined || entry.sha1 === except) return undefined
    const age_ms = Date.now() - entry.asked.at
    if (age_ms < -AHEAD_MS || Math.max(age_ms, 0) >= max_age_ms) return undefined
    writer.remember(entry)
    return entry
  }

  const previous_path = `${path}.previous`
  attempts.once('written', undefined, () => {
    openFolder(fs, place.folder)
    sweep(place)
  })

  return Object.freeze({
    fresh: (max_age_ms, except) => fresh(max_age_ms, except),
    read() {
      if (!isSafe()) return []
      const first = attempts.once('read newest', undefined, () => checkOwn(newest.readAtOnce(), path))
      const readPrevious = () => checkOwn(openOne(previous_path).readAtOnce(), previous_path)
      const second = attempts.once('read previous', undefined, readPrevious)
      writer.remember(first ?? second)
      return [first, second?.sha1 === first?.sha1 ? undefined : second].filter((entry) => entry !== undefined)
    },
    write: (entry, asked = askNow(), urgent = false) => writer.write(entry, asked, urgent),
    touch: (sha1, tag, asked = askNow()) => writer.touch(sha1, tag, asked),
    async lock({ max_age_ms, stale_ms, signal, except }) {
      const isLate = () => signal.aborted || isOver()
      while (!isLate()) {
        if ((await fresh(max_age_ms, except)) !== undefined || isLate()) return undefined
        const release = turns.hold(stale_ms)
        if (release === undefined) {
          await pause()
          continue
        }
        // The one before may have written and gone between the two looks.
        if ((await fresh(max_age_ms, except)) === undefined && !isLate()) return release
        release()
      }
      return undefined
    },
    highest_version: () => attempts.once('read version', undefined, versionMark.highest),
    note_version: (version) =>
      writer.inTurn(undefined, () => attempts.long('written version', undefined, () => versionMark.note(version))),
    trouble: attempts.trouble,
    async close() {
      closing.abort()
      turns.close()
      await Promise.all([reading, writer.done()])
    },
  } satisfies Cache)
}
