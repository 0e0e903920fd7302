import { PassThrough, pipeline, Writable } from 'node:stream'
import type { Context } from 'koa'
import { cutResponse } from './response/cut.ts'
import { type Interception, interceptWrites, type WriteMethod } from './response/writes.ts'

/** Filters what the app writes to `ctx.res` by itself. */
export interface PastKoa {
  /** The app has returned: from now on Koa writes, unless the app has begun, or said that it will do so itself. */
  returned(): void
}

/**
 * Has what the app writes past Koa go through a filter, as a stream does.
 *
 * @param begin called when the app writes to the body for the first time: returns what filters it, or undefined where it is sent
 *   as it is; it may have answered by then
 */
export function filterPastKoa(ctx: Context, begin: (input: PassThrough) => NodeJS.ReadableStream | undefined): PastKoa {
  const { res } = ctx
  let input: PassThrough | undefined
  const interception = interceptWrites(res, (method, given) => {
    if (input !== undefined) return feed(input, method, given)
    if (method === 'flushHeaders') return interception.write(method, given)
    if (method === 'writeHead') return takeHead(given)
    return start(method, given)
  })

  /** The head has to wait for what becomes of the body. */
  function takeHead(given: readonly unknown[]): unknown {
    const [status, second, third] = given
    if (res.headersSent) return interception.write('writeHead', given)
    res.statusCode = status as number
    if (typeof second === 'string' && ctx.req.httpVersionMajor < 2) res.statusMessage = second
    for (const [name, value] of pairs(typeof second === 'string' ? third : (second ?? third)))
      res.setHeader(name, value)
    return res
  }

  function start(method: WriteMethod, given: readonly unknown[]): unknown {
    const isEmpty = method === 'end' && (given[0] == null || typeof given[0] === 'function')
    const source = new PassThrough()
    interception.stop()
    const filtered = isEmpty ? undefined : begin(source)
    if (filtered === undefined) return res.destroyed || res.writableEnded ? res : interception.write(method, given)
    interception.resume()
    input = source
    // As without the filter: with the first that is written, the head is out. Where Node refuses it, the app is who hears of that.
    try {
      if (!res.headersSent) interception.write('flushHeaders', [])
    } catch (error) {
      input = undefined
      interception.stop()
      throw error
    }
    source.on('drain', () => res.emit('drain'))
    const sink = createSink(ctx, interception)
    pipeline(filtered, sink, (error) => error && cutResponse(res, error))
    res.once('close', () => sink.destroy())
    return feed(source, method, given)
  }

  function feed(source: PassThrough, method: WriteMethod, given: readonly unknown[]): unknown {
    if (method === 'writeHead') return interception.write(method, given)
    if (method === 'write') return (source.write as (...args: readonly unknown[]) => boolean)(...given)
    if (method === 'end') {
      // Koa has nothing more to send.
      ctx.respond = false
      const then = given.find((each) => typeof each === 'function') as (() => void) | undefined
      if (then !== undefined) res.once('finish', then)
      const [chunk, encoding] = given
      if (chunk == null || chunk === then) source.end()
      else source.end(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
    }
    return res
  }

  return {
    returned() {
      if (input === undefined && ctx.respond !== false) interception.stop()
    },
  }
}

function createSink({ res }: Context, { write }: Interception): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      if (write('write', [chunk]) === false && !res.destroyed) res.once('drain', done)
      else done()
    },
    final(done) {
      write('end', [])
      done()
    },
  })
}

/** What `writeHead` takes as headers: an object, or a list that is flat or of pairs. */
function pairs(headers: unknown): [string, string | string[]][] {
  if (typeof headers !== 'object' || headers === null) return []
  if (!Array.isArray(headers)) return Object.entries(headers)
  const flat = headers.flat()
  return Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index], flat[2 * index + 1]])
}
