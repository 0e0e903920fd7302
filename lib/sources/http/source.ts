import type { Dispatcher } from 'undici'
import { type Bytes, type Edit, wholeOf } from '../../background/reading/rope.ts'
import { DynacodeError } from '../../errors.ts'
import { runInSlices } from '../../time/slices.ts'
import { steadyNow } from '../../time/steady-clock.ts'
import { ACCEPT_ENCODING } from '../content-coding.ts'
import type { Fetched, Source } from '../contract.ts'
import { type BodyHeaders, readBody } from './body-reader.ts'
import type { HttpAnswer } from './client.ts'
import { createDeltas, DELTA, type Known, MAX_DELTA_BYTES, refuse } from './delta.ts'
import { createExchange, leave, letPass, one, readRetryAfter, withoutSecrets } from './exchange.ts'
import { createLongPoll } from './long-poll.ts'
import type { ApiHeaders, HeadersFunction } from './request-headers.ts'
import { StatusError } from './status-error.ts'

/** What the HTTP source needs of the options. */
export interface HttpSourceOptions {
  readonly plugin_api_uri: string
  readonly plugin_api_headers: ApiHeaders | HeadersFunction
  readonly plugin_api_dispatcher: Dispatcher | undefined
  readonly plugin_api_max_bytes: number
  readonly plugin_api_redirects: number
  readonly plugin_api_wait: number
  readonly plugin_api_deltas: boolean
  readonly plugin_api_timeout: number
  readonly plugin_api_polling_interval: number
}

/** What is known of the bytes that a source returns. */
export interface Arrival extends Known {
  /** When the answer began, by the steady clock: that of a long poll may be a while before it is asked for. */
  readonly answered_at: number
  /** What it is that came: the document itself, or how it differs from an earlier one. */
  readonly change: Change | undefined
}

/** How a document differs from an earlier one. */
export interface Change {
  readonly before: Bytes
  readonly edits: readonly Edit[]
}

/** Told of the bytes that a source returns. */
export type Came = (bytes: Uint8Array, arrival: Arrival) => void

/** What the source had the last time, if it is live: what comes is compared with that. */
export type Live = () => Base | null

/** A document that a delta may be for. */
interface Base extends Known {
  readonly tag: string | undefined
}

/** So long the API is not asked for deltas after one that could not be used, in milliseconds. */
const WITHOUT_DELTAS_MS = 600_000

/**
 * Fetches documents by conditional GET. Redirects are errors unless `plugin_api_redirects` allows some: the document
 * decides what code runs, and comes from where it was configured to come from. Headers of `plugin_api_headers` never go
 * to another origin.
 */
