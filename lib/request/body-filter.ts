import type { Context } from 'koa'
import { createDecoders } from '../content-coding.ts'
import { DynacodeError } from '../errors.ts'
import type { Events } from '../events.ts'
import { type Chunk, createFilterStream, toReadable } from './body-stream.ts'
import { applyEnding } from './ending.ts'
import type { Runner } from './runner.ts'
import type { RequestState } from './state.ts'

/** Takes bodies through the plugins of the phase `body_filter`. */
export interface BodyFilter {
  /** Asks the app for the whole body: a part of it could not be filtered. */
  prepare(ctx: Context): void
  /** Filters the response's body, or hangs the filter into its stream. */
  filterBody(state: RequestState): Promise<void>
  /** Takes a whole body through the plugins; undefined when it stays unchanged. */
  filterWhole(state: RequestState, body: Chunk): Promise<Chunk | undefined>
}

/** Statuses whose responses have no body. */
const EMPTY_STATUS: ReadonlySet<number> = new Set([204, 205, 304])
/** Headers that speak of the exact bytes of the body before it was filtered. */
const ABOUT_THE_BYTES = ['ETag', 'Accept-Ranges', 'Content-MD5', 'Digest', 'Content-Digest', 'Repr-Digest']

/** Makes the body filter of one instance. */
export function createBodyFilter({ runner, events }: { runner: Runner; events: Events }): BodyFilter {
  async function filterWhole(state: RequestState, body: Chunk): Promise<Chunk | undefined> {
    const result = await filterChunk(state, body, true)
    return result === body ? undefined : result
  }

  /** Takes one chunk through the plugins; a promise only when one of them is asynchronous. */
  function filterChunk(state: RequestState, chunk: Chunk, last: boolean, from = 0): Chunk | Promise<Chunk> {
    const plugins = state.chain.body_filter
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
          const after = replace(before, value)
          return state.ending === null ? filterChunk(state, after, last, index + 1) : after
        })
      }
      current = replace(current, result)
      if (state.ending !== null) return current
    }
    return current
  }

  function refuse(state: RequestState, message: string): void {
    const error = new DynacodeError('ERR_DYNACODE_BODY', message)
    for (const plugin of state.chain.body_filter) runner.failPlugin(state, plugin, error)
    applyEnding(state, events, true)
  }

  function filterStream(state: RequestState, decoders: NodeJS.ReadWriteStream[]): void {
    const { ctx } = state
    forgetBytes(ctx)
    ctx.remove('Content-Length')
    ctx.remove('Content-Encoding')
    if (ctx.method === 'HEAD') return
    const typed = ctx.res.hasHeader('Content-Type')
    ctx.body = createFilterStream(toReadable(ctx.body), decoders, async (chunk, last) => {
      const result = await filterChunk(state, chunk, last)
      if (state.ending === null) return result
      throw new DynacodeError('ERR_DYNACODE_BODY', 'a plugin ended the response while its body was being sent')
    })
    if (!typed) ctx.remove('Content-Type')
  }

  return Object.freeze({
    prepare(ctx) {
      delete ctx.req.headers.range
      delete ctx.req.headers['if-range']
    },

    async filterBody(state) {
      const { ctx } = state
      if (ctx.respond === false || !ctx.writable || ctx.headerSent || EMPTY_STATUS.has(ctx.status)) return
      if (ctx.body == null && (ctx.method === 'HEAD' || isExplicitlyEmpty(ctx))) return
      if (ctx.status === 206) return refuse(state, 'a part of a body (206) cannot be filtered')
      const encoding = String(ctx.res.getHeader('Content-Encoding') ?? '')
      const decoders = createDecoders(encoding)
      if (decoders === undefined)
        return refuse(state, `a body encoded as ${JSON.stringify(encoding)} cannot be filtered`)
      const whole = decoders.length === 0 ? wholeBody(ctx) : undefined
      if (whole === undefined) return filterStream(state, decoders)
      const filtered = await filterWhole(state, whole)
      if (state.ending !== null) return applyEnding(state, events, true)
      if (filtered !== undefined) replaceBody(ctx, filtered)
    },

    filterWhole,
  } satisfies BodyFilter)
}

/** The body as it would be sent, when that is known already; undefined for streams. */
function wholeBody({ body, message, status }: Context): Chunk | undefined {
  if (body == null) return message || String(status)
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  return toReadable(body) === undefined ? JSON.stringify(body) : undefined
}

/** Koa sends its own text for a response without a body, unless the app set the body to null itself. */
function isExplicitlyEmpty(ctx: Context): boolean {
  return (ctx.response as { _explicitNullBody?: boolean })._explicitNullBody === true
}

function replaceBody(ctx: Context, body: Chunk): void {
  const { status, message } = ctx
  const hadBody = ctx.body != null
  const typed = ctx.res.hasHeader('Content-Type')
  ctx.body = body
  if (hadBody && !typed) ctx.remove('Content-Type')
  if (ctx.status !== status) {
    ctx.status = status
    ctx.message = message
  }
  if (!hadBody) ctx.type = 'text'
  forgetBytes(ctx)
}

function forgetBytes(ctx: Context): void {
  for (const name of ABOUT_THE_BYTES) ctx.remove(name)
}

/** What a plugin returned, in place of the chunk it was given. */
function replace(chunk: Chunk, returned: unknown): Chunk {
  if (returned === undefined) return chunk
  if (returned === null) return ''
  if (typeof returned === 'string' || returned instanceof Uint8Array) return returned
  if (typeof returned === 'object') return JSON.stringify(returned) ?? ''
  return String(returned)
}
