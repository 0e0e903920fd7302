import type { Events } from '../events/table.ts'
import type { Source } from '../sources/contract.ts'
import { shareLead } from './cache/leader.ts'
import { watchCache } from './cache/watch.ts'
import { createNotices, type Notices } from './notices.ts'
import type { Refresher } from './refresher.ts'

/** What sees to it that a change is live before the next poll. */
export type Watching = Pick<Notices, 'polled' | 'stop'>

/**
 * Sees to it that a change is live before the next poll: watches the source, and the cache that the processes of this
 * machine share.
 *
 * @param shared whether one process of a machine watches for all that share the cache
 * @param started resolves when what was on the disk at the start is live
 * @returns what is to be told of each poll, and what ends all of it
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
  const failed = (error: unknown) => events.emit('on_error', { section: 'watch', error })
  const watch = () => watchSource(source, notices.notify, failed)
  const stops = [shared && cache_path !== undefined ? shareLead(cache_path, watch).stop : watch()]
  if (cache_path !== undefined) {
    const takeOver = async () => {
      await started
      await refresher.takeOver()
    }
    stops.push(watchCache(cache_path, () => void takeOver()))
  }
  return Object.freeze({
    polled: notices.polled,
    stop() {
      notices.stop()
      for (const stop of stops) stop()
    },
  })
}

/** A source may be the app's own: one that cannot be watched is polled. */
function watchSource(source: Source, changed: () => void, failed: (error: unknown) => void): () => void {
  try {
    const stop = source.watch?.(changed)
    return () => {
      try {
        stop?.()
      } catch (error) {
        failed(error)
      }
    }
  } catch (error) {
    failed(error)
    return () => undefined
  }
}
