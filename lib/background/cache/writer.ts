import { runInSlices } from '../../time/slices.ts'
import { steadyNow } from '../../time/steady-clock.ts'
import { partsOf } from '../reading/rope.ts'
import { type Asked, askedAt, isLater } from './asked.ts'
import type { Attempts } from './attempts.ts'
import { type CachePlace, putInPlace, syncFolder, unlinkIf, writeDurably } from './file.ts'
import { encodeHeader, keepableTag } from './format.ts'
import type { CacheEntry, Generation } from './generation.ts'
import { cacheError, checkPath, lookAt, openFolder } from './safety.ts'
import type { Turns } from './turns.ts'

/** What is to be written. */
export type Entry = Omit<CacheEntry, 'asked' | 'source'>

/** Puts documents in the newest generation's place, one after the other: never one in that of what was asked for later. */
export interface Writer {
  /** As the cache's. */
  write(entry: Entry, asked: Asked, urgent: boolean): Promise<boolean>
  touch(sha1: string, tag: string | undefined, asked: Asked): Promise<boolean>
  /** This is what there is: to be put back should the disk lose it. */
  remember(entry: Entry | undefined): void
  /** Does something else with the disk, in its turn. */
  inTurn<T>(fallback: T, action: () => Promise<T>): Promise<T>
  /** Settles when all that was begun is done. */
  done(): Promise<unknown>
}

/** How long a process waits for its turn to write, in milliseconds: what it has to write is most often there by then. */
const PATIENCE_MS = 5000
/** The same, where somebody waits for it. */
const URGENT_PATIENCE_MS = 500

/**
 * @param readNewest the newest generation, if it is this source's
 * @param pause waits a little
 */
export function createWriter({
  place,
  source,
  max_bytes,
  newest,
  readNewest,
  turns,
  attempts,
  pause,
  closing,
}: {
  place: CachePlace
  source: string
  max_bytes: number
  newest: Generation
  readNewest: () => Promise<CacheEntry | undefined>
  turns: Turns
  attempts: Attempts
  pause: () => Promise<void>
  closing: AbortSignal
}): Writer {
  const { fs, path, folder } = place
  /** What this process has last given or got: to put it back should the disk lose it, or not have taken it. */
  let last: Entry | undefined
  /** What was asked for last, of all that is to be written: whatever waits for its turn before it need not be written at all. */
  let wanted: Asked | undefined
  let writing: Promise<unknown> = Promise.resolve()

  /** One after the other, beside the readings: nobody who reads waits for a slow disk to take something. */
  function inTurn<T>(fallback: T, action: () => Promise<T>): Promise<T> {
    if (closing.aborted) return Promise.resolve(fallback)
    const turn = writing.then(action)
    writing = turn
    return turn
  }

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
        release ??= turns.hold(Number.POSITIVE_INFINITY)
        const { fate } = await judge(entry, asked)
        if (fate !== 'new') return fate === 'there'
        if (release !== undefined || closing.aborted || steadyNow() > until) return await put(entry, asked)
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
      openFolder(fs, folder)
      checkPath(fs, path)
      checkPath(fs, `${path}.previous`)
      const content = { bytes, tag: keepableTag(entry.tag), version, source, asked }
      const header = await runInSlices(encodeHeader(content), closing)
      const written = await writeDurably(place, [header, ...partsOf(bytes)], asked.at, closing)
      try {
        // Once more: all that took a while. Between the answer and what is done by it comes nothing.
        const { fate, current } = await judge(entry, asked)
        closing.throwIfAborted()
        if (fate !== 'new') return fate === 'there'
        const found = putInPlace(place, written, current !== undefined && current.sha1 !== sha1)
        // Sooner than the disk has its name: others hear of it now, and this process, too.
        if (found !== undefined) newest.learn(found, header, { ...content, sha1 })
      } finally {
        unlinkIf(fs, written.path)
      }
      await syncFolder(fs, folder)
      return true
    })
  }

  return Object.freeze({
    write(entry, asked, urgent) {
      last = entry
      if (wanted === undefined || !isLater(wanted, asked)) wanted = asked
      return inTurn(false, () => store(entry, asked, urgent ? URGENT_PATIENCE_MS : PATIENCE_MS))
    },
    touch: (sha1, tag, asked) =>
      inTurn(false, async () => {
        const current = await readNewest()
        const entry = current?.sha1 === sha1 ? current : last
        return entry?.sha1 === sha1 && store({ ...entry, tag }, asked, PATIENCE_MS)
      }),
    remember(entry) {
      last = entry
    },
    inTurn,
    done: () => writing,
  } satisfies Writer)
}

type Fate = 'late' | 'there' | 'new'
