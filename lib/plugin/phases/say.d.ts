declare global {
  /** Appends a line to the response's text body. */
  function say(...text: unknown[]): void
}

export {}
