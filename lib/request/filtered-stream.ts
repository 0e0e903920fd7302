import { finished, type Readable } from 'node:stream'
import { promisify } from 'node:util'
import type { Context } from 'koa'
import { DynacodeError } from '../errors.ts'
import type { Events } from '../events/emitter.ts'
import { applyEnding, sendPastKoa } from './ending.ts'
import { cutResponse } from './response/cut.ts'
import { createDecodingStream } from './response/decoding.ts'
import { type Chunk, createFilterStream } from './response/stream.ts'
import type { RequestState } from './run/state.ts'

/** Hangs the body filters behind a stream. */
export type FilterStream = (
  state: RequestState,
  source: Readable,
  decoders: readonly NodeJS.ReadWriteStream[],
) => Readable

/**
 * Makes what does that in one instance.
 *
 * @param filterChunk takes one chunk through the plugins
 * @param tellRefused has every plugin fail, since the body is none that they can be given
 */
export function createStreamFilter(
  events: Events,
  filterChunk: (state: RequestState, chunk: Chunk, last: boolean) => Chunk | Promise<Chunk>,
  tellRefused: (state: RequestState, message: string, cause: unknown) => void,
): FilterStream {
  /** Nothing was sent so far: what the plugin wants is sent in place of the body, whoever is about to send that. */
  async function answerInstead(state: RequestState): Promise<void> {
    const { ctx } = state
    // Koa would destroy it, and with it the response that it is piped to.
    ;(ctx.response as { _body?: unknown })._body = undefined
    applyEnding(state, events, true)
    if (ctx.writable && !ctx.headerSent) sendPastKoa(ctx)
    await promisify(finished)(ctx.res).catch(() => undefined)
  }

  return (state, source, decoders) => {
    const { ctx } = state
    const encoding = ctx.response.get('Content-Encoding')
    const { is_past_koa } = state
    let isRaw = false
    const givenUp = (cause: unknown) => {
      isRaw = true
      tellRefused(state, `a body encoded as ${encoding} could not be decoded`, cause)
      if (state.ending !== null) return
      // Whoever encodes it anew in front of dynacode has said so already.
      if (ctx.headerSent || (ctx.body !== output && !is_past_koa)) throw cause
      ctx.set('Content-Encoding', encoding)
    }
    const decoding = decoders.length === 0 ? [] : [createDecodingStream(decoders, givenUp)]
    const output = createFilterStream(source, decoding, async (chunk, last) => {
      const result = isRaw ? chunk : await filterChunk(state, chunk, last)
      if (state.ending === null) return result
      const error = new DynacodeError('ERR_DYNACODE_BODY', 'a plugin ended the response while its body was being sent')
      if (!ctx.headerSent) await answerInstead(state)
      throw error
    })
    return output.once('error', (error) => breakOff(ctx, output, error))
  }
}

/** Koa 2 would leave the client waiting for the rest, and so would whoever has put the stream into another one. */
function breakOff(ctx: Context, output: Readable, error: Error): void {
  const { res } = ctx
  if (ctx.headerSent) {
    if (!res.writableFinished) cutResponse(res, error)
    return
  }
  setImmediate(() => {
    if (ctx.headerSent) breakOff(ctx, output, error)
    else if (ctx.body !== output && ctx.writable) ctx.onerror(error)
  })
}
