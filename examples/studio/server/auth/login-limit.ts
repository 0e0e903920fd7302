import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible'
import { Problem } from '../problem.ts'

/**
 * Slows down who guesses passwords: for one name from one range of addresses, and from one range. Nobody is kept out by what
 * others do in that one's name; where many guess at one name, each of them waits a while.
 */
export interface LoginLimit {
  /** Counts an attempt. @throws Problem with 429 when there were too many */
  attempt(name: string, address: string): Promise<void>
  /** Somebody who knew the password was no guesser. */
  succeeded(name: string, address: string): Promise<void>
  /**
   * Checks a code of a second factor. Whoever tries one knows the password, so that these are counted by account: six digits
   * are soon guessed from many addresses.
   *
   * @throws Problem with 429 when too many were wrong, and what the check throws
   */
  code<T>(account_id: number, check: () => Promise<T>): Promise<T>
}

const WINDOW_S = 15 * 60
const PER_NAME_AND_RANGE = 10
const PER_RANGE = 50
/** What a provider gives to one customer may be as large: 65,536 ranges. */
const PER_WIDE_RANGE = 200
/** Attempts on one name, from wherever, before each takes longer. */
const UNHURRIED = 100
const PAUSE_MS = 2000
const CODES_OF_ACCOUNT = 10

/** Makes the limit of this process. */
export function createLoginLimit(): LoginLimit {
  const limiter = (points: number) => new RateLimiterMemory({ points, duration: WINDOW_S })
  const [by_both, by_range, by_wide_range] = [PER_NAME_AND_RANGE, PER_RANGE, PER_WIDE_RANGE].map(limiter) as [
    RateLimiterMemory,
    RateLimiterMemory,
    RateLimiterMemory,
  ]
  const by_name = limiter(UNHURRIED)
  const by_account = limiter(CODES_OF_ACCOUNT)
  const nameOf = (name: string) => name.toLowerCase().slice(0, 200)
  const pairOf = (name: string, address: string) => `${nameOf(name)} ${rangeOf(address, 4)}`
  return Object.freeze({
    async attempt(name, address) {
      try {
        // One after the other: who is stopped here does not count against the rest.
        await by_both.consume(pairOf(name, address))
        await by_range.consume(rangeOf(address, 4))
        await by_wide_range.consume(rangeOf(address, 3))
      } catch (refused) {
        throw tooMany(refused as RateLimiterRes)
      }
      await by_name.consume(nameOf(name)).catch(() => sleep(PAUSE_MS))
    },
    async succeeded(name, address) {
      await Promise.all([
        by_both.delete(pairOf(name, address)),
        by_name.delete(nameOf(name)),
        by_range.reward(rangeOf(address, 4)),
        by_wide_range.reward(rangeOf(address, 3)),
      ])
    },
    async code(account_id, check) {
      await by_account.consume(account_id).catch((refused: RateLimiterRes) => {
        throw tooMany(refused)
      })
      const checked = await check()
      await by_account.delete(account_id)
      return checked
    },
  } satisfies LoginLimit)
}

function tooMany({ msBeforeNext }: RateLimiterRes): Problem {
  const seconds = Math.ceil(msBeforeNext / 1000)
  return new Problem(429, `too many attempts; try again in ${Math.ceil(seconds / 60)} minutes`, {
    headers: { 'Retry-After': String(seconds) },
  })
}

/**
 * The range that an address is of. With IPv6, one machine has 2^64 of them (RFC 6177).
 *
 * @param groups how many of its groups of 16 bits name the range; of IPv4, an address stands for itself
 */
export function rangeOf(address: string, groups: number): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? []
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address
  const [head = '', tail] = (address.split('%')[0] as string).split('::')
  const [first, last] = [head, tail ?? ''].map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = tail === undefined ? [] : Array(Math.max(0, 8 - (first?.length ?? 0) - (last?.length ?? 0))).fill('0')
  const all = [...(first ?? []), ...zeros, ...(last ?? [])]
  return `${all
    .slice(0, groups)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::`
}
