import { DynacodeError } from './errors.ts'

/** That a document is live, and where the first one came from. */
export interface Readiness {
  readonly from: 'network'
}

/** Tells when the first document is live. Once it is, that is never taken back. */
export interface ReadinessGate {
  /**
   * @param last_error what went wrong so far, for the message
   * @throws DynacodeError ERR_DYNACODE_NOT_READY, ERR_DYNACODE_CLOSED
   */
  wait(timeout_ms: number, last_error?: () => Error | null): Promise<Readiness>
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
    wait: (timeout_ms, last_error) =>
      new Promise<Readiness>((resolve, reject) => {
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
        const timer = setTimeout(late, timeout_ms)
        timer.unref()
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
