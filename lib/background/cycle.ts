import createDebug from 'debug'
import type { Events } from '../events/emitter.ts'
import type { NoUpdate, Update } from '../events/table.ts'
import { hashBytes } from '../sources/content-hash.ts'
import { runInSlices } from '../time/slices.ts'
import { steadyNow } from '../time/steady-clock.ts'
import type { Activator } from './activator.ts'
import { type Asked, askNow, earlier, isLater } from './cache/asked.ts'
import type { Cache, CacheEntry } from './cache/disk.ts'
import type { Fetcher } from './fetcher.ts'
import type { Activated } from './preparation.ts'
import { closedRefresh, type Refresh, reasonOf } from './refresh.ts'
import type { HighestVersion } from './trust/highest-version.ts'

const debug = createDebug('dynacode:refresher')

/**
 * Why a cycle runs. `poll`: it is time, and what another process of this machine has just fetched will do. `asked`: the app
 * wants to know. `noticed`: the source has something new.
 */
export type Occasion = 'poll' | 'asked' | 'noticed'

/** What the background line needs of the disk cache, where there is one. */
export interface Sharing {
  readonly cache: Cache
  /** How old a cache entry may be to stand for a fetch, in milliseconds. */
  readonly max_age_ms: number
  /** How long another process may hold the right to fetch, in milliseconds. */
  readonly stale_ms: number
}

/** What is known of bytes that came by the network. */
export interface Arrival {
  /** In hex. */
  readonly sha1: string
  /** When the answer began, by the steady clock. */
  readonly answered_at: number
}

/** How far a cycle is. */
export interface Course {
  /** Whether it came to ask the source. */
  fetched: boolean
  /** SHA-1 of what the source had, before that is live. */
  answer: string | undefined
  /** Settles when the disk has what is live, or has refused it. Nothing that is live waits for that. */
  kept: Promise<void>
}

/** Finds out once what should be live, and makes it so. */
export interface Cycle {
  /** Never rejects. */
  run(occasion: Occasion, course: Course): Promise<Refresh>
  /** Takes over what another process of this machine has written, where that is newer. Undefined: there is nothing. */
  takeNewer(): Promise<Refresh | undefined>
  /** The last failed attempt's error; null after one that went well, `unchanged` included. */
  last_error(): Error | null
}

/**
 * Makes the cycle of one instance; one at a time.
 *
 * @param arrivals what is known of bytes that came by the network
 */
