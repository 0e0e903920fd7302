import { setTimeout as sleep } from 'node:timers/promises'
import type { RefreshTracing } from '../events/tracing.ts'
import type { Activator } from './activator.ts'
import type { Course } from './asking.ts'
import type { Cycle, Occasion } from './cycle.ts'
import { closedRefresh, type Refresh } from './refresh.ts'

/** Has cycles run, one at a time. */
export interface Refresher {
  /**
   * Runs one cycle, or joins the one under way, where that will do: for who asks, one that fetches; after a notice, only one
   * that begins then. Never rejects. Who asks gets the result when the disk has what came of it, unless that takes long.
   */
  refresh(occasion?: Occasion): Promise<Refresh>
  /** Takes over what another process of this machine has written into the cache, if it is newer. Never rejects. */
  takeOver(): Promise<void>
}

/** How long those who ask, or start, wait for the disk, in milliseconds. What is live does not. */
const DISK_MS = 500

const NOTHING: Refresh = Object.freeze({ updated: false, reason: 'unchanged', error: undefined })

/**
 * Makes the refresher of one instance.
 *
 * @param over called when a cycle is over, and what it brought kept, unless that takes long
 */
export function createRefresher({
  cycle,
  activator,
  trace,
  closing,
  over,
}: {
  cycle: Cycle
  activator: Pick<Activator, 'activated'>
  trace: RefreshTracing
  closing: AbortSignal
  over: () => void
}): Refresher {
  let running: Running | null = null
  let next: Promise<Refresh> | null = null

  function begin(occasion: Occasion | 'shared', run: (course: Course) => Promise<Refresh>): Running {
    const course: Course = { fetched: false, answer: undefined, kept: Promise.resolve() }
    const live = trace(occasion, () => run(course)).finally(() => {
      running = null
    })
    const whole = live.then(async (result) => {
      await atMost(course.kept, DISK_MS)
      over()
      return result
    })
    running = { course, live, whole }
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
    if (running === null) {
      const { live, whole } = begin(occasion, (course) => cycle.run(occasion, course))
      return occasion === 'asked' ? whole : live
    }
    if (occasion === 'poll') return running.live
    if (occasion === 'asked') {
      return running.course.fetched && !isLate(running.course) ? running.whole : joinFetch(running)
    }
    next ??= beginNext(running.live)
    return next
  }

  /** What the cache says is no answer for who asks the source, nor what the source said before. */
  async function joinFetch({ course, live, whole }: Running): Promise<Refresh> {
    const wasLate = isLate(course)
    const result = await live
    if (closing.aborted) return result
    return course.fetched && !wasLate ? whole : refresh('asked')
  }

  /** Whether the source has answered, and to make that live takes time: it may be outdated by then. */
  function isLate({ answer }: Course): boolean {
    return answer !== undefined && answer !== activator.activated()?.sha1
  }

  return Object.freeze({
    refresh,
    async takeOver() {
      while (running !== null) await running.live
      if (closing.aborted) return
      await begin('shared', async () => (await cycle.takeNewer()) ?? NOTHING).live
    },
  } satisfies Refresher)
}

/** A cycle that is under way. */
interface Running {
  readonly course: Course
  /** Settles when what it brings is live. */
  readonly live: Promise<Refresh>
  /** Settles when the disk has it, too. */
  readonly whole: Promise<Refresh>
}

/** Waits for something, and no longer than that. Holds no process. */
async function atMost(promise: Promise<unknown>, longest_ms: number): Promise<void> {
  const ending = new AbortController()
  const late = sleep(longest_ms, undefined, { ref: false, signal: ending.signal }).catch(() => undefined)
  await Promise.race([promise, late])
  ending.abort()
}
