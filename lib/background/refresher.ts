import createDebug from 'debug'
import { DynacodeError } from '../errors.ts'
import type { Events, NoUpdate, Update } from '../events/table.ts'
import type { RefreshTracing } from '../events/tracing.ts'
import { hashBytes } from '../sources/content-hash.ts'
import { runInSlices } from '../time/slices.ts'
import { steadyNow } from '../time/steady-clock.ts'
import type { Activator } from './activator.ts'
import type { Cache, CacheEntry } from './cache/disk.ts'
import { type Fetcher, isFetchError } from './fetcher.ts'
import type { HighestVersion } from './trust/highest-version.ts'

const debug = createDebug('dynacode:refresher')

/** What came of a refresh. */
export type Refresh = ({ readonly updated: true } & Update) | ({ readonly updated: false } & NoUpdate)

/**
 * Why a cycle runs. `poll`: it is time, and what another process of this machine has just fetched will do. `asked`: the app
 * wants to know. `noticed`: the source has something new.
 */
export type Occasion = 'poll' | 'asked' | 'noticed'

/** Finds out what should be live, and makes it so: one cycle at a time. */
export interface Refresher {
  /**
   * Runs one cycle, or joins the one under way, where that will do: for who asks, one that fetches; after a notice, only one
   * that begins then. Never rejects.
   */
  refresh(occasion?: Occasion): Promise<Refresh>
  /** Takes over what another process of this machine has written into the cache, if it is newer. Never rejects. */
  takeOver(): Promise<void>
  /** The last failed attempt's error; null after one that went well, `unchanged` included. */
  last_error(): Error | null
}

/** What the refresher needs of the disk cache, where there is one. */
export interface Sharing {
  readonly cache: Cache
  /** How old a cache entry may be to stand for a fetch, in milliseconds. */
  readonly max_age_ms: number
  /** How long another process may hold the right to fetch, in milliseconds. */
  readonly stale_ms: number
}

/**
 * Makes the refresher of one instance.
 *
 * @param hashes has the SHA-1 of bytes that were hashed as they came, in hex
 * @param validated told when the live document was found to be what the source has, with when that was so
 * @param over told when a cycle is over: what is asked for from then on is a new one
 */