export function createCycle({
  fetch,
  arrivals,
  activator,
  highest,
  sharing,
  events,
  closing,
}: {
  fetch: Fetcher
  arrivals: { get(bytes: Uint8Array): Arrival | undefined }
  activator: Activator
  highest: HighestVersion
  sharing: Sharing | undefined
  events: Events
  closing: AbortSignal
}): Cycle {
  let last_error: Error | null = null
  /** SHA-1 of what is in the cache and cannot go live here: others may have wider caps, or other keys. */
  let refused: string | undefined

  async function run(occasion: Occasion, course: Course): Promise<Refresh> {
    const started = steadyNow()
    const duration = () => steadyNow() - started
    let release: (() => void) | undefined
    try {
      // What was noticed is fetched by everybody at once: to wait for each other would take longer.
      if (sharing !== undefined && occasion !== 'noticed') {
        const { cache, max_age_ms, stale_ms } = sharing
        const age_ms = occasion === 'poll' ? max_age_ms : 0
        release = await cache.lock({ max_age_ms: age_ms, stale_ms, signal: closing, except: refused })
        const entry = await cache.fresh(age_ms, refused)
        if (closing.aborted) return closedRefresh()
        // What the disk could not take yet is known here all the same.
        if (entry !== undefined && !isLaterLive(entry.asked)) {
          const taken = await tryEntry(entry, duration)
          if (taken !== undefined) return taken
          release?.()
          return await run('asked', course)
        }
      }
      if (closing.aborted) return closedRefresh()
      return await fetchOnce(course, duration)
    } catch (error) {
      return failed(error)
    } finally {
      // Those who wait for it find on the disk what was fetched.
      if (release !== undefined) void course.kept.then(release)
    }
  }

  /** Whether what is live was asked for later than this. */
  function isLaterLive(asked: Asked): boolean {
    const live = activator.activated()?.asked
    return live !== undefined && isLater(live, asked)
  }

  /** Another process of this machine has asked the source for us. */
  async function takeEntry(entry: CacheEntry, duration: () => number): Promise<Refresh> {
    events.emit('bg_cache_hit', {})
    const { bytes, sha1, tag, asked } = entry
    return healthy(await activator.activate({ bytes, sha1, tag, asked, from: 'cache' }, duration))
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

  async function fetchOnce(course: Course, duration: () => number): Promise<Refresh> {
    course.fetched = true
    events.emit('bg_cache_miss', {})
    // What comes was true when it was asked for; later it may have changed already.
    const [asked_now, started] = [askNow(), steadyNow()]
    const active = activator.activated()
    const fetched = await fetch(active?.tag, active !== null)
    if (closing.aborted) return closedRefresh()
    if (fetched.unchanged === true) {
      if (active !== null) found(active, active.tag, asked_now, course)
      return healthy(undefined)
    }
    const { bytes, tag } = fetched
    const arrival = arrivals.get(bytes)
    // It may have been here before anybody asked, as what a long poll brought is.
    const asked = arrival === undefined ? asked_now : earlier(asked_now, started - arrival.answered_at)
    const sha1 = arrival?.sha1 ?? (await runInSlices(hashBytes(bytes), closing))
    // From now on these bytes go by the tag that the source gives them today.
    if (sha1 === active?.sha1) {
      found(active, tag, asked, course)
      return healthy(undefined)
    }
    course.answer = sha1
    const write = (version: number | string, urgent: boolean) =>
      keep(version, ({ write }) => write({ bytes, tag, version, sha1 }, asked, urgent))
    let isKept = false
    const update = await activator.activate({ bytes, sha1, tag, asked, from: 'network' }, duration, (version) => {
      isKept = true
      return write(version, true)
    })
    if (update !== undefined && !isKept) course.kept = write(update.version, false)
    return healthy(update)
  }

  /** The source has what was live when it was asked. */
  function found({ sha1, version }: Activated, tag: string | undefined, asked: Asked, course: Course): void {
    if (activator.activated()?.sha1 === sha1) activator.confirm(asked, tag)
    course.kept = keep(version, (cache) => cache.touch(sha1, tag, asked))
  }

  /** The version of a signed document comes to the disk after the document, whenever that gets there. */
  async function keep(version: number | string, put: (cache: Cache) => Promise<boolean>): Promise<void> {
    if (sharing !== undefined && (await put(sharing.cache))) await highest.persist(version)
  }

  function healthy(update: Update | undefined): Refresh {
    last_error = null
    if (refused === activator.activated()?.sha1) refused = undefined
    return update === undefined ? noUpdate('unchanged', undefined) : Object.freeze({ updated: true, ...update })
  }

  function failed(error: unknown): Refresh {
    if (closing.aborted) return closedRefresh()
    last_error = error as Error
    return noUpdate(reasonOf(error), last_error)
  }

  function noUpdate(reason: NoUpdate['reason'], error: Error | undefined): Refresh {
    if (error !== undefined) debug('not updated (%s): %s', reason, error.message)
    events.emit('bg_didnt_update_plugins', { reason, error })
    return Object.freeze({ updated: false, reason, error })
  }

  async function takeNewer(): Promise<Refresh | undefined> {
    const entry = await sharing?.cache.fresh(Number.POSITIVE_INFINITY, refused)
    if (closing.aborted || entry === undefined) return undefined
    const live = activator.activated()
    if (live?.asked !== undefined && !isLater(entry.asked, live.asked)) return undefined
    if (entry.sha1 === live?.sha1) {
      activator.confirm(entry.asked, entry.tag)
      return undefined
    }
    const started = steadyNow()
    try {
      return await takeEntry(entry, () => steadyNow() - started)
    } catch (error) {
      if (!closing.aborted) refused = entry.sha1
      return failed(error)
    }
  }

  return Object.freeze({ run, takeNewer, last_error: () => last_error } satisfies Cycle)
}
