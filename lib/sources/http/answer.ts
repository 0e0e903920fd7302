import type { Dispatcher } from 'undici'

/** What nobody wants to read is let past up to this, so that the connection can be used again. */
const MAX_DUMPED_BYTES = 128 * 1024

/** Lets go of a response; whatever else it says is not waited for: it may come slowly, or never end. */
export function leave({ body }: Dispatcher.ResponseData): void {
  body.on('error', () => undefined).destroy()
}

/** Lets a body past that is not expected to be long; what is, ends the connection. */
export async function letPass({ body }: Dispatcher.ResponseData, signal: AbortSignal): Promise<void> {
  await body.dump({ limit: MAX_DUMPED_BYTES, signal })
}

/** Retry-After, in seconds or as a date (RFC 9110, 10.2.3), as milliseconds from now. */
export function readRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now())
}

/** The first of a header's values. */
export function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}
