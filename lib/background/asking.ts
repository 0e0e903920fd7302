import type { Events } from '../events/emitter.ts'
import type { Update } from '../events/table.ts'
import { copyBytes, hashBytes, isSameBytes } from '../sources/content-hash.ts'
import type { Arrival } from '../sources/http/source.ts'
import { runInSlices } from '../time/slices.ts'
import { steadyNow } from '../time/steady-clock.ts'
import type { Steps } from '../time/steps.ts'
import type { Activator } from './activator.ts'
import { type Asked, askNow, earlier } from './cache/asked.ts'
import type { Cache } from './cache/disk.ts'
import type { Fetcher } from './fetcher.ts'
import type { Activated, Received } from './preparation.ts'
import { wholeOf } from './reading/rope.ts'
import type { HighestVersion } from './trust/highest-version.ts'

/** How far a cycle is. */
export interface Course {
  /** Whether it came to ask the source. */
  fetched: boolean
  /** SHA-1 of what the source had, before that is live. */
  answer: string | undefined
  /** Settles when the disk has what is live, or has refused it. Nothing that is live waits for that. */
  kept: Promise<void>
}

/**
 * Asks the source, makes what it has live, and has the disk keep that. Undefined: nothing has changed. Rejects with whatever
 * went wrong, closing included.
 */
export type Ask = (course: Course, duration: () => number) => Promise<Update | undefined>

/**
 * Makes what asks the source of one instance.
 *
 * @param arrivals what is known of bytes that came by the network
 * @param cache where what is live is kept, if anywhere
 */
export function createAsking({
  fetch,
  arrivals,
  activator,
  highest,
  cache,
  events,
  closing,
}: {
  fetch: Fetcher
  arrivals: { get(bytes: Uint8Array): Arrival | undefined }
  activator: Activator
  highest: HighestVersion
  cache: Cache | undefined
  events: Events
  closing: AbortSignal
}): Ask {
  async function ask(course: Course, duration: () => number): Promise<Update | undefined> {
    course.fetched = true
    events.emit('bg_cache_miss', {})
    // What comes was true when it was asked for; later it may have changed already.
    const [asked_now, started] = [askNow(), steadyNow()]
    const active = activator.activated()
    const fetched = await fetch(active?.tag, active !== null)
    closing.throwIfAborted()
    if (fetched.unchanged === true) {
      if (active !== null) found(active, active.tag, asked_now, course)
      return undefined
    }
    const { tag } = fetched
    const arrival = arrivals.get(fetched.bytes)
    // It may have been here before anybody asked, as what a long poll brought is.
    const asked = arrival === undefined ? asked_now : earlier(asked_now, started - arrival.answered_at)
    const { bytes, sha1, change } = arrival ?? (await runInSlices(own(fetched.bytes, active), closing))
    // From now on these bytes go by the tag that the source gives them today.
    if (sha1 === active?.sha1) {
      found(active, tag, asked, course)
      return undefined
    }
    course.answer = sha1
    const write = (version: number | string, urgent: boolean) =>
      keep(version, ({ write }) => write({ bytes, tag, version, sha1 }, asked, urgent))
    let isKept = false
    const update = await activator.activate(
      { bytes, sha1, tag, asked, from: 'network', change },
      duration,
      (version) => {
        isKept = true
        return write(version, true)
      },
    )
    if (update !== undefined && !isKept) course.kept = write(update.version, false)
    return update
  }

  /** A source of the app's own may use its memory again, and what is live is compared with what comes next. */
  function* own(bytes: Uint8Array, active: Activated | null): Steps<Pick<Received, 'bytes' | 'sha1' | 'change'>> {
    if (active !== null && (yield* isSameBytes(bytes, yield* wholeOf(active.bytes)))) return active
    const copy = yield* copyBytes(bytes)
    return { bytes: copy, sha1: yield* hashBytes(copy) }
  }

  /** The source has what was live when it was asked. */
  function found({ sha1, version }: Activated, tag: string | undefined, asked: Asked, course: Course): void {
    if (activator.activated()?.sha1 === sha1) activator.confirm(asked, tag)
    course.kept = keep(version, (cache) => cache.touch(sha1, tag, asked))
  }

  /** The version of a signed document comes to the disk after the document, whenever that gets there. */
  async function keep(version: number | string, put: (cache: Cache) => Promise<boolean>): Promise<void> {
    if (cache !== undefined && (await put(cache))) await highest.persist(version)
  }

  return ask
}
