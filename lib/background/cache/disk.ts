import nodeFs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DynacodeError } from '../../errors.ts'
import { runInSlices } from '../../time/slices.ts'
import { steadyNow } from '../../time/steady-clock.ts'
import { type Asked, askedAt, askNow, isLater } from './asked.ts'
import { createAttempts } from './attempts.ts'
import { createPlace, replaceDurably, sweep } from './file.ts'
import { encodeHeader, keepableTag } from './format.ts'
import { type CacheEntry, openGeneration } from './generation.ts'
import { openLease } from './lease.ts'
import { identifyThisProcess } from './process-identity.ts'
import { cacheError, checkPath, type FileSystem, findFolder, lookAt, openFolder } from './safety.ts'
import { openVersionMark } from './version-mark.ts'

export type { CacheEntry } from './generation.ts'

/**
 * The documents that this machine last had, on its disk: the newest, and the one before. All processes with the same path
 * share them. Nothing here throws or rejects: what fails is reported, once per change, and is as if there were no cache.
 * What is long is done on the thread pool or in slices; `readAtOnce` alone is not.
 */
export interface Cache {
  /** For a start: every generation that can be read, newest first; damaged ones are set aside. */
  read(): Promise<readonly CacheEntry[]>
  /** As `read`, at once: for a start, where nothing else waits. */
  readAtOnce(): readonly CacheEntry[]
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

type Entry = Omit<CacheEntry, 'asked' | 'source'>

/** How often a process that waits for another one looks again, in milliseconds. */
const LOOK_AGAIN_MS = 50
/** How long a process waits for its turn to write, in milliseconds: what it has to write is most often there by then. */
const PATIENCE_MS = 5000
/** The same, where somebody waits for it. */
const URGENT_PATIENCE_MS = 500
/** A file system, or somebody who sets the clock a little, may have a time be ahead by this much, in milliseconds. */
const AHEAD_MS = 1000

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
  const attempts = createAttempts(path, report, closing.signal)
  const openOne = (file: string) => openGeneration(place, file, max_bytes, closing.signal)
  const newest = openOne(path)
  const versionMark = openVersionMark(place)
  const lease = openLease(place)
  let holders = 0
  /** What this process has last given or got: to put it back should the disk lose it, or not have taken it. */
  let last: Entry | undefined
  /** What was asked for last, of all that is to be written: whatever waits for its turn before it need not be written at all. */
  let wanted: Asked | undefined
  let reading: Promise<unknown> = Promise.resolve()
  let writing: Promise<unknown> = Promise.resolve()

  const isOver = () => closing.signal.aborted
  const pause = () => sleep(LOOK_AGAIN_MS, undefined, { ref: false, signal: closing.signal }).catch(() => undefined)

  /** What one generation is known by must not change while another part of this process goes by it. */
  function readNewest(start = false): Promise<CacheEntry | undefined> {
    const turn = reading.then(() =>
      attempts.long('read newest', undefined, async () => checkOwn(await newest.read(start), path)),
    )
    reading = turn
    return turn
  }

