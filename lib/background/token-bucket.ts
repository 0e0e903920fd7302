/** Lets through so many at once, and later so many a second. */
export interface TokenBucket {
  /** Takes one; returns how long to wait before it may be used, in milliseconds. */
  take(): number
}

/** Makes a full bucket. */
export function createTokenBucket(capacity: number, per_second: number): TokenBucket {
  let tokens = capacity
  let filled = performance.now()
  return Object.freeze({
    take() {
      const now = performance.now()
      tokens = Math.min(capacity, tokens + ((now - filled) / 1000) * per_second) - 1
      filled = now
      return tokens >= 0 ? 0 : (-tokens / per_second) * 1000
    },
  } satisfies TokenBucket)
}
