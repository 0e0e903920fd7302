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
   * Fetches the document. Reject if that fails: dynacode tries again with the next poll.
   *
   * @param signal aborts the fetch, at its deadline and at `close()`
   * @param last tag of the live document, if it has one. If the source still has the same document, it may return
   *   `unchanged`
   */
  fetch(signal: AbortSignal, last: string | undefined): Promise<Fetched>
  /**
   * Starts to watch for changes. Called once by each instance that uses the source. Call `changed` when a fetch may find
   * something new, but not before this function has returned. Extra calls do no harm. A broken watch must repair itself;
   * meanwhile, polls find the changes.
   *
   * @param changed requests a fetch as soon as possible
   * @returns a function that ends this watch, but not the watches of other instances. Called once, before `close()`
   */
  watch?(changed: () => void): () => void
  /**
   * Releases what the source holds. Called once, by `close()` of the last instance that uses the source. Errors are ignored.
   * dynacode waits for at most `plugin_api_timeout`.
   */
  close?(): void | Promise<void>
}
