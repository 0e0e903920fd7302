import type { Events } from '../events/emitter.ts'
import type { Source } from '../sources/contract.ts'
import { describeValue } from '../validation/schema-error.ts'
import { shareLead } from './cache/leader.ts'
import { watchCache } from './cache/watch.ts'
import { createNotices, type Notices } from './notices.ts'
import type { Refresher } from './refresher.ts'

/** What sees to it that a change is live before the next poll. */
export interface Watching extends Pick<Notices, 'polled' | 'stop'> {
  state(): WatchState
}

/**
 * Which process watches the source for changes: `none`: it cannot be watched; `watching`: this process; `leading`: this process,
 * for all that share its cache; `following`: another process that shares it.
 */
export type WatchState = 'none' | 'watching' | 'leading' | 'following'

/**
 * Sees to it that a change is live before the next poll: watches the source, and the cache that the processes of this
 * machine share.
 *
 * @param shared whether one process of a machine watches for all that share the cache
 * @param started resolves when what was on the disk at the start is live
 * @returns what to call after each poll, and what ends all of it
 */
export function startWatching({
  source,
  cache_path,
  shared,
  refresher,
  started,
  events,
}: {
  source: Source
  cache_path: string | undefined
  shared: boolean
  refresher: Refresher
  started: Promise<void> | undefined
  events: Events
}): Watching {
  const notices = createNotices(async () => {
    await started
    return refresher.refresh('noticed')
  })
  // Not before the caller has what this belongs to: listeners are added to it.
  const failed = (error: unknown) => queueMicrotask(() => events.emit('on_error', { section: 'watch', error }))
  const watch = () => watchSource(source, notices.notify, failed)
  const lead = shared && cache_path !== undefined ? shareLead(cache_path, watch) : undefined
  const stops = [lead === undefined ? watch() : lead.stop]
  if (cache_path !== undefined) {
    const takeOver = async () => {
      await started
      await refresher.takeOver()
    }
    stops.push(watchCache(cache_path, () => void takeOver()))
  }
  return Object.freeze({
    polled: notices.polled,
    state() {
      if (source.watch === undefined) return 'none'
      if (lead === undefined) return 'watching'
      return lead.leads() ? 'leading' : 'following'
    },
    stop() {
      notices.stop()
      for (const stop of stops) stop()
    },
  } satisfies Watching)
}

/**
 * A source may be the app's own: one that cannot be watched is polled. What fails with it is reported, at whatever moment.
 *
 * @returns ends the watch
 */
function watchSource(source: Source, changed: () => void, failed: (error: unknown) => void): () => void {
  let stop: unknown
  let isOver = false

  async function end(): Promise<void> {
    if (typeof stop === 'function') await stop()
  }
  function take(returned: unknown): unknown {
    stop = returned
    if (isOver) return end()
    if (typeof stop === 'function') return undefined
    throw new TypeError(`watch() of the source: expected a function that ends it, got ${describeValue(stop)}`)
  }

  try {
    const returned: unknown = source.watch?.(() => void (isOver || changed()))
    // An async one may be ended before there is anything to end it by.
    if (returned instanceof Promise) returned.then(take).catch(failed)
    else if (source.watch !== undefined) take(returned)
  } catch (error) {
    failed(error)
  }
  return () => {
    isOver = true
    end().catch(failed)
  }
}
