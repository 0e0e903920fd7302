import { retryAfterOf } from '../sources/http/status-error.ts'
import { LONGEST_TIMER_MS } from '../time/clock.ts'
import { createFailureWait } from '../time/failure-wait.ts'
import { createTokenBucket } from '../time/token-bucket.ts'
import type { Refresh } from './refresh.ts'

/** Turns a source's notices into refreshes: as few as will do. */
export interface Notices {
  /** Something may be new. */
  notify(): void
  /** A poll is over: where it went well, what could not be fetched before is made up for. */
  polled(result: Refresh): void
  stop(): void
}

/** A flood of notices brings so many refreshes at once, */
const BURST = 10
/** and so many a second after that. */
const PER_SECOND = 10
/** What was noticed and could not be fetched is tried again so many times; after that its turn comes with the next poll. */
const TRIES = 5
/** The first wait before that is up to twice this, in milliseconds. */
const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = FIRST_WAIT_MS * 2 ** TRIES

/**
 * Makes the notices of one instance.
 *
 * @param refresh runs a cycle that begins after the call
 */
export function createNotices(refresh: () => Promise<Refresh>): Notices {
  const bucket = createTokenBucket(BURST, PER_SECOND)
  const waits = createFailureWait(FIRST_WAIT_MS, LONGEST_WAIT_MS)
  let timer: NodeJS.Timeout | undefined
  /** `idle`: nothing is to be done; `running`: a refresh is under way; `due`: one is about to begin; `failed`: one is tried again. */
  let state: 'idle' | 'running' | 'due' | 'failed' = 'idle'
  let wanted = false
  let tries = 0
  let stopped = false

  function begin(next: 'due' | 'failed', wait_ms: number): void {
    state = next
    if (wait_ms === 0) run()
    else timer = setTimeout(run, Math.min(wait_ms, LONGEST_TIMER_MS)).unref()
  }

  function run(): void {
    state = 'running'
    // Each notice has its own tries, whatever became of the one before.
    if (wanted) tries = TRIES
    wanted = false
    refresh().then(done, () => done(undefined))
  }

  function done(result: Refresh | undefined): void {
    if (stopped) return
    state = 'idle'
    const failed = isFailure(result)
    if (!failed) waits.succeeded()
    if (failed && tries > 0) {
      tries -= 1
      begin('failed', waits.failed(retryAfterOf(result?.error)))
    } else if (wanted) begin('due', bucket.take())
    // The next notice begins anew.
    else waits.succeeded()
  }

  return Object.freeze({
    notify() {
      wanted = true
      if (state === 'idle' && !stopped) begin('due', bucket.take())
    },
    polled(result) {
      if (state !== 'failed' || stopped || isFailure(result)) return
      clearTimeout(timer)
      done(result)
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  } satisfies Notices)
}

function isFailure(result: Refresh | undefined): result is Refresh & { readonly updated: false } {
  return result?.updated === false && result.reason === 'fetch'
}
