import createDebug from 'debug'
import type { Events } from '../events/emitter.ts'
import type { NoUpdate, Update } from '../events/table.ts'
import { steadyNow } from '../time/steady-clock.ts'
import type { Activator } from './activator.ts'
import type { Ask, Course } from './asking.ts'
import { type Asked, isLater } from './cache/asked.ts'
import type { Cache, CacheEntry } from './cache/disk.ts'
import { closedRefresh, type Refresh, reasonOf } from './refresh.ts'

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

/** Finds out once what should be live, and makes it so. */
export interface Cycle {
  /** Never rejects. */
  run(occasion: Occasion, course: Course): Promise<Refresh>
  /** Takes over what another process of this machine has written, where that is newer. Undefined: there is nothing. */
  takeNewer(): Promise<Refresh | undefined>
  /** The last failed attempt's error; null after one that went well, `unchanged` included. */
  last_error(): Error | null
  /** When that attempt failed, in milliseconds since 1970; null where there is no such error. */
  last_error_at(): number | null
}

/** Makes the cycle of one instance; one at a time. */
export function createCycle({
  ask,
  activator,
  sharing,
  events,
  closing,
}: {
  ask: Ask
  activator: Activator
  sharing: Sharing | undefined
  events: Events
  closing: AbortSignal
}): Cycle {
  let last_failure: { readonly error: Error; readonly at: number } | null = null
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
      return healthy(await ask(course, duration))
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

  function healthy(update: Update | undefined): Refresh {
    last_failure = null
    if (refused === activator.activated()?.sha1) refused = undefined
    return update === undefined ? noUpdate('unchanged', undefined) : Object.freeze({ updated: true, ...update })
  }

  function failed(error: unknown): Refresh {
    if (closing.aborted) return closedRefresh()
    last_failure = { error: error as Error, at: Date.now() }
    return noUpdate(reasonOf(error), last_failure.error)
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

  return Object.freeze({
    run,
    takeNewer,
    last_error: () => last_failure?.error ?? null,
    last_error_at: () => last_failure?.at ?? null,
  } satisfies Cycle)
}
