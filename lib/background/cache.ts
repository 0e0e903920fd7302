import { mkdirSync, renameSync, type Stats, utimesSync } from 'node:fs'
import { dirname } from 'node:path'
import { DynacodeError } from '../errors.ts'
import {
  DISK,
  type Disk,
  decodeDocument,
  encodeDocument,
  readIfThere,
  type StoredDocument,
  writeDurably,
} from './cache-file.ts'
import { takeLock } from './cache-lock.ts'
import { inspect, sweepTemporaries } from './cache-safety.ts'

/** A document as the cache has it. */
export interface CacheEntry extends StoredDocument {
  /** When it was last known to be what the source has, in milliseconds since 1970. */
  readonly validated_at: number
}

/** The documents of a machine's processes, on its disk. Nothing that goes wrong here stops the caller; it is reported. */
export interface Cache {
  /** Every generation that can be used, newest first. Those that are damaged are set aside. */
  read(): readonly CacheEntry[]
  /** The newest one, if it was validated less than this ago. */
  fresh(max_age_ms: number): CacheEntry | undefined
  /** Makes a document the newest generation; false when the disk refused. */
  write(document: StoredDocument): boolean
  /** Takes note that the source still has the newest generation, if that is this one; maybe by another tag. */
  touch(sha1: string, tag: string | undefined): void
  /**
   * Takes the machine-wide right to fetch.
   *
   * @param max_age_ms how old the newest generation may be to stand for a fetch
   * @param stale_ms how long another process may hold the right
   * @returns a function that gives the right back; undefined when `fresh(max_age_ms)` has an answer, or at an abort
   */
  lock(options: { max_age_ms: number; stale_ms: number; signal: AbortSignal }): Promise<(() => void) | undefined>
  /** The highest version that `note_version` was told, by any process, ever. */
  highest_version(): number | undefined
  note_version(version: number): void
  close(): void
}

/**
 * Opens the cache of one instance.
 *
 * @param max_bytes limit on the size of a document
 * @param report told of each fault, once until it changes or goes
 */
export function createCache({
  path,
  max_bytes,
  report,
  disk = DISK,
}: {
  path: string
  max_bytes: number
  report: (error: DynacodeError) => void
  disk?: Disk
}): Cache {
  const previous = `${path}.previous`
  const known = new Map<string, { stats: Stats; entry: CacheEntry }>()
  const reported = new Map<string, string>()
  let closed = false

  /** Does something with the disk; what goes wrong is told once for as long as it stays the same. */
  function attempt<T>(what: string, action: () => T): T | undefined {
    try {
      const result = action()
      reported.delete(what)
      return result
    } catch (cause) {
      const error =
        cause instanceof DynacodeError
          ? cause
          : new DynacodeError('ERR_DYNACODE_CACHE', `the cache cannot ${what} ${path}: ${(cause as Error).message}`, {
              cause,
            })
      if (reported.get(what) !== error.message) report(error)
      reported.set(what, error.message)
      return undefined
    }
  }

  function readGeneration(file: string): CacheEntry | undefined {
    const stats = inspect(file)
    if (stats === undefined) return undefined
    const last = known.get(file)
    if (last !== undefined && isSame(last.stats, stats)) return last.entry
    const content = readIfThere(file)
    if (content === undefined) return undefined
    try {
      const entry = Object.freeze({ ...decodeDocument(file, checkSize(file, content)), validated_at: stats.mtimeMs })
      known.set(file, { stats, entry })
      return entry
    } catch (error) {
      renameSync(file, `${path}.damaged`)
      throw error
    }
  }

  function checkSize(file: string, content: Buffer): Buffer {
    // A header is short; this leaves room for any.
    if (content.length <= max_bytes + 64 * 1024) return content
    const message = `the cache file ${file} has ${content.length} bytes, expected at most ${max_bytes} (plugin_api_max_bytes)`
    throw new DynacodeError('ERR_DYNACODE_CACHE', message)
  }

  function fresh(max_age_ms: number): CacheEntry | undefined {
    const entry = attempt('read', () => readGeneration(path))
    if (entry === undefined) return undefined
    const age_ms = Date.now() - entry.validated_at
    return age_ms >= 0 && age_ms < max_age_ms ? entry : undefined
  }

  function write(document: StoredDocument): boolean {
    if (closed) return false
    const done = attempt('write', () => {
      inspect(path)
      writeDurably(disk, path, encodeDocument(document), previous)
      return true
    })
    return done === true
  }

  attempt('make the folder of', () => mkdirSync(dirname(path), { recursive: true, mode: 0o700 }))
  attempt('clean up around', () => sweepTemporaries(path))

  return Object.freeze({
    read() {
      const generations = [
        attempt('read', () => readGeneration(path)),
        attempt('read the generation before', () => readGeneration(previous)),
      ]
      return generations.filter((entry) => entry !== undefined)
    },
    fresh,
    write,
    touch(sha1, tag) {
      if (closed) return
      const entry = attempt('read', () => readGeneration(path))
      if (entry === undefined || entry.sha1 !== sha1) return
      const now = new Date()
      if (entry.tag === tag) attempt('touch', () => utimesSync(path, now, now))
      else attempt('write', () => writeDurably(disk, path, encodeDocument({ ...entry, tag })))
    },
    async lock({ max_age_ms, stale_ms, signal }) {
      const settled = () => signal.aborted || closed || (max_age_ms > 0 && fresh(max_age_ms) !== undefined)
      try {
        return await takeLock(`${path}.lock`, stale_ms, settled)
      } catch (error) {
        // Without a disk every process fetches for itself.
        attempt('lock', () => {
          throw error
        })
        return () => undefined
      }
    },
    highest_version: () => attempt('read the version of', () => readVersion(`${path}.version`)),
    note_version(version) {
      attempt('write the version of', () => {
        const file = `${path}.version`
        if (closed || (readVersion(file) ?? -1) >= version) return
        writeDurably(disk, file, Buffer.from(`${JSON.stringify({ version })}\n`))
      })
    },
    close() {
      closed = true
    },
  } satisfies Cache)
}

function readVersion(file: string): number | undefined {
  if (inspect(file) === undefined) return undefined
  const content = readIfThere(file)?.toString() ?? ''
  const version = /^\{"version":(\d+)\}\n$/.exec(content)?.[1]
  if (version !== undefined && Number.isSafeInteger(Number(version))) return Number(version)
  throw new DynacodeError('ERR_DYNACODE_CACHE', `the file ${file} is damaged: the highest version is not known from it`)
}

function isSame(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.mtimeMs === b.mtimeMs && a.size === b.size
}
