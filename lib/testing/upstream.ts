import { Readable } from 'node:stream'
import type { Middleware } from 'koa'

/** The app behind the plugins: middleware, an array of middleware, an error to throw, or a body. `null`: no app. */
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
 * Creates middleware that answers with a stream, one chunk after another. An error among the chunks breaks the stream.
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
