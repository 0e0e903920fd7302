import { createHash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { TextDecoder } from 'node:util'
import createDebug from 'debug'
import { DocumentError, DynacodeError } from '../errors.ts'
import type { Events, NoUpdate, Update } from '../events.ts'
import type { Program } from '../program.ts'
import { describeValue } from '../schema-error.ts'
import type { Fetched, Source } from '../source.ts'
import type { Build, Builder } from './builder.ts'
import { StatusError } from './http-source.ts'
import { type PluginDefaults, readDocument } from './validator.ts'

const debug = createDebug('dynacode:refresher')

/** What came of a refresh. */
export type Refresh = ({ readonly updated: true } & Update) | ({ readonly updated: false } & NoUpdate)

/** The document that is live, as far as the next fetch and the status need to know. */
export interface Activated {
  readonly version: number | string
  /** SHA-1 of the bytes, in hex. */
  readonly sha1: string
  readonly tag: string | undefined
  /** When it went live, in milliseconds since 1970. */
  readonly at: number
  readonly build: Build
}

/** Fetches, checks, compiles and swaps, one at a time. */
export interface Refresher {
  /** Runs one cycle, or joins the one under way. Never rejects. */
  refresh(): Promise<Refresh>
  activated(): Activated | null
  /** The last failed attempt's error; null after one that went well, `unchanged` included. */
  last_error(): Error | null
  close(): void
}

/**
 * Makes the refresher of one instance.
 *
 * @param swap makes a program the live one; the only way in which anything changes
 */
export function createRefresher({
  source,
  timeout_ms,
  defaults,
  build,
  events,
  swap,
}: {
  source: Source
  timeout_ms: number
  defaults: PluginDefaults
  build: Builder
  events: Events
  swap: (program: Program) => void
}): Refresher {
  let activated: Activated | null = null
  let last_error: Error | null = null
  let running: Promise<Refresh> | null = null
  const closing = new AbortController()

  async function cycle(): Promise<Refresh> {
    const started = performance.now()
    try {
      const fetched = await fetchOnce()
      if (closing.signal.aborted) return closedRefresh()
      last_error = null
      if (fetched.unchanged === true) return unchanged()
      const sha1 = createHash('sha1').update(fetched.bytes).digest('hex')
      if (sha1 === activated?.sha1) {
        // The bytes are live already; from now on they go by the tag that the API gives them today.
        activated = Object.freeze({ ...activated, tag: fetched.tag })
        return unchanged()
      }
      return activate(fetched.bytes, fetched.tag, sha1, started)
    } catch (error) {
      if (closing.signal.aborted) return closedRefresh()
      last_error = error as Error
      return noUpdate(isFetchError(error) ? 'fetch' : 'invalid', last_error)
    }
  }

  async function fetchOnce(): Promise<Fetched> {
    events.emit('bg_cache_miss', {})
    const started = performance.now()
    const deadline = createDeadline(timeout_ms)
    const signal = AbortSignal.any([deadline.signal, closing.signal])
    try {
      const fetched = checkFetched(await abortable(source.fetch(signal, activated?.tag), signal), activated)
      const bytes = fetched.unchanged === true ? 0 : fetched.bytes.length
      const status = fetched.status ?? (fetched.unchanged === true ? 304 : 200)
      events.emit('bg_fetch_api_success', { status, bytes, duration_ms: performance.now() - started })
      return fetched
    } catch (cause) {
      const error = deadline.signal.aborted ? timeoutError(timeout_ms, cause) : fetchError(cause)
      const duration_ms = performance.now() - started
      if (closing.signal.aborted) throw error
      if (error instanceof StatusError) {
        events.emit('bg_fetch_api_status_code_error', { status: error.status, error, duration_ms })
      } else {
        events.emit('bg_fetch_api_generic_error', { error, duration_ms })
      }
      throw error
    } finally {
      deadline.clear()
    }
  }

  function activate(bytes: Uint8Array, tag: string | undefined, sha1: string, started: number): Refresh {
    const document = readDocument(decodeText(bytes), defaults)
    const version = document.version ?? sha1.slice(0, 12)
    const built = build(document, version, activated?.build.program ?? null)
    activated = Object.freeze({ version, sha1, tag, at: Date.now(), build: built })
    swap(built.program)
    debug('version %s is live: %d plugins, %d compiled', version, built.program.plugins.length, built.compiled.length)
    return report(built, version, performance.now() - started)
  }

  function report(
    { program, compiled, failures, faults, reused, removed }: Build,
    version: number | string,
    ms: number,
  ): Refresh {
    for (const error of faults) events.emit('on_error', { section: 'document', error })
    for (const { info, duration_ms } of compiled) events.emit('bg_compile_success', { plugin: info, duration_ms })
    for (const { info, error, kept_last_good } of failures) {
      events.emit('bg_compile_error', { plugin: info, error, kept_last_good })
    }
    const update: Update = {
      version,
      plugins: program.plugins.length,
      compiled: compiled.length,
      reused,
      removed,
      failed: failures.length + faults.length,
      duration_ms: ms,
    }
    events.emit('bg_updated_plugins', update)
    return Object.freeze({ updated: true, ...update })
  }

  function noUpdate(reason: NoUpdate['reason'], error: Error | undefined): Refresh {
    if (error !== undefined) debug('not updated (%s): %s', reason, error.message)
    events.emit('bg_didnt_update_plugins', { reason, error })
    return Object.freeze({ updated: false, reason, error })
  }

  const unchanged = () => noUpdate('unchanged', undefined)

  return Object.freeze({
    refresh() {
      if (closing.signal.aborted) return Promise.resolve(closedRefresh())
      running ??= cycle().finally(() => {
        running = null
      })
      return running
    },
    activated: () => activated,
    last_error: () => last_error,
    close: () => closing.abort(),
  } satisfies Refresher)
}

function closedRefresh(): Refresh {
  return Object.freeze({
    updated: false,
    reason: 'closed',
    error: new DynacodeError('ERR_DYNACODE_CLOSED', 'dynacode is closed'),
  })
}

/** A deadline that does not keep the process alive, and can be called off. */
function createDeadline(timeout_ms: number): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), timeout_ms)
  timer.unref()
  return { signal: controller.signal, clear: () => clearTimeout(timer) }
}

