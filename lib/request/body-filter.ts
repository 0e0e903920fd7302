import type { Readable } from 'node:stream'
import { DynacodeError } from '../errors.ts'
import type { Events } from '../events/emitter.ts'
import type { LivePlugin } from '../program.ts'
import { createDecoders } from '../sources/content-coding.ts'
import { applyEnding } from './ending.ts'
import { createStreamFilter } from './filtered-stream.ts'
import { hideConditions } from './hidden-conditions.ts'
import { filterPastKoa as watchPastKoa } from './past-koa.ts'
import { forgetBytes, isEncoded, isExplicitlyEmpty, replaceBody, wholeBody } from './response/body.ts'
import { type Chunk, decodeWhole, isStreamed, toReadable } from './response/stream.ts'
import type { RequestState } from './run/state.ts'
import type { Runner } from './runner.ts'

/** Takes bodies through the plugins of the phase `body_filter`. */
export interface BodyFilter {
  /**
   * Decides who will filter, and asks the app for the whole body: neither a part of it could be filtered, nor one that the client
   * has from before. What the app writes past Koa is filtered as it is written.
   *
   * @returns to be called when the app has returned; undefined where it need not be
   */
  prepare(state: RequestState): (() => void) | undefined
  /** Filters the response's body, or hangs the filter into its stream. */
  filterBody(state: RequestState): Promise<void>
  /** Takes a whole body through the plugins; undefined when it stays unchanged. */
  filterWhole(state: RequestState, body: Chunk): Promise<Chunk | undefined>
}

/** Statuses whose responses have no body. */
const EMPTY_STATUS: ReadonlySet<number> = new Set([204, 205, 304])

