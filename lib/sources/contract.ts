/** What a source returns: nothing new since `last`, or the document's bytes. */
export type Fetched =
  | { readonly unchanged: true; readonly status?: number }
  | {
      readonly unchanged?: false
      /** The document as the source has it, undecoded. */
      readonly bytes: Uint8Array
      /**
       * Names this state of the document (an ETag); handed back as `last` once the document is live. null counts as none,
       * and anything else that is no string makes the fetch a failed one.
       */
      readonly tag?: string | undefined
      /** The HTTP status, where the source speaks HTTP. */
      readonly status?: number
    }

/** Where documents come from. `checkSource` of `dynacode/testing` says whether a source of your own is a good one. */
export interface Source {
  /**
   * Fetches the document. Rejects when it cannot be had; no rejection is ever final.
   *
   * @param signal aborts the fetch, at its deadline and at `close()`
   * @param last tag of the document that is live, if it has one: a source that still has that very document may say
   *   `unchanged`
   */
  fetch(signal: AbortSignal, last: string | undefined): Promise<Fetched>
  /**
   * Begins to watch for changes; called once by each instance that has the source. What it calls may be called too often, and at any time, but not before this
   * returns: each call means that a fetch may bring something new. A watch that breaks mends itself; polling goes on
   * meanwhile, and whatever was missed is fetched then.
   *
   * @param changed asks for a fetch as soon as possible
   * @returns ends that watch, and leaves those of other instances alone; called once, before `close()`
   */
  watch?(changed: () => void): () => void
  /**
   * Frees what the source holds; called once, by `close()` of the last instance that has it. What it throws is ignored, and
   * it is waited for no longer than `plugin_api_timeout`.
   */
  close?(): void | Promise<void>
}
