import createDebug from 'debug'
import { createFailureWait } from '../../time/failure-wait.ts'
import { steadyNow } from '../../time/steady-clock.ts'
import { createTokenBucket } from '../../time/token-bucket.ts'
import type { Fetched } from '../contract.ts'
import { createDeadline } from './deadline.ts'
import { retryAfterOf } from './status-error.ts'

const debug = createDebug('dynacode:long-poll')

/** Asks an API that holds its answer back until there is something new. */
export interface LongPoll {
  /** As in `Source`. */
  watch(changed: () => void): () => void
  /** What the last answer brought, if nobody has taken it yet, and it is what came after this tag. */
  take(last: Tag): Document | undefined
  /** Told of each answer, with the tag that it was asked for: what comes after it is new. */
  saw(fetched: Fetched, last: string | undefined): void
}

type Tag = string | undefined
type Document = Exclude<Fetched, { readonly unchanged: true }>

/** An answer that comes sooner without anything new was not held back, in milliseconds. */
const HELD_MS = 500
/** An answer this old is not taken for what the API has, in milliseconds. */
const LONGEST_KEPT_MS = 5000
/** How long to wait for the tag of an ordinary fetch, in milliseconds. */
const FIRST_TAG_MS = 1000
/** The first wait after a failure is up to twice that, in milliseconds. */
const FIRST_WAIT_MS = 250
/** An API that has something new all the time is asked so many times at once, */
const BURST = 20
/** and so many times a second after that. */
const PER_SECOND = 10

/**
 * Makes the long poll of one source.
 *
 * @param get asks for what is newer than the tag; the API may hold the answer back
 * @param longest_ms deadline of one such request
 * @param pause_ms time until an API that holds nothing back is tried again: it is polled meanwhile
 */
export function createLongPoll({
  get,
  longest_ms,
  pause_ms,
}: {
  get: (signal: AbortSignal, last: string | undefined) => Promise<Fetched>
  longest_ms: number
  pause_ms: number
}): LongPoll {
  let seen: Tag
  let kept: { readonly fetched: Document; readonly last: Tag; readonly at: number } | undefined
  /** Ends what is waited for, where a good answer to an ordinary fetch is a reason to ask again. */
  let wake: (() => void) | undefined
  const waits = createFailureWait(FIRST_WAIT_MS, pause_ms, pause_ms)

  async function loop(changed: () => void, stopping: AbortSignal): Promise<void> {
    const bucket = createTokenBucket(BURST, PER_SECOND)
    while (!stopping.aborted) {
      // Without a tag there is nothing to ask for that would be newer. Where no fetch brings one, this asks for it.
      if (seen === undefined) await pause(FIRST_TAG_MS, stopping, true)
      if (stopping.aborted) return
      const last = seen
      const started = steadyNow()
      try {
        const fetched = await ask(last, stopping)
        waits.succeeded()
        // An ordinary fetch has brought something meanwhile: this may have been on its way since before that.
        if (seen !== last) continue
        if (fetched.unchanged !== true && fetched.tag !== last) {
          seen = fetched.tag
          // What came after what nobody has taken comes after what that came after.
          kept = { fetched, last: kept !== undefined && kept.fetched.tag === last ? kept.last : last, at: steadyNow() }
          changed()
          await pause(bucket.take(), stopping, false)
        } else if (steadyNow() - started < HELD_MS) {
          debug('the API does not wait: it is asked again in %d ms', pause_ms)
          await pause(pause_ms, stopping, false)
        }
      } catch (error) {
        if (stopping.aborted) return
        const wait_ms = waits.failed(retryAfterOf(error))
        debug('%s; again in %d ms', (error as Error).message, Math.round(wait_ms))
        await pause(wait_ms, stopping, true)
      }
    }
  }

  /** One request with a deadline of its own: a connection that is half open never ends by itself. */
  async function ask(last: string | undefined, stopping: AbortSignal): Promise<Fetched> {
    const { signal, clear } = createDeadline(longest_ms, stopping)
    try {
      return await get(signal, last)
    } finally {
      clear()
    }
  }

  /** Without keeping the process alive. */
  async function pause(ms: number, stopping: AbortSignal, wakes: boolean): Promise<void> {
    if (ms === 0) return
    const { signal, clear } = createDeadline(ms, stopping)
    await new Promise<void>((resolve) => {
      if (wakes) wake = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
      if (signal.aborted) resolve()
    })
    wake = undefined
    clear()
  }

  return Object.freeze({
    watch(changed) {
      const stopping = new AbortController()
      void loop(changed, stopping.signal)
      return () => stopping.abort()
    },
    take(last) {
      const came = kept
      kept = undefined
      if (came === undefined || came.last !== last) return undefined
      return steadyNow() - came.at < LONGEST_KEPT_MS ? came.fetched : undefined
    },
    saw(fetched, last) {
      seen = fetched.unchanged === true ? last : fetched.tag
      if (seen !== undefined) wake?.()
    },
  } satisfies LongPoll)
}