/** Makes the body filter of one instance. */
export function createBodyFilter({ runner, events }: { runner: Runner; events: Events }): BodyFilter {
  function filtersOf(state: RequestState): readonly LivePlugin[] {
    const { body_filter, by_path } = state.chain
    state.filters ??= (by_path.body_filter?.(state.ctx) ?? body_filter).filter((plugin) =>
      runner.applies(state, plugin),
    )
    return state.filters
  }

  /** Whether any of them may change the body, rather than show what it would do. */
  function hasLive(state: RequestState): boolean {
    return filtersOf(state).some(({ spec }) => !spec.shadow)
  }

  async function filterWhole(state: RequestState, body: Chunk): Promise<Chunk | undefined> {
    const result = await filterChunk(state, body, true)
    return result === body ? undefined : result
  }

  /** Takes one chunk through the plugins; a promise only when one of them is asynchronous. */
  function filterChunk(state: RequestState, chunk: Chunk, last: boolean, from = 0): Chunk | Promise<Chunk> {
    const plugins = filtersOf(state)
    state.run_ended = -1
    let current = chunk
    for (let index = from; index < plugins.length; index += 1) {
      // What one plugin dropped the next ones never see, unless it is the end that they wait for.
      if (current.length === 0 && !last) return current
      const plugin = plugins[index]
      if (plugin === undefined) break
      const result = runner.runPlugin(state, plugin, current, last)
      if (result instanceof Promise) {
        const before = current
        return result.then((value) => {
          const after = (value as Chunk | undefined) ?? before
          return state.ending === null ? filterChunk(state, after, last, index + 1) : after
        })
      }
      current = (result as Chunk | undefined) ?? current
      if (state.ending !== null) return current
    }
    return current
  }

  /** Has every plugin of the phase fail: the body is none that they can be given. */
  function tellRefused(state: RequestState, message: string, cause?: unknown): void {
    const error = new DynacodeError('ERR_DYNACODE_BODY', message, cause === undefined ? {} : { cause })
    for (const plugin of filtersOf(state)) runner.failPlugin(state, plugin, error)
  }

  function refuse(state: RequestState, message: string, cause?: unknown): undefined {
    tellRefused(state, message, cause)
    applyEnding(state, events, true)
  }

  const filterStream = createStreamFilter(events, filterChunk, tellRefused)

  /** What decodes the body; undefined where it cannot be filtered, which the plugins have then failed with. */
  function findDecoders(state: RequestState, streamed: boolean): NodeJS.ReadWriteStream[] | undefined {
    const { ctx } = state
    if (ctx.status === 206) return refuse(state, 'a part of a body (206) cannot be filtered')
    const encoding = String(ctx.res.getHeader('Content-Encoding') ?? '')
    const decoders = createDecoders(encoding)
    if (decoders === undefined) {
      return refuse(state, `a body encoded as ${JSON.stringify(encoding)} cannot be filtered`)
    }
    if (ctx.headerSent && (!streamed || decoders.length > 0 || ctx.res.hasHeader('Content-Length'))) {
      return refuse(state, 'a body cannot be filtered whose length or encoding was sent already')
    }
    return decoders
  }

  function replaceStream(state: RequestState, decoders: NodeJS.ReadWriteStream[]): void {
    const { ctx } = state
    const typed = ctx.res.hasHeader('Content-Type')
    const length = ctx.res.getHeader('Content-Length')
    const source = toReadable(ctx.body)
    const live = hasLive(state)
    // Without a body to send, the source is only there to be freed by Koa.
    const body = ctx.method === 'HEAD' ? source : filterStream(state, source, decoders)
    if (live) forgetBytes(ctx)
    ctx.body = body
    if (!typed) ctx.remove('Content-Type')
    // Koa forgets it with the stream that it belonged to.
    if (!live && length !== undefined) ctx.set('Content-Length', String(length))
  }

  /** What filters what the app writes past Koa; undefined where that goes out as it is, or is refused. */
  function filterPastKoa(state: RequestState, input: Readable): Readable | undefined {
    const { ctx } = state
    if (ctx.method === 'HEAD' || EMPTY_STATUS.has(ctx.status)) return undefined
    // Whatever comes of it, Koa does not send it.
    const { respond } = ctx
    ctx.respond = false
    const decoders = findDecoders(state, true)
    if (decoders === undefined) return undefined
    ctx.respond = respond
    state.is_past_koa = true
    const output = filterStream(state, input, decoders)
    if (!ctx.headerSent) forgetBytes(ctx)
    return output
  }

  /** Filters a body that is encoded, and there as a whole. It stays encoded when the plugins leave it unchanged. */
  async function filterEncoded(state: RequestState, body: Chunk, decoders: NodeJS.ReadWriteStream[]): Promise<void> {
    const { ctx } = state
    let decoded: Buffer
    try {
      decoded = body.length === 0 ? Buffer.alloc(0) : await decodeWhole(Buffer.from(body as string), decoders)
    } catch (cause) {
      return refuse(state, `a body encoded as ${ctx.response.get('Content-Encoding')} could not be decoded`, cause)
    }
    const changed = await filterWhole(state, decoded)
    if (state.ending !== null) return applyEnding(state, events, true)
    if (changed === undefined) return
    ctx.remove('Content-Encoding')
    replaceBody(ctx, changed)
  }

  return Object.freeze({
    prepare(state) {
      const { ctx } = state
      if (!hasLive(state)) return undefined
      const showConditions = hideConditions(ctx)
      const pastKoa = watchPastKoa(ctx, (input) => filterPastKoa(state, input))
      return () => {
        showConditions()
        pastKoa.returned()
      }
    },

    async filterBody(state) {
      const { ctx } = state
      if (filtersOf(state).length === 0) return
      if (ctx.respond === false || state.is_past_koa || !ctx.writable || EMPTY_STATUS.has(ctx.status)) return
      if (ctx.body == null && isExplicitlyEmpty(ctx)) return
      const streamed = isStreamed(ctx.body)
      // A shadow run only looks on: where that would take more than the body as it is, it does not.
      if (!hasLive(state) && (ctx.body == null || streamed) && (ctx.method === 'HEAD' || isEncoded(ctx))) return
      if (ctx.body == null && ctx.method === 'HEAD') return forgetBytes(ctx)
      const decoders = findDecoders(state, streamed)
      if (decoders === undefined) return
      if (streamed) return replaceStream(state, decoders)
      const whole = wholeBody(ctx)
      if (decoders.length > 0) return filterEncoded(state, whole, decoders)
      const changed = await filterWhole(state, whole)
      if (state.ending !== null) return applyEnding(state, events, true)
      if (changed !== undefined) replaceBody(ctx, changed)
    },

    filterWhole,
  } satisfies BodyFilter)
}
