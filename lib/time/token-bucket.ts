import { steadyNow } from './steady-clock.ts'

/** Lets through so many at once, and later so many a second. */
export interface TokenBucket {
  /** Takes one; returns how long to wait before it may be used, in milliseconds. */
  take(): number
  /** How long somebody who came now would have to wait, in milliseconds. */
  peek(): number
}

/** Makes a full bucket. */
export function createTokenBucket(capacity: number, per_second: number): TokenBucket {
  let tokens = capacity
  let filled = steadyNow()

  function fill(): void {
    const now = steadyNow()
    tokens = Math.min(capacity, tokens + ((now - filled) / 1000) * per_second)
    filled = now
  }
  const wait = (left: number) => (left >= 0 ? 0 : (-left / per_second) * 1000)

  return Object.freeze({
    take() {
      fill()
      tokens -= 1
      return wait(tokens)
    },
    peek() {
      fill()
      return wait(tokens - 1)
    },
  } satisfies TokenBucket)
}