/** Sources are the app's own, too: what they return is looked at before it is used. */
function checkFetched(fetched: Fetched, activated: Activated | null): Fetched {
  const { unchanged, bytes } = (fetched ?? {}) as { unchanged?: unknown; bytes?: unknown }
  if (unchanged === true && activated === null) {
    throw new DynacodeError('ERR_DYNACODE_FETCH', 'the source said `unchanged`, but no document is live yet')
  }
  if (unchanged === true || bytes instanceof Uint8Array) return fetched
  const came = describeValue(fetched === undefined || fetched === null ? fetched : bytes)
  throw new DynacodeError('ERR_DYNACODE_FETCH', `the source returned no bytes: expected a Uint8Array, got ${came}`)
}

/** Settles with the promise or when the signal aborts: a source that ignores its signal must not hold up the poller. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function timeoutError(timeout_ms: number, cause: unknown): DynacodeError {
  return new DynacodeError(
    'ERR_DYNACODE_FETCH_TIMEOUT',
    `no whole answer within ${timeout_ms / 1000} s (plugin_api_timeout)`,
    { cause },
  )
}

function isFetchError(error: unknown): boolean {
  return error instanceof DynacodeError && error.code.startsWith('ERR_DYNACODE_FETCH')
}

function fetchError(cause: unknown): DynacodeError {
  if (cause instanceof DynacodeError) return cause
  const error = cause as NodeJS.ErrnoException
  const what = error?.message || error?.code || String(cause)
  return new DynacodeError('ERR_DYNACODE_FETCH', `the plugin API cannot be reached: ${what}`, { cause })
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new DocumentError('', 'the document is not UTF-8', { cause })
  }
}
