import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible'
import { Problem } from '../problem.ts'

/**
 * Slows down who guesses passwords: for one name from one address, from one address, and for one name from wherever. The
 * last is far off: nobody shall keep another from signing in by failing in that one's name.
 */
export interface LoginLimit {
  /** Counts an attempt. @throws Problem with 429 when there were too many */
  attempt(name: string, address: string): Promise<void>
  /** Somebody who knew the password was no guesser. */
  succeeded(name: string, address: string): Promise<void>
}

/** Makes the limit of this process. */
export function createLoginLimit(): LoginLimit {
  const by_both = new RateLimiterMemory({ points: 10, duration: 15 * 60 })
  const by_name = new RateLimiterMemory({ points: 200, duration: 15 * 60 })
  const by_address = new RateLimiterMemory({ points: 50, duration: 15 * 60 })
  const nameOf = (name: string) => name.toLowerCase().slice(0, 200)
  const pairOf = (name: string, address: string) => `${nameOf(name)} ${address}`
  return Object.freeze({
    async attempt(name, address) {
      try {
        // One after the other: who is stopped here does not count against the name.
        await by_both.consume(pairOf(name, address))
        await by_address.consume(address)
        await by_name.consume(nameOf(name))
      } catch (refused) {
        const seconds = Math.ceil((refused as RateLimiterRes).msBeforeNext / 1000)
        throw new Problem(429, `too many attempts; try again in ${Math.ceil(seconds / 60)} minutes`, {
          headers: { 'Retry-After': String(seconds) },
        })
      }
    },
    async succeeded(name, address) {
      await Promise.all([
        by_both.delete(pairOf(name, address)),
        by_name.delete(nameOf(name)),
        by_address.reward(address),
      ])
    },
  } satisfies LoginLimit)
}
