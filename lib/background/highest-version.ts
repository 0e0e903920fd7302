import type { Cache } from './cache.ts'

/** The highest version of a signed document that was ever accepted. */
export interface HighestVersion {
  get(): number | undefined
  note(version: number): void
}

/** Remembers it for this process and, where there is a cache, for every process after it. */
export function rememberHighest(cache: Cache | undefined): HighestVersion {
  let highest: number | undefined
  return {
    get() {
      const kept = cache?.highest_version()
      return kept === undefined || (highest !== undefined && highest > kept) ? highest : kept
    },
    note(version) {
      highest = Math.max(version, highest ?? version)
      cache?.note_version(version)
    },
  }
}