  /** One after the other, beside the readings: nobody who reads waits for a slow disk to take something. */
  function write<T>(fallback: T, action: () => Promise<T>): Promise<T> {
    if (isOver()) return Promise.resolve(fallback)
    const turn = writing.then(action)
    writing = turn
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

  /**
   * What a document is to the newest generation: `late`: something was asked for later than it; `there`: it is that generation,
   * under that tag; `new`: it is to be that.
   */
  async function judge({ sha1, tag }: Entry, asked: Asked): Promise<{ fate: Fate; current: CacheEntry | undefined }> {
    const current = await readNewest()
    const isSame = current?.sha1 === sha1
    if (isLater(current?.asked ?? askedOfOthers(), asked)) return { fate: isSame ? 'there' : 'late', current }
    if (isSame && current?.tag === keepableTag(tag) && attempts.once('written', false, () => newest.touch(asked))) {
      return { fate: 'there', current }
    }
    return { fate: 'new', current }
  }

  /** What is there and not for this process was asked for, too: all that is known of that is the file's time. */
  const askedOfOthers = () => askedAt(attempts.once('read time', 0, () => Math.floor(lookAt(fs, path)?.mtimeMs ?? 0)))

  async function store(entry: Entry, asked: Asked, patience_ms: number): Promise<boolean> {
    const until = steadyNow() + patience_ms
    let release: (() => void) | undefined
    try {
      for (;;) {
        if (wanted !== undefined && isLater(wanted, asked)) return false
        // First of all: whether it may be there at all, once the others are done.
        release ??= hold(Number.POSITIVE_INFINITY)
        const { fate } = await judge(entry, asked)
        if (fate !== 'new') return fate === 'there'
        if (release !== undefined || isOver() || steadyNow() > until) return await put(entry, asked)
        await pause()
      }
    } finally {
      release?.()
    }
  }

  /** The one place where the newest generation becomes another one. */
  function put(entry: Entry, asked: Asked): Promise<boolean> {
    return attempts.long('written', false, async () => {
      const { bytes, version, sha1 } = entry
      if (bytes.length > max_bytes) throw cacheError(`the cache takes ${max_bytes} bytes at most, got ${bytes.length}`)
      openFolder(fs, place.folder)
      checkPath(fs, path)
      checkPath(fs, `${path}.previous`)
      const content = { bytes, tag: keepableTag(entry.tag), version, source, asked }
      const header = await runInSlices(encodeHeader(content), closing.signal)
      let fate = 'new' as Fate
      await replaceDurably(place, {
        parts: [header, bytes],
        at: asked.at,
        closing: closing.signal,
        // Once more: all that took a while.
        async keeps() {
          const judged = await judge(entry, asked)
          fate = judged.fate
          if (fate !== 'new') return undefined
          return judged.current !== undefined && judged.current.sha1 !== sha1
        },
        placed: (found) => newest.learn(found, header, { ...content, sha1 }),
      })
      return fate !== 'late'
    })
  }

  /** On a disk that refuses, everybody fetches for himself. */
  function hold(stale_ms: number): (() => void) | undefined {
    const isHeld = attempts.once('written lock', true, () => {
      openFolder(fs, place.folder)
      checkPath(fs, path)
      return lease.take(stale_ms)
    })
    if (!isHeld) return undefined
    holders += 1
    let isReleased = false
    return () => {
      if (isReleased) return
      isReleased = true
      holders -= 1
      if (holders === 0) giveBack()
    }
  }

  function giveBack(): void {
    try {
      lease.release()
    } catch {
      // It is over soon.
    }
  }

  async function fresh(max_age_ms: number, except: string | undefined): Promise<CacheEntry | undefined> {
    if (isOver()) return undefined
    const entry = await readNewest()
    if (isOver() || entry === undefined || entry.sha1 === except) return undefined
    const age_ms = Date.now() - entry.asked.at
    if (age_ms < -AHEAD_MS || Math.max(age_ms, 0) >= max_age_ms) return undefined
    last = entry
    return entry
  }

  /** What there is to begin with. */
  function list(first: CacheEntry | undefined, second: CacheEntry | undefined): readonly CacheEntry[] {
    last = first ?? second
    return [first, second?.sha1 === first?.sha1 ? undefined : second].filter((entry) => entry !== undefined)
  }

  const previous_path = `${path}.previous`
  attempts.once('written', undefined, () => {
    openFolder(fs, place.folder)
    sweep(place)
  })

  return Object.freeze({
    fresh: (max_age_ms, except) => fresh(max_age_ms, except),
    async read() {
      if (isOver() || !isSafe()) return []
      const first = await readNewest(true)
      const readPrevious = async () => checkOwn(await openOne(previous_path).read(true), previous_path)
      return list(first, await attempts.long('read previous', undefined, readPrevious))
    },
    readAtOnce() {
      if (!isSafe()) return []
      const first = attempts.once('read newest', undefined, () => checkOwn(newest.readAtOnce(), path))
      const readPrevious = () => checkOwn(openOne(previous_path).readAtOnce(), previous_path)
      return list(first, attempts.once('read previous', undefined, readPrevious))
    },
    write(entry, asked = askNow(), urgent = false) {
      last = entry
      if (wanted === undefined || !isLater(wanted, asked)) wanted = asked
      return write(false, () => store(entry, asked, urgent ? URGENT_PATIENCE_MS : PATIENCE_MS))
    },
    touch: (sha1, tag, asked = askNow()) =>
      write(false, async () => {
        const current = await readNewest()
        const entry = current?.sha1 === sha1 ? current : last
        return entry?.sha1 === sha1 && store({ ...entry, tag }, asked, PATIENCE_MS)
      }),
    async lock({ max_age_ms, stale_ms, signal, except }) {
      const isLate = () => signal.aborted || isOver()
      while (!isLate()) {
        if ((await fresh(max_age_ms, except)) !== undefined || isLate()) return undefined
        const release = hold(stale_ms)
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
      write(undefined, () => attempts.long('written version', undefined, () => versionMark.note(version))),
    trouble: attempts.trouble,
    async close() {
      closing.abort()
      if (holders > 0) giveBack()
      // Whoever gives it back now has nothing to do with the disk any more.
      holders = Number.POSITIVE_INFINITY
      await Promise.all([reading, writing])
    },
  } satisfies Cache)
}

type Fate = 'late' | 'there' | 'new'
