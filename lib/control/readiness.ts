import { DynacodeError, OptionError } from '../errors.ts'
import type { Origin } from '../events/table.ts'
import { LONGEST_TIMER_MS } from '../time/clock.ts'
import { describeValue } from '../validation/schema-error.ts'

/** That a document is live, and where the first one came from. */
export interface Readiness {
  readonly from: Origin
}

/** Tells when the first document is live. Once it is, that is never taken back. */
export interface ReadinessGate {
  /**
   * @param timeout_ms 0: not at all; Infinity, or more than a timer can wait: for as long as it takes
   * @param last_error what went wrong so far, for the message
   * @param hold whether the wait keeps the process alive: who waits before anything else is going on needs that
   * @throws DynacodeError ERR_DYNACODE_OPTION, ERR_DYNACODE_NOT_READY, ERR_DYNACODE_CLOSED
   */
  wait(timeout_ms: number, last_error?: () => Error | null, hold?: boolean): Promise<Readiness>
  settle(from: Readiness['from']): void
  close(error: DynacodeError): void
}

/** Makes the gate of one instance. */
export function createReadiness(): ReadinessGate {
  let ready: Readiness | null = null
  let closed: DynacodeError | null = null
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const check of waiting) check()
    waiting.clear()
  }

  return Object.freeze({
    wait: (timeout_ms, last_error, hold = false) =>
      new Promise<Readiness>((resolve, reject) => {
        if (typeof timeout_ms !== 'number' || !(timeout_ms >= 0)) {
          const message = `ready(timeout_ms): expected a number of at least 0, got ${describeValue(timeout_ms)}`
          return reject(new OptionError('timeout_ms', message))
        }
        const check = () => {
          clearTimeout(timer)
          if (ready !== null) resolve(ready)
          else reject(closed)
        }
        const late = () => {
          waiting.delete(check)
          const cause = last_error?.() ?? undefined
          const why = cause === undefined ? '' : `: ${cause.message}`
          reject(
            new DynacodeError('ERR_DYNACODE_NOT_READY', `no document is live after ${timeout_ms} ms${why}`, { cause }),
          )
        }
        const timer = timeout_ms > LONGEST_TIMER_MS ? undefined : setTimeout(late, timeout_ms)
        if (!hold) timer?.unref()
        if (ready !== null || closed !== null) check()
        else waiting.add(check)
      }),
    settle(from) {
      ready ??= Object.freeze({ from })
      wake()
    },
    close(error) {
      closed ??= error
      wake()
    },
  } satisfies ReadinessGate)
}
