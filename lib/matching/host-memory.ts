import { LRUCache } from 'lru-cache'
import { steadyNow } from '../time/steady-clock.ts'

/** What is known of hosts, by what requests call them. */
export interface HostMemory<T> {
  /** Finds what is known of a host, and counts that it was asked for. */
  get(name: string): T | undefined
  /** Offers what is known of a host that `get` did not find. Where there is no room, only a host in more use than another stays. */
  offer(name: string, value: T): void
  /** Everything that is remembered. */
  values(): Iterable<T>
}

interface Place<T> {
  name: string
  value: T
  /** How often it was asked for lately. */
  uses: number
}

/** Hosts that are remembered. */
const PLACES = 4096
/** Hosts that wait for a place, and are counted. */
const WAITING = 8192
/** Places that a host with none is compared with, of which it may take the least used. */
const COMPARED = 8
/** More is as good as this. */
const MOST_USES = 1000
/** After this time, in milliseconds, uses count half. */
const HALF_LIFE_MS = 60_000

/**
 * Makes a memory of hosts that a flood of made-up ones does not wash away: who is asked for more often stays. A host that was
 * asked for a few times and no more gives way to one in use, and never the other way round.
 *
 * @param now the time in milliseconds, from any beginning
 */
export function createHostMemory<T>(now: () => number = () => steadyNow()): HostMemory<T> {
  const places: Place<T>[] = []
  const byName = new Map<string, Place<T>>()
  // `max` would set room for all of them aside at once.
  const waiting = new LRUCache<string, number>({ maxSize: WAITING, sizeCalculation: () => 1 })
  /** Most requests ask for the host that the one before did; to compare two names costs less than to look one up. */
  let last: Place<T> | undefined
  let hand = 0
  let halved_at = now()

  /** Only when a host is unknown, so that a known one costs no look at the clock. */
  function forgetSlowly(): void {
    const time = now()
    if (time - halved_at < HALF_LIFE_MS) return
    const halves = Math.floor((time - halved_at) / HALF_LIFE_MS)
    halved_at += halves * HALF_LIFE_MS
    for (const place of places) place.uses = Math.floor(place.uses / 2 ** halves)
    waiting.clear()
  }

  function findLeastUsed(): Place<T> {
    let least = places[hand] as Place<T>
    for (let count = 0; count < COMPARED; count += 1) {
      hand = (hand + 1) % PLACES
      const place = places[hand] as Place<T>
      if (place.uses < least.uses) least = place
    }
    return least
  }

  return {
    get(name) {
      const place = last?.name === name ? last : byName.get(name)
      if (place === undefined) return undefined
      last = place
      if (place.uses < MOST_USES) place.uses += 1
      return place.value
    },
    offer(name, value) {
      forgetSlowly()
      if (places.length < PLACES) {
        const place = { name, value, uses: 1 }
        places.push(place)
        byName.set(name, place)
        return
      }
      const uses = (waiting.get(name) ?? 0) + 1
      const least = findLeastUsed()
      if (uses <= least.uses) {
        waiting.set(name, uses)
        return
      }
      waiting.delete(name)
      waiting.set(least.name, least.uses)
      byName.delete(least.name)
      Object.assign(least, { name, value, uses })
      byName.set(name, least)
    },
    values: () => places.map(({ value }) => value),
  }
}