export function createRefresher({
  fetch,
  hashes,
  activator,
  highest,
  sharing,
  events,
  trace,
  closing,
  validated,
  over,
}: {
  fetch: Fetcher
  hashes: { get(bytes: Uint8Array): string | undefined }
  activator: Activator
  highest: HighestVersion
  sharing: Sharing | undefined
  events: Events
  trace: RefreshTracing
  closing: AbortSignal
  validated: (at: number) => void
  over: () => void
}): Refresher {
  let last_error: Error | null = null
  /** When the live document was last found to be what the source has, in milliseconds since 1970. */
  let validated_at = 0
  let running: Promise<Refresh> | null = null
  /**
   * Of what is running: whether it came to ask the source, the SHA-1 of what that had before it is live, and whether all that is
   * left to do is to keep it on the disk.
   */
  let course: Course = { fetched: false, answer: undefined, keeping: false }
  /** SHA-1 of what is in the cache and cannot go live here: others may have wider caps, or other keys. */
  let refused: string | undefined
  let next: Promise<Refresh> | null = null

  async function cycle(occasion: Occasion): Promise<Refresh> {
    const started = steadyNow()
    const duration = () => steadyNow() - started
    let release: (() => void) | undefined
    try {
      // What was noticed is fetched by everybody at once: to wait for each other would take longer.
      if (sharing !== undefined && occasion !== 'noticed') {
        const { cache, max_age_ms, stale_ms } = sharing
        const age_ms = occasion === 'poll' ? max_age_ms : 0
        release = await cache.lock({ max_age_ms: age_ms, stale_ms, signal: closing, except: refused })
        // Nothing of this instance is left on the disk once close() is over.
        if (release !== undefined) closing.addEventListener('abort', release, { once: true })
        // Looked at once more with the right in hand: somebody may have fetched between the last look and that.
        const entry = await cache.fresh(age_ms, refused)
        if (closing.aborted) return closedRefresh()
        const taken = entry && (await tryEntry(entry, duration))
        if (taken !== undefined) return taken
        if (entry !== undefined) {
          release?.()
          return await cycle('asked')
        }
      }
      if (closing.aborted) return closedRefresh()
      return await fetchOnce(duration)
    } catch (error) {
      if (closing.aborted) return closedRefresh()
      last_error = error as Error
      return noUpdate(reasonOf(error), last_error)
    } finally {
      if (release !== undefined) closing.removeEventListener('abort', release)
      release?.()
    }
  }

  /** Another process of this machine has asked the source for us. */
  async function takeEntry(entry: CacheEntry, duration: () => number): Promise<Refresh> {
    events.emit('bg_cache_hit', {})
    const { bytes, sha1, tag, validated_at } = entry
    const update =
      sha1 === activator.activated()?.sha1
        ? undefined
        : await activator.activate({ bytes, sha1, tag, from: 'cache' }, duration)
    return healthy(update, validated_at)
  }

  /** Undefined: it cannot go live here. That is said once; what is to be done is to ask the source. */
  async function tryEntry(entry: CacheEntry, duration: () => number): Promise<Refresh | undefined> {
    try {
      return await takeEntry(entry, duration)
    } catch (error) {
      if (closing.aborted) return closedRefresh()
      refused = entry.sha1
      events.emit('on_error', { section: 'cache', error })
      return undefined
    }
  }

  async function fetchOnce(duration: () => number): Promise<Refresh> {
    course.fetched = true
    events.emit('bg_cache_miss', {})
    // What comes was true when it was asked for; later it may have changed already.
    const asked_at = Date.now()
    const active = activator.activated()
    const fetched = await fetch(active?.tag, active !== null)
    if (closing.aborted) return closedRefresh()
    if (fetched.unchanged === true) {
      if (active !== null) await keep((cache) => cache.touch(active.sha1, active.tag))
      return healthy(undefined, asked_at)
    }
    const { bytes, tag } = fetched
    const sha1 = hashes.get(bytes) ?? (await runInSlices(hashBytes(bytes), closing))
    if (sha1 === active?.sha1) {
      // The bytes are live already; from now on they go by the tag that the source gives them today.
      activator.retag(tag)
      await keep((cache) => cache.touch(sha1, tag))
      return healthy(undefined, asked_at)
    }
    course.answer = sha1
    let isKept = false
    const keepIt = async (version: number | string) => {
      isKept = true
      await keep((cache) => cache.write({ bytes, tag, version, sha1 }, asked_at))
    }
    const update = await activator.activate({ bytes, sha1, tag, from: 'network' }, duration, keepIt)
    if (!isKept) await keepIt(update.version)
    return healthy(update, asked_at)
  }

  /** Also where the disk did not take the document when it went live: then it comes there now, and its version after it. */
  async function keep(put: (cache: Cache) => Promise<boolean>): Promise<void> {
    course.keeping = true
    if (sharing !== undefined && (await put(sharing.cache))) await highest.persist()
    course.keeping = false
  }

  function healthy(update: Update | undefined, at: number): Refresh {
    last_error = null
    if (refused === activator.activated()?.sha1) refused = undefined
    validated_at = at
    validated(at)
    if (update !== undefined) return Object.freeze({ updated: true, ...update })
    activator.confirm()
    return noUpdate('unchanged', undefined)
  }

  function noUpdate(reason: NoUpdate['reason'], error: Error | undefined): Refresh {
    if (error !== undefined) debug('not updated (%s): %s', reason, error.message)
    events.emit('bg_didnt_update_plugins', { reason, error })
    return Object.freeze({ updated: false, reason, error })
  }

  /** One cycle at a time. */
  function begin(occasion: Occasion | 'shared', run: () => Promise<Refresh>): Promise<Refresh> {
    course = { fetched: false, answer: undefined, keeping: false }
    running = trace(occasion, run).finally(() => {
      running = null
      over()
    })
    return running
  }

  /** The cycle under way may have asked too soon. */
  async function beginNext(before: Promise<Refresh>): Promise<Refresh> {
    await before
    next = null
    return refresh('noticed')
  }

  function refresh(occasion: Occasion = 'asked'): Promise<Refresh> {
    if (closing.aborted) return Promise.resolve(closedRefresh())
    if (running === null) return begin(occasion, () => cycle(occasion))
    if (occasion === 'poll' || (occasion === 'asked' && course.fetched && !isLate(course))) return running
    if (occasion === 'asked') return joinFetch(running)
    next ??= beginNext(running)
    return next
  }

  /** What the cache says is no answer for who asks the source, nor what the source said before. */
  async function joinFetch(joined: Promise<Refresh>): Promise<Refresh> {
    const its = course
    const wasLate = isLate(its)
    const result = await joined
    return (its.fetched && !wasLate) || closing.aborted ? result : refresh('asked')
  }

  /**
   * Whether the source has answered, and what that needs takes time: it may be outdated by then. That is so until it is live, and
   * while it is written.
   */
  function isLate({ answer, keeping }: Course): boolean {
    return keeping || (answer !== undefined && answer !== activator.activated()?.sha1)
  }

  /** Undefined: there is nothing to take over. */
  async function takeNewer(): Promise<Refresh | undefined> {
    const entry = await sharing?.cache.fresh(Number.POSITIVE_INFINITY, refused)
    if (closing.aborted || entry === undefined || entry.validated_at < validated_at) return undefined
    if (entry.sha1 === activator.activated()?.sha1) {
      validated_at = entry.validated_at
      validated(validated_at)
      return undefined
    }
    const started = steadyNow()
    try {
      return await takeEntry(entry, () => steadyNow() - started)
    } catch (error) {
      if (closing.aborted) return undefined
      refused = entry.sha1
      last_error = error as Error
      return noUpdate(reasonOf(error), last_error)
    }
  }

  async function takeOver(): Promise<void> {
    while (running !== null) await running
    if (closing.aborted) return
    const nothing = { updated: false, reason: 'unchanged', error: undefined } as const
    await begin('shared', async () => (await takeNewer()) ?? nothing)
  }

  return Object.freeze({
    refresh,
    takeOver,
    last_error: () => last_error,
  } satisfies Refresher)
}

interface Course {
  fetched: boolean
  answer: string | undefined
  keeping: boolean
}

function closedRefresh(): Refresh {
  const error = new DynacodeError('ERR_DYNACODE_CLOSED', 'dynacode is closed')
  return Object.freeze({ updated: false, reason: 'closed', error })
}

const REASONS: Partial<Record<DynacodeError['code'], NoUpdate['reason']>> = {
  ERR_DYNACODE_HELD: 'held',
  ERR_DYNACODE_SIGNATURE: 'untrusted',
  ERR_DYNACODE_VERSION: 'untrusted',
  ERR_DYNACODE_EXPIRED: 'untrusted',
}

/** Why a refresh changed nothing, by the error that ended it. */
export function reasonOf(error: unknown): NoUpdate['reason'] {
  if (isFetchError(error)) return 'fetch'
  return (error instanceof DynacodeError ? REASONS[error.code] : undefined) ?? 'invalid'
}
