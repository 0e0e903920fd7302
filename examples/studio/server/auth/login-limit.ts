import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible'
import { Problem } from '../problem.ts'

/** Slows down who guesses passwords: for one name, and from one address. */
export interface LoginLimit {
  /** Counts an attempt. @throws Problem with 429 when there were too many */
  attempt(name: string, address: string): Promise<void>
  /** Somebody who knew the password was no guesser. */
  succeeded(name: string, address: string): Promise<void>
}

/** Makes the limit of this process. */
export function createLoginLimit(): LoginLimit {
  const by_name = new RateLimiterMemory({ points: 10, duration: 15 * 60 })
  const by_address = new RateLimiterMemory({ points: 50, duration: 15 * 60 })
  const key = (name: string) => name.toLowerCase().slice(0, 200)
  return Object.freeze({
    async attempt(name, address) {
      try {
        await Promise.all([by_name.consume(key(name)), by_address.consume(address)])
      } catch (refused) {
        const seconds = Math.ceil((refused as RateLimiterRes).msBeforeNext / 1000)
        throw new Problem(429, `too many attempts; try again in ${Math.ceil(seconds / 60)} minutes`, {
          headers: { 'Retry-After': String(seconds) },
        })
      }
    },
    async succeeded(name, address) {
      await Promise.all([by_name.delete(key(name)), by_address.reward(address)])
    },
  } satisfies LoginLimit)
}
