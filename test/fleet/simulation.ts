import { mock } from 'node:test'
import { createBackoff } from '../../lib/background/backoff.ts'
import { startPoller } from '../../lib/background/poller.ts'
import type { Refresh } from '../../lib/background/refresh.ts'
import { DynacodeError } from '../../lib/errors.ts'

/** What is simulated. Times in seconds. */
export interface FleetOptions {
  readonly pollers: number
  readonly interval: number
  /** When the API stops answering. */
  readonly outage_from: number
  /** When it answers again. */
  readonly outage_to: number
  readonly end: number
}

/** Requests to the API in each second, counted from the start. */
export type Arrivals = readonly number[]

const STEP_MS = 100
const unchanged: Refresh = { updated: false, reason: 'unchanged', error: undefined }
const failed: Refresh = { updated: false, reason: 'fetch', error: new DynacodeError('ERR_DYNACODE_FETCH', 'down') }

/**
 * Runs many real pollers, with the real backoff, on a clock of its own: started together, through an outage, and out of
 * it again.
 */
export async function simulateFleet({
  pollers,
  interval,
  outage_from,
  outage_to,
  end,
}: FleetOptions): Promise<Arrivals> {
  const arrivals = new Array<number>(end).fill(0)
  let now_ms = 0
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  try {
    const interval_ms = interval * 1000
    const fleet = Array.from({ length: pollers }, () => {
      const backoff = createBackoff(interval_ms, interval_ms * 2)
      const poll = async () => {
        const second = Math.floor(now_ms / 1000)
        if (second < end) arrivals[second] = (arrivals[second] as number) + 1
        return backoff(second >= outage_from && second < outage_to ? failed : unchanged)
      }
      return startPoller(poll, { interval_ms, jitter_ms: interval_ms / 10, at_init: true })
    })
    for (; now_ms < end * 1000; now_ms += STEP_MS) {
      await settled()
      mock.timers.tick(STEP_MS)
    }
    for (const poller of fleet) poller.stop()
    return arrivals
  } finally {
    mock.timers.reset()
  }
}

/** Lets every promise of a step settle before the clock goes on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** The highest and the mean rate of requests in a stretch of time, in requests a second. */
export function rates(arrivals: Arrivals, from: number, to: number): { peak: number; mean: number; ratio: number } {
  const seconds = arrivals.slice(from, to)
  const mean = seconds.reduce((sum, count) => sum + count, 0) / seconds.length
  const peak = Math.max(...seconds)
  return { peak, mean, ratio: peak / mean }
}
