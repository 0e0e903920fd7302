// The module's own, so that tests that set the time do not hold up what is under way.
import { setTimeout } from 'node:timers'
import { DynacodeError } from '../errors.ts'
import { steadyNow } from './steady-clock.ts'
import type { Steps } from './steps.ts'

/** For how long the background line has the thread at a stretch, in milliseconds; a single step may take longer. */
const SLICE_MS = 1
/** The same, where everybody waits for what is being done. */
const URGENT_SLICE_MS = 4

/**
 * Does some work in slices. Between these everything else has its turn, for as long as it needs; the work takes no more than
 * half of the time.
 *
 * @param urgent whether it may take most of the time
 * @param closing lays the work down at once: it cleans up after itself then
 * @throws DynacodeError ERR_DYNACODE_CLOSED when it was cancelled, or what the work throws
 */
export async function runInSlices<T>(steps: Steps<T>, closing: AbortSignal, urgent = false): Promise<T> {
  const slice_ms = urgent ? URGENT_SLICE_MS : SLICE_MS
  let isUnderWay = false
  // Somebody may close dynacode out of one of the steps; then it ends behind that.
  const layDown = () => {
    if (!isUnderWay) steps.return(undefined as never)
  }
  closing.addEventListener('abort', layDown, { once: true })
  try {
    for (;;) {
      const end = steadyNow() + slice_ms
      isUnderWay = true
      do {
        if (closing.aborted) throw new DynacodeError('ERR_DYNACODE_CLOSED', 'dynacode was closed')
        const step = steps.next()
        if (step.done === true) return step.value
      } while (steadyNow() < end)
      isUnderWay = false
      await pause()
    }
  } finally {
    closing.removeEventListener('abort', layDown)
    isUnderWay = false
    layDown()
  }
}

/** By a timer: an immediate would either hold the process or, if it did not, wait for the next event. */
const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 1).unref())
