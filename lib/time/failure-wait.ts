/** Never sooner than this after a failure, in milliseconds. */
const SHORTEST_MS = 100
/** Longest time that a Retry-After header is taken at its word, in milliseconds: an hour. */
const LONGEST_RETRY_AFTER_MS = 3_600_000

/** Tells how long to wait after failures: of polls, notices, long polls, reports and watches, by one rule. */
export interface FailureWait {
  /**
   * After one more failure.
   *
   * @param asked_ms how long the other side asks to be left alone, in milliseconds
   */
  failed(asked_ms: number | undefined): number
  /** After a success; returns whether there were failures before it. */
  succeeded(): boolean
}

/**
 * Waits exponentially longer, with full jitter, so that many processes neither press what fails nor come back to it
 * together.
 *
 * @param first_ms the first wait is random up to twice that, each later one up to twice the one before
 * @param max_ms the longest wait, but for what the other side asks for
 * @param spread_ms how far apart those come back who were told the same moment
 */
export function createFailureWait(first_ms: number, max_ms: number, spread_ms = first_ms): FailureWait {
  let failures = 0
  return {
    failed(asked_ms) {
      failures += 1
      const ceiling_ms = Math.min(max_ms, first_ms * 2 ** Math.min(failures, 30))
      const floor_ms = Math.min(SHORTEST_MS, ceiling_ms / 2)
      // Above the floor, not cut off at it: else all who draw less come back at the same moment.
      const wait_ms = floor_ms + Math.random() * (ceiling_ms - floor_ms)
      if (asked_ms === undefined) return wait_ms
      const until_ms = Math.min(asked_ms, LONGEST_RETRY_AFTER_MS) + Math.random() * spread_ms
      // Who fails and asks for no pause gets the usual one.
      return Math.max(until_ms, wait_ms)
    },
    succeeded() {
      const recovered = failures > 0
      failures = 0
      return recovered
    },
  }
}
