import { Readable } from 'node:stream'
import type { Middleware } from 'koa'

/** What answers behind the plugins: middleware, one or many; an error, which is thrown; or a body. `null`: nothing does. */
export type Upstream = Middleware | readonly Middleware[] | Error | string | Uint8Array | object | null

/** Makes the middleware that stands for the app. */
export function createUpstream(app: Upstream | undefined): readonly Middleware[] {
  if (typeof app === 'function') return [app as Middleware]
  if (Array.isArray(app) && app.length > 0 && app.every((each) => typeof each === 'function')) return app
  if (app === null) return []
  if (app instanceof Error) {
    return [
      () => {
        throw app
      },
    ]
  }
  if (app instanceof Readable || app instanceof ReadableStream) {
    throw new TypeError('option app: expected what can answer many requests, got a stream; use stream_body(chunks)')
  }
  return [
    (ctx) => {
      ctx.body = app ?? 'app'
    },
  ]
}

/**
 * Makes middleware that answers with a stream, one chunk after the other. An error among the chunks is where the stream
 * breaks.
 *
 * @param type its Content-Type
 * @example
 * const app = await plugin_app(plugin, { app: stream_body(['<p>hel', 'lo</p>']) })
 */
export function stream_body(chunks: readonly (string | Uint8Array | Error)[], type = 'html'): Middleware {
  function* read(): Generator<string | Uint8Array> {
    for (const chunk of chunks) {
      if (chunk instanceof Error) throw chunk
      yield chunk
    }
  }
  return (ctx) => {
    ctx.type = type
    ctx.body = Readable.from(read())
  }
}
