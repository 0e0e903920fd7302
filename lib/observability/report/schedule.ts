import { DynacodeError } from '../../errors.ts'
import { LONGEST_TIMER_MS } from '../../time/clock.ts'
import { createFailureWait } from '../../time/failure-wait.ts'
import type { ReportSender, SendFailure } from './sender.ts'

/**
 * Why a report is sent. `start`: the instance was made; `update`: a document went live; `refused`: one was refused whole;
 * `fetch`: none could be had; `recovered`: the source has what is live, after one of these two; `breaker`: one opened or
 * closed; `rollout`: one stopped itself; `canary`: it was stopped, or has another share; `stale`, `expired`: the document, a
 * plugin; `quarantine`: a plugin came there; `switch`: `disable()` or `enable()`; `interval`: nothing changed; `close`:
 * `close()`.
 */
export type ReportOccasion =
  | 'start'
  | 'update'
  | 'refused'
  | 'fetch'
  | 'recovered'
  | 'breaker'
  | 'rollout'
  | 'canary'
  | 'stale'
  | 'expired'
  | 'quarantine'
  | 'switch'
  | 'interval'
  | 'close'

/** Says when there is something to report. */
export interface Reporter {
  note(occasion: ReportOccasion): void
  /** Sends a last report, if the receiver is there, and ends within a second. */
  close(): Promise<void>
}

/** What comes within this time of each other is one report, in milliseconds. */
const BATCH_MS = 100
/** Changes that a whole fleet sees at once are reported within this share of the interval. */
const SPREAD = 0.1
/** What stopped itself does not wait longer than this: others of the fleet go on with it. */
const SPREAD_OF_STOPS_MS = 1000
const URGENT: ReadonlySet<ReportOccasion> = new Set(['rollout', 'canary'])
/** After failures the waits grow up to so many intervals. */
const LONGEST_WAIT = 2
/** How long `close()` may take for the last report, in milliseconds. */
const FAREWELL_MS = 1000

/**
 * Begins to report, at once and then at least once in each interval. One report is under way at a time, and none is kept:
 * each says how things are when it is sent.
 *
 * @param write makes the report
 * @param failed told of the first failure in a row
 */
export function startReporter({
  sender,
  write,
  interval_ms,
  timeout_ms,
  failed,
}: {
  sender: ReportSender
  write: (occasions: readonly ReportOccasion[]) => string
  interval_ms: number
  timeout_ms: number
  failed: (error: DynacodeError) => void
}): Reporter {
  const closing = new AbortController()
  const waits = createFailureWait(interval_ms * SPREAD, interval_ms * LONGEST_WAIT)
  let timer: NodeJS.Timeout | undefined
  /**
   * What is waited for. `idle`: the end of the interval; `soon`: what else changes; `busy`: an answer; `away`: a receiver that
   * takes reports.
   */
  let state: 'idle' | 'soon' | 'busy' | 'away' = 'idle'
  let occasions = new Set<ReportOccasion>()
  /** Whether the receiver may know of this instance. */
  let begun = false
  /** Whether the receiver did not take the last report that it had the time for. */
  let failing = false

  function wait(next: typeof state, ms: number): void {
    state = next
    clearTimeout(timer)
    timer = setTimeout(() => void report(), Math.min(ms, LONGEST_TIMER_MS)).unref()
  }
  const soon = () => {
    const spread_ms = interval_ms * SPREAD
    const is_urgent = [...URGENT].some((occasion) => occasions.has(occasion))
    wait('soon', BATCH_MS + Math.random() * (is_urgent ? Math.min(spread_ms, SPREAD_OF_STOPS_MS) : spread_ms))
  }
  const later = () => wait('idle', interval_ms * (1 + Math.random() * SPREAD))

  /** Never rejects: nobody waits for it. */
  async function report(): Promise<void> {
    state = 'busy'
    begun = true
    const told = occasions.size === 0 ? new Set<ReportOccasion>(['interval']) : occasions
    occasions = new Set()
    const failure = await send(told, timeout_ms, closing.signal)
    if (closing.signal.aborted) return
    const first = failure !== undefined && !failing
    failing = failure !== undefined
    if (failure === undefined) {
      waits.succeeded()
      return occasions.size > 0 ? soon() : later()
    }
    for (const occasion of told) if (occasion !== 'interval') occasions.add(occasion)
    wait('away', waits.failed(failure.retry_after_ms))
    if (first) failed(failure.error)
  }

  async function send(
    told: Iterable<ReportOccasion>,
    ms: number,
    signal: AbortSignal,
  ): Promise<SendFailure | undefined> {
    try {
      return await sender.send(write([...told]), ms, signal)
    } catch (cause) {
      const error = new DynacodeError('ERR_DYNACODE_REPORT', 'no report could be made', { cause })
      return { error, retry_after_ms: undefined }
    }
  }

  /** The process may have nothing else to do: it is held for as long as this takes. */
  async function sayFarewell(): Promise<void> {
    const hold = setTimeout(() => undefined, FAREWELL_MS)
    await send([...occasions, 'close'], Math.min(timeout_ms, FAREWELL_MS), new AbortController().signal)
    clearTimeout(hold)
  }

  function note(occasion: ReportOccasion): void {
    occasions.add(occasion)
    if ((state === 'idle' || (state === 'soon' && URGENT.has(occasion))) && !closing.signal.aborted) soon()
  }

  note('start')
  return Object.freeze({
    note,
    async close() {
      clearTimeout(timer)
      closing.abort()
      if (begun && !failing) await sayFarewell()
      await sender.close()
    },
  } satisfies Reporter)
}
