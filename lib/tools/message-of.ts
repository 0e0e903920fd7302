/** The message of what was thrown, on one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : undefined
  // What undici throws says why only in its cause.
  const text = message === 'fetch failed' && inner !== undefined ? inner.message || String(inner.name) : message
  return text.replace(/\s*\n\s*/g, ' ')
}
