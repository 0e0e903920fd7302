import { DynacodeError } from '../errors.ts'
import type { Events } from '../events/emitter.ts'
import type { Fetched, Source } from '../sources/contract.ts'
import { createDeadline } from '../sources/http/deadline.ts'
import { StatusError } from '../sources/http/status-error.ts'
import { abortable } from '../time/abortable.ts'
import { steadyNow } from '../time/steady-clock.ts'
import { describeValue } from '../validation/schema-error.ts'

/**
 * Fetches from the source, within the deadline, and emits what came of it.
 *
 * @param last tag of the document that is live; undefined when it has none
 * @throws DynacodeError with a code that begins with ERR_DYNACODE_FETCH
 */
export type Fetcher = (last: string | undefined, live: boolean) => Promise<Fetched>

/** Makes the fetcher of one instance. */
export function createFetcher({
  source,
  timeout_ms,
  events,
  closing,
}: {
  source: Source
  timeout_ms: number
  events: Events
  closing: AbortSignal
}): Fetcher {
  return async function fetch(last, live) {
    const started = steadyNow()
    const { signal, isLate, clear } = createDeadline(timeout_ms, closing)
    try {
      // A listener may have called close() just now.
      signal.throwIfAborted()
      const fetched = checkFetched(await abortable(source.fetch(signal, last), signal), live)
      const bytes = fetched.unchanged === true ? 0 : fetched.bytes.length
      const status = fetched.status ?? (fetched.unchanged === true ? 304 : 200)
      events.emit('bg_fetch_api_success', { status, bytes, duration_ms: steadyNow() - started })
      return fetched
    } catch (cause) {
      const error = isLate() ? timeoutError(timeout_ms, cause) : fetchError(cause)
      const duration_ms = steadyNow() - started
      if (closing.aborted) throw error
      if (error instanceof StatusError) {
        events.emit('bg_fetch_api_status_code_error', { status: error.status, error, duration_ms })
      } else {
        events.emit('bg_fetch_api_generic_error', { error, duration_ms })
      }
      throw error
    } finally {
      clear()
    }
  }
}

/** Whether there was no document to be had, as opposed to one that was refused. */
export function isFetchError(error: unknown): boolean {
  return error instanceof DynacodeError && error.code.startsWith('ERR_DYNACODE_FETCH')
}

/** Sources are the app's own, too: what they return is looked at before it is used. */
function checkFetched(fetched: Fetched, live: boolean): Fetched {
  const { unchanged, bytes, tag } = (fetched ?? {}) as { unchanged?: unknown; bytes?: unknown; tag?: unknown }
  if (unchanged === true && !live) {
    throw new DynacodeError('ERR_DYNACODE_FETCH', 'the source said `unchanged`, but no document is live yet')
  }
  if (unchanged === true) return fetched
  if (bytes instanceof Uint8Array) return { status: fetched.status ?? 200, bytes, tag: checkTag(tag) }
  const came = describeValue(fetched === undefined || fetched === null ? fetched : bytes)
  throw new DynacodeError('ERR_DYNACODE_FETCH', `the source returned no bytes: expected a Uint8Array, got ${came}`)
}

/** It is compared, kept on the disk and sent back: null is what many have where there is none, and anything else a mistake. */
function checkTag(tag: unknown): string | undefined {
  if (tag === undefined || tag === null || typeof tag === 'string') return tag ?? undefined
  const message = `the source returned a tag that is none: expected a string, got ${describeValue(tag)}`
  throw new DynacodeError('ERR_DYNACODE_FETCH', message)
}

function timeoutError(timeout_ms: number, cause: unknown): DynacodeError {
  const message = `no whole answer within ${timeout_ms / 1000} s (plugin_api_timeout)`
  return new DynacodeError('ERR_DYNACODE_FETCH_TIMEOUT', message, { cause })
}

function fetchError(cause: unknown): DynacodeError {
  if (cause instanceof DynacodeError) return cause
  const error = cause as NodeJS.ErrnoException
  const what = error?.message || error?.code || String(cause)
  return new DynacodeError('ERR_DYNACODE_FETCH', `the plugin API cannot be reached: ${what}`, { cause })
}
