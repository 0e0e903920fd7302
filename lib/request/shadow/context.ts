import { EventEmitter } from 'node:events'
import { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Context } from 'koa'
import { isNodeStream, isStreamed } from '../response/stream.ts'
import { attempt } from './attempt.ts'
import { copyData } from './data.ts'

const SENT = ['headersSent', 'writableEnded', 'writableFinished'] as const

/** Copies a context: the heads and bodies of its request and response, and `ctx.state`. */
export function copyContext(ctx: Context): Context {
  const { app, req, res } = ctx
  const request = Object.create(req, {
    headers: { value: { ...req.headers }, writable: true, enumerable: true, configurable: true },
    // Koa keeps the parsed URL here, and changes it in place.
    _parsedUrl: { value: undefined, writable: true, configurable: true },
    ...emptyStream(),
  })
  const response = new ServerResponse(req)
  for (const [name, value] of Object.entries(res.getHeaders())) {
    // A list is copied: whoever adds a cookie adds to the very list that is there.
    if (value !== undefined && !name.startsWith(':'))
      response.setHeader(name, Array.isArray(value) ? [...value] : value)
  }
  response.statusCode = res.statusCode
  // What is over is over for the view as well: Koa ignores what is said about headers that were sent.
  for (const name of SENT) if (res[name]) Object.defineProperty(response, name, { value: true })
  const view = app.createContext(request, response) as Context
  // Koa takes it from the address that the request has now.
  for (const part of [view, view.request]) part.originalUrl = ctx.originalUrl
  for (const part of ['request', 'response'] as const) copyOwn(ctx[part], view[part])
  copyOwn(ctx, view)
  copyParsedBody(ctx.request, view.request)
  view.state = Object.fromEntries(
    Object.entries(ctx.state).map(([key, value]) => [key, attempt(() => copyData(value)) ?? value]),
  )
  ;(view.response as { _body?: unknown })._body = copyBody(ctx.body, isStreamed)
  return view
}

/** What a body parser has left, if there is one. A body that is asked for when it is needed is not asked for here. */
export function parsedBody(request: object): unknown {
  return Object.getOwnPropertyDescriptor(request, 'body')?.value
}

/** Some body parsers hang it on Node's request, too. */
function copyParsedBody(from: Context['request'], to: Context['request']): void {
  const body = parsedBody(from)
  const value = copyBody(body, isNodeStream)
  if (value === body) return
  const copied = { value, writable: true, enumerable: true, configurable: true }
  Object.defineProperty(to, 'body', copied)
  if (parsedBody(from.req) === body) Object.defineProperty(to.req, 'body', copied)
}

/** Koa destroys a stream that another body takes the place of; what is no stream may be changed in place. */
function copyBody(body: unknown, isStream: (body: unknown) => boolean): unknown {
  if (isStream(body)) return Readable.from([])
  // What cannot be looked at is the app's, and so is what comes of that.
  return attempt(() => copyData(body)) ?? body
}

/** What Koa remembers of its own on a context or request, and works on: the view's has to be made for the view. */
function isRemembered(key: string | symbol): boolean {
  return (
    key === '_querycache' || key === 'memoizedURL' || (typeof key === 'symbol' && key.description === 'context#cookies')
  )
}

/** What a stream can be asked, answered by one that is empty. */
function emptyStream(): PropertyDescriptorMap {
  const empty = Readable.from([])
  const answers = [...STREAM_METHODS].map((name) => {
    const method = Reflect.get(empty, name) as (...given: unknown[]) => unknown
    return [name, { value: method.bind(empty), writable: true, configurable: true }] as const
  })
  return Object.fromEntries(answers)
}

/** Takes over what is not there yet: what the app and its middleware have hung on, and what Koa remembers. */
function copyOwn(from: object, to: object): void {
  for (const key of Reflect.ownKeys(from)) {
    if (!Object.hasOwn(to, key) && !isRemembered(key))
      Object.defineProperty(to, key, Object.getOwnPropertyDescriptor(from, key) as PropertyDescriptor)
  }
}

/** The methods of streams and emitters. */
const STREAM_METHODS: ReadonlySet<string | symbol> = new Set(
  [Readable.prototype, EventEmitter.prototype].flatMap((prototype) =>
    Reflect.ownKeys(prototype).filter((key) => {
      const value: unknown = Object.getOwnPropertyDescriptor(prototype, key)?.value
      return key !== 'constructor' && typeof value === 'function'
    }),
  ),
)
