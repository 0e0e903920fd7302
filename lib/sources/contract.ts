/** What a source returns: nothing new since `last`, or the document's bytes. */
export type Fetched =
  | { readonly unchanged: true; readonly status?: number }
  | {
      readonly unchanged?: false
      /** The document as the source has it, undecoded. */
      readonly bytes: Uint8Array
      /**
       * Identifies this state of the document, like an ETag. dynacode passes it as `last` once the document is live. null
       * counts as no tag; any other value that is not a string fails the fetch.
       */
      readonly tag?: string | undefined
      /** The HTTP status, if the source uses HTTP. */
      readonly status?: number
    }

/** Where documents come from. Test your own source with `checkSource` of `dynacode/testing`. */
export interface Source {
  /**
   * Fetches the document. Rejects if that fails; dynacode always tries again.
   *
   * @param signal aborts the fetch, at its deadline and at `close()`
   * @param last tag of the live document, if it has one. If the source still has the same document, it may return
   *   `unchanged`
   */
  fetch(signal: AbortSignal, last: string | undefined): Promise<Fetched>
  /**
   * Starts to watch for changes. Called once by each instance that uses the source. It may call `changed` at any time after it
   * has returned, also too often: each call means that a fetch may find something new. A broken watch must repair itself;
   * meanwhile, polling finds what it misses.
   *
   * @param changed requests a fetch as soon as possible
   * @returns a function that ends this watch, and not those of other instances. Called once, before `close()`
   */
  watch?(changed: () => void): () => void
  /**
   * Releases what the source holds. Called once, by `close()` of the last instance that uses it. Errors are ignored, and
   * dynacode waits for it no longer than `plugin_api_timeout`.
   */
  close?(): void | Promise<void>
}
