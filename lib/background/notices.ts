import { createTokenBucket } from '../time/token-bucket.ts'
import type { Refresh } from './refresher.ts'

/** Turns a source's notices into refreshes: as few as will do. */
export interface Notices {
  /** Something may be new. */
  notify(): void
  stop(): void
}

/** A flood of notices brings so many refreshes at once, */
const BURST = 10
/** and so many a second after that. */
const PER_SECOND = 10
/** What was noticed and could not be fetched is tried again so many times; after that its turn comes with the next poll. */
const TRIES = 5
/** First wait before that, in milliseconds; it doubles each time. */
const FIRST_WAIT_MS = 100

/**
 * Makes the notices of one instance.
 *
 * @param refresh runs a cycle that begins after the call
 */
export function createNotices(refresh: () => Promise<Refresh>): Notices {
  const bucket = createTokenBucket(BURST, PER_SECOND)
  let timer: NodeJS.Timeout | undefined
  let wanted = false
  let busy = false
  let failures = 0
  let stopped = false

  function begin(wait_ms: number): void {
    busy = true
    if (wait_ms === 0) run()
    else timer = setTimeout(run, wait_ms).unref()
  }

  function run(): void {
    wanted = false
    refresh().then(done, () => done(undefined))
  }

  function done(result: Refresh | undefined): void {
    busy = false
    if (stopped) return
    const failed = result?.updated === false && result.reason === 'fetch'
    failures = failed ? failures + 1 : 0
    if (failed && failures <= TRIES) begin(FIRST_WAIT_MS * 2 ** (failures - 1) * (0.5 + Math.random() / 2))
    else if (wanted) begin(bucket.take())
  }

  return Object.freeze({
    notify() {
      wanted = true
      if (!busy && !stopped) begin(bucket.take())
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  } satisfies Notices)
}