export function createHttpSource(
  options: HttpSourceOptions,
  came: Came = () => undefined,
  live: Live = () => null,
  failed: (error: unknown) => void = () => undefined,
): Source {
  const { plugin_api_uri: uri, plugin_api_max_bytes, plugin_api_wait, plugin_api_deltas } = options
  const exchange = createExchange({
    uri,
    option: 'plugin_api_headers',
    headers: options.plugin_api_headers,
    dispatcher: options.plugin_api_dispatcher,
    redirects: options.plugin_api_redirects,
  })
  const shown = withoutSecrets(uri)
  const defaults = { accept: 'application/json', 'accept-encoding': ACCEPT_ENCODING }

  const applyDelta = createDeltas()
  let deltas_from = Number.NEGATIVE_INFINITY
  /** What came last, where a long poll goes on before that is live. */
  let latest: Base | undefined

  const takesDeltas = (last: string | undefined) =>
    plugin_api_deltas && last !== undefined && steadyNow() >= deltas_from

  /** What had this tag; undefined where that is not known any more. */
  const baseOf = (last: string) => [live(), latest].find((each) => each?.tag === last) ?? undefined

  /** Rejects, with what is said of it, where the answer does not fit what it is for. */
  async function readDelta(
    response: HttpAnswer,
    base: Base,
    last: string,
    signal: AbortSignal,
  ): Promise<{ body: Uint8Array; document: Known & Pick<Arrival, 'change'> }> {
    const { body, headers } = response
    if (one(headers.im)?.trim() !== DELTA || (one(headers['delta-base']) ?? last) !== last) {
      leave(response)
      throw refuse(`expected IM: ${DELTA}, and Delta-Base as asked for`)
    }
    const { bytes: delta } = await readBody(body, only(headers), MAX_DELTA_BYTES, signal).catch((error) => {
      const isLong = error instanceof DynacodeError && error.code === 'ERR_DYNACODE_FETCH_TOO_LARGE'
      throw isLong ? refuse(`it has more than ${MAX_DELTA_BYTES} bytes`) : error
    })
    const { bytes, sha1, edits } = await runInSlices(applyDelta(base, delta, plugin_api_max_bytes), signal)
    // Once the pieces were put together nothing is to hold those before.
    const change = bytes.parts.length === 1 ? undefined : { before: base.bytes, edits }
    return { body: delta, document: { bytes, sha1, change } }
  }

  /** @param wait how long the API may wait for something newer than `last`, in seconds */
  async function get(signal: AbortSignal, last: string | undefined, wait?: number): Promise<Fetched> {
    const isDelta = takesDeltas(last)
    if (live()?.tag === latest?.tag) latest = undefined
    const conditions = {
      ...(isDelta ? { 'a-im': DELTA } : {}),
      ...(last === undefined ? {} : { 'if-none-match': last }),
      // RFC 7240, 4.3
      ...(wait === undefined ? {} : { prefer: `wait=${wait}` }),
    }
    const response = await exchange.ask({ method: 'GET', defaults, conditions }, signal)
    const answered_at = steadyNow()
    const { statusCode: status, body, headers } = response
    if (status === 304 && last !== undefined) {
      await letPass(response, signal)
      return { unchanged: true, status }
    }
    function take(body: Uint8Array, document: Known & Partial<Pick<Arrival, 'change'>>): Fetched {
      const { bytes, sha1, change } = document
      const tag = readTag(one(headers.etag))
      came(body, { bytes, sha1, change, answered_at })
      if (plugin_api_deltas && plugin_api_wait > 0) latest = { bytes, sha1, tag }
      return { bytes: body, tag, status }
    }

    if (status === 226 && isDelta && last !== undefined) {
      const base = baseOf(last)
      // Another process of this machine was quicker, or it was refused.
      if (base === undefined) {
        leave(response)
        return get(signal, undefined)
      }
      try {
        const { body: delta, document } = await readDelta(response, base, last, signal)
        return take(delta, document)
      } catch (error) {
        if (signal.aborted) throw error
        deltas_from = steadyNow() + WITHOUT_DELTAS_MS
        failed(error)
        return get(signal, undefined)
      }
    }
    if (status !== 200) {
      leave(response)
      throw new StatusError(status, shown, readRetryAfter(response))
    }
    if (/^\s*text\/html\b/i.test(one(headers['content-type']) ?? '')) {
      leave(response)
      const message = `${shown} answered with a page of HTML, expected JSON: is there a portal or proxy in between?`
      throw new DynacodeError('ERR_DYNACODE_FETCH_CONTENT', message)
    }
    const known = live()
    const there =
      known === null ? undefined : { bytes: await runInSlices(wholeOf(known.bytes), signal), sha1: known.sha1 }
    const collected = await readBody(body, only(headers), plugin_api_max_bytes, signal, there)
    return take(collected.bytes, collected)
  }

  const { close } = exchange
  if (plugin_api_wait === 0) return Object.freeze<Source>({ fetch: get, close })
  const long_poll = createLongPoll({
    get: (signal, last) => get(signal, last, plugin_api_wait),
    longest_ms: (plugin_api_wait + options.plugin_api_timeout) * 1000,
    pause_ms: options.plugin_api_polling_interval * 1000,
  })
  return Object.freeze({
    async fetch(signal, last) {
      // One at a time: what came before that went live, or was refused.
      const taken = long_poll.take(last)
      if (taken === undefined) latest = undefined
      const fetched = taken ?? (await get(signal, last))
      long_poll.saw(fetched, last)
      return fetched
    },
    watch: long_poll.watch,
    close,
  } satisfies Source)
}

/** The headers that say how a body is to be read, each of them once. */
function only(headers: HttpAnswer['headers']): BodyHeaders {
  return {
    'content-encoding': one(headers['content-encoding']),
    'content-length': one(headers['content-length']),
  }
}

/** An ETag, if it can be sent back: one that cannot would make every later request fail. */
function readTag(etag: string | undefined): string | undefined {
  return etag !== undefined && /^[\x20-\x7e]+$/.test(etag) ? etag : undefined
}
