import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Status } from '../../control/status.ts'
import type { Tallies } from '../tallies.ts'
import type { LabelSets, Labels } from './label-sets.ts'

/** What is to be reported of one instance, at one moment. */
export interface Snapshot {
  readonly status: Status
  readonly tallies: Tallies
  readonly labels: Labels
  readonly label_sets: LabelSets
}

/** Spreads the work of a scrape over turns of the event loop, so that requests get in between. */
export interface Scrapes {
  /**
   * Waits for a turn of its own, then reads what `read` wants of the moment at which the scrape began. What the register
   * makes of it, it makes in the same turn.
   */
  take<T>(read: (snapshot: Snapshot) => T): Promise<T>
}

/**
 * Makes the scrapes of one instance.
 *
 * @param look takes the snapshot: once for all metrics that are asked for in the same turn
 */
export function createScrapes(look: () => Snapshot): Scrapes {
  let last: Promise<unknown> = Promise.resolve()
  let current: Promise<Snapshot> | undefined

  function begin(): Promise<Snapshot> {
    const snapshot = takeTurn().then(look)
    // Whoever asks from now on has another scrape.
    queueMicrotask(() => {
      current = undefined
    })
    return snapshot
  }

  function takeTurn(): Promise<unknown> {
    last = last.then(() => nextTurn())
    return last
  }

  return Object.freeze({
    async take(read) {
      current ??= begin()
      const snapshot = await current
      await takeTurn()
      return read(snapshot)
    },
  } satisfies Scrapes)
}
