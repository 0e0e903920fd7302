import type { Attempts } from './attempts.ts'
import type { CachePlace } from './file.ts'
import { openLease } from './lease.ts'
import { checkPath, openFolder } from './safety.ts'

/** This process's share in the cache's one lease: who of a machine fetches, and who writes. */
export interface Turns {
  /**
   * Has it, if no other process does, or none that lives and has had it for less than `stale_ms`. It may be had more than once.
   *
   * @returns gives it back
   */
  hold(stale_ms: number): (() => void) | undefined
  /** Gives it back, whoever still has it. */
  close(): void
}

export function createTurns(place: CachePlace, attempts: Attempts): Turns {
  const lease = openLease(place)
  let holders = 0

  function giveBack(): void {
    try {
      lease.release()
    } catch {
      // It is over soon.
    }
  }

  return Object.freeze({
    hold(stale_ms) {
      // On a disk that refuses, everybody fetches for himself.
      const isHeld = attempts.once('written lock', true, () => {
        openFolder(place.fs, place.folder)
        checkPath(place.fs, place.path)
        return lease.take(stale_ms)
      })
      if (!isHeld) return undefined
      holders += 1
      let isReleased = false
      return () => {
        if (isReleased) return
        isReleased = true
        holders -= 1
        if (holders === 0) giveBack()
      }
    },
    close() {
      if (holders > 0) giveBack()
      // Whoever gives it back now has nothing to do with the disk any more.
      holders = Number.POSITIVE_INFINITY
    },
  } satisfies Turns)
}
