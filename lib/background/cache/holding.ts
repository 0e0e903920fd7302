import type { Attempts } from './attempts.ts'
import type { CachePlace } from './file.ts'
import { openLock } from './lock.ts'
import { checkPath, openFolder } from './safety.ts'

/** The right to fetch, as far as this process has it. */
export interface Holding {
  /** Names this holding; undefined while this process has none. */
  token(): string | undefined
  /** Whether nobody has taken it over meanwhile; where the disk does not say, nobody has. Undefined: nobody has it just now. */
  isHeld(token: string): boolean | undefined
  /**
   * Takes it. On a disk that refuses, everybody fetches for himself.
   *
   * @returns gives it back; undefined: another process has it
   */
  take(stale_ms: number): (() => void) | undefined
  /** Gives it back, if this process has it. */
  giveBack(): void
}

export function openHolding(place: CachePlace, attempts: Attempts): Holding {
  const mutex = openLock(place)
  let held: string | undefined

  function release(token: string): void {
    if (held !== token) return
    held = undefined
    attempts.once('written lock', undefined, () => mutex.release(token))
  }

  return Object.freeze({
    token: () => held,
    isHeld: (token) => attempts.once<boolean | undefined>('read lock', true, () => mutex.isHeld(token)),
    take: (stale_ms) =>
      attempts.once<(() => void) | undefined>(
        'written lock',
        () => undefined,
        () => {
          openFolder(place.fs, place.folder)
          checkPath(place.fs, place.path)
          const token = mutex.take(stale_ms)
          if (token === undefined) return undefined
          held = token
          return () => release(token)
        },
      ),
    giveBack() {
      if (held !== undefined) release(held)
    },
  } satisfies Holding)
}
