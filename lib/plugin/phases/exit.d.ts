declare global {
  /** Ends the request with this response. Throws, so the plugin's code stops here. */
  function exit(
    status: number,
    body?: unknown,
    headers?: Record<string, string | string[]> | Headers | Iterable<readonly [string, string]>,
  ): never
}

export {}
