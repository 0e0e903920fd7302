import { setTimeout as sleep } from 'node:timers/promises'
import createDebug from 'debug'
import { LONGEST_TIMER_MS } from '../../time/clock.ts'
import { steadyNow } from '../../time/steady-clock.ts'
import { createTokenBucket } from '../../time/token-bucket.ts'
import type { Fetched } from '../contract.ts'
import { StatusError } from './status-error.ts'

const debug = createDebug('dynacode:long-poll')

/** Asks an API that holds its answer back until there is something new. */
export interface LongPoll {
  /** As in `Source`. */
  watch(changed: () => void): () => void
  /** What the last answer brought, if nobody has taken it yet. */
  take(): Fetched | undefined
  /** Told of each answer, with the tag that it was asked for: what comes after it is new. */
  saw(fetched: Fetched, last: string | undefined): void
}

/** An answer that comes sooner without anything new was not held back, in milliseconds. */
const HELD_MS = 500
/** An answer this old is not taken for what the API has, in milliseconds. */
const LONGEST_KEPT_MS = 5000
/** How long to wait for the tag of an ordinary fetch, in milliseconds. */
const FIRST_TAG_MS = 1000
/** First ceiling of the wait after a failure, in milliseconds; it doubles with each one that follows. */
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
  let seen: string | undefined
  let kept: { readonly fetched: Fetched; readonly at: number } | undefined
  let found: (() => void) | undefined

  async function loop(changed: () => void, stopping: AbortSignal): Promise<void> {
    const bucket = createTokenBucket(BURST, PER_SECOND)
    let failures = 0
    while (!stopping.aborted) {
      // Without a tag there is nothing to ask for that would be newer. Where no fetch brings one, this asks for it.
      if (seen === undefined) await nextTag(stopping)
      if (stopping.aborted) return
      const last = seen
      const started = steadyNow()
      let pause = 0
      try {
        const fetched = await ask(last, stopping)
        failures = 0
        const isNew = fetched.unchanged !== true && fetched.tag !== last
        if (isNew) {
          seen = fetched.tag
          kept = { fetched, at: steadyNow() }
          changed()
          pause = bucket.take()
        } else if (steadyNow() - started < HELD_MS) {
          debug('the API does not wait: it is asked again in %d ms', pause_ms)
          pause = pause_ms
        }
      } catch (error) {
        if (stopping.aborted) return
        failures += 1
        const ceiling_ms = Math.min(pause_ms, FIRST_WAIT_MS * 2 ** Math.min(failures, 20))
        const asked_ms = error instanceof StatusError ? (error.retry_after_ms ?? 0) : 0
        pause = Math.max(asked_ms, ceiling_ms * (0.5 + Math.random() / 2))
        debug('%s; again in %d ms', (error as Error).message, Math.round(pause))
      }
      if (pause > 0) await rest(pause, stopping)
    }
  }

  /** One request with a deadline of its own: a connection that is half open never ends by itself. */
  async function ask(last: string | undefined, stopping: AbortSignal): Promise<Fetched> {
    const controller = new AbortController()
    const abort = () => controller.abort()
    const timer = setTimeout(abort, longest_ms).unref()
    stopping.addEventListener('abort', abort, { once: true })
    if (stopping.aborted) abort()
    try {
      return await get(controller.signal, last)
    } finally {
      clearTimeout(timer)
      stopping.removeEventListener('abort', abort)
    }
  }

  function nextTag(stopping: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(), FIRST_TAG_MS).unref()
      const done = () => {
        found = undefined
        clearTimeout(timer)
        stopping.removeEventListener('abort', done)
        resolve()
      }
      found = done
      stopping.addEventListener('abort', done, { once: true })
      if (stopping.aborted) done()
    })
  }

  return Object.freeze({
    watch(changed) {
      const stopping = new AbortController()
      void loop(changed, stopping.signal)
      return () => stopping.abort()
    },
    take() {
      const isYoung = kept !== undefined && steadyNow() - kept.at < LONGEST_KEPT_MS
      const fetched = isYoung ? kept?.fetched : undefined
      kept = undefined
      return fetched
    },
    saw(fetched, last) {
      seen = fetched.unchanged === true ? last : fetched.tag
      if (seen !== undefined) found?.()
    },
  } satisfies LongPoll)
}

/** Waits, without keeping the process alive. */
function rest(pause_ms: number, stopping: AbortSignal): Promise<unknown> {
  return sleep(Math.min(pause_ms, LONGEST_TIMER_MS), undefined, { ref: false, signal: stopping }).catch(() => undefined)
}
