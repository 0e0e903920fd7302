/** The highest version of a signed document that was ever accepted. */
export interface HighestVersion {
  get(): number | undefined
  /** This process accepted a version. */
  note(version: number): void
  /**
   * Makes an accepted version hold for every process after this one, where documents are signed. Not before that very document is
   * in the cache, whatever was accepted since: a process that ended in between would leave nothing that the next one may use.
   */
  persist(version: number | string): Promise<void>
}

/** What of the disk cache keeps it. */
interface Kept {
  highest_version(): number | undefined
  note_version(version: number): Promise<void>
}

/** Remembers it for this process and, where there is a cache, for every process after it. */
export function rememberHighest(cache: Kept | undefined): HighestVersion {
  let highest: number | undefined
  return {
    get() {
      const kept = cache?.highest_version()
      return kept === undefined || (highest !== undefined && highest > kept) ? highest : kept
    },
    note(version) {
      highest = Math.max(version, highest ?? version)
    },
    async persist(version) {
      if (highest !== undefined && typeof version === 'number') await cache?.note_version(version)
    },
  }
}
