declare global {
  /** Ends the request with a response. Throws, so that the plugin's code stops there. */
  function exit(
    status: number,
    body?: unknown,
    headers?: Record<string, string | string[]> | Headers | Iterable<readonly [string, string]>,
  ): never
}

export {}
