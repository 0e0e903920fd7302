import { EventEmitter } from 'node:events'
import { ServerResponse, STATUS_CODES } from 'node:http'
import { Readable } from 'node:stream'
import type { Context } from 'koa'
import { isStreamed } from './response/stream.ts'
import { createState, type RequestState } from './run/state.ts'

/** A request as a plugin in shadow mode sees it: all of it is there, and nothing that is done to it counts. */
export interface ShadowView {
  readonly state: RequestState
  /** What the plugin did to its view, in words: `exit 403`, `set x-foo: bar`, `body: 120 → 98 bytes`, `threw …`. */
  effects(): string[]
}

/**
 * Makes the view: a Koa context of its own over copies of the request's head, of the response's head and of `ctx.state`.
 * Values inside of these are the same objects, so a plugin that changes something in their depth does change it. Streams
 * are not among them: to read, replace or end the request's body or the response's would do it for real.
 */
export function createShadowView({ ctx, chain, observed, record }: RequestState): ShadowView {
  const view = copyContext(ctx)
  const before = describe(view)
  const errors: unknown[] = []
  const state = createState(view, chain, observed, record, null, errors)

  return {
    state,
    effects: () => [
      ...(state.ending === null ? [] : [`exit ${state.ending.status}`]),
      ...(attempt(() => compare(before, describe(view))) ?? ['changed what has no text']),
      ...errors.map(describeThrown),
    ],
  }
}

function copyContext(ctx: Context): Context {
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
  view.state = Object.fromEntries(
    Object.entries(ctx.state).map(([key, value]) => [key, attempt(() => copyPlain(value)) ?? value]),
  )
  ;(view.response as { _body?: unknown })._body = copyBody(ctx.body)
  return view
}

/** Koa destroys a stream that another body takes the place of; what is no stream may be changed in place. */
function copyBody(body: unknown): unknown {
  if (isStreamed(body)) return Readable.from([])
  if (Buffer.isBuffer(body)) return Buffer.from(body)
  // A circle, say, that the app will fail with, is the app's.
  return attempt(() => copyPlain(body)) ?? body
}

/** Copies what JSON is made of, in all its depth, and nothing else. */
function copyPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyPlain)
  if (typeof value !== 'object' || value === null) return value
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  const copy = Object.create(prototype)
  for (const [key, inner] of Object.entries(value)) {
    Object.defineProperty(copy, key, { value: copyPlain(inner), writable: true, enumerable: true, configurable: true })
  }
  return copy
}

const SENT = ['headersSent', 'writableEnded', 'writableFinished'] as const

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

type Description = ReadonlyMap<string, unknown>

/** Everything of a context that a plugin may change, by the name under which a change is told. */
function describe(ctx: Context): Description {
  const { req, res, method, url, status, state, body } = ctx
  const parts: [string, unknown][] = [
    ['method', method],
    ['url', url],
    ['status', status],
    ['message', res.headersSent || res.statusMessage === STATUS_CODES[status] ? undefined : res.statusMessage],
    ['respond', ctx.respond],
    ['body', snapshot(body)],
    ['sent', res.writableEnded],
  ]
  for (const [name, value] of Object.entries(req.headers)) parts.push([`request header ${name}`, String(value)])
  for (const [name, value] of Object.entries(res.getHeaders())) parts.push([`header ${name}`, String(value)])
  for (const [name, value] of Object.entries(state)) parts.push([`state ${name}`, snapshot(value)])
  return new Map(parts)
}

/** What JSON says of a value that may be changed in place; of all else, the value itself. */
function snapshot(value: unknown): unknown {
  const isPlain = Array.isArray(value) || (typeof value === 'object' && value !== null && hasPlainClass(value))
  if (isPlain) return attempt(() => JSON.stringify(value)) ?? value
  return Buffer.isBuffer(value) ? Buffer.from(value) : value
}

function hasPlainClass(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function compare(before: Description, after: Description): string[] {
  const names = new Set([...before.keys(), ...after.keys()])
  const changed = [...names].filter((name) => !isSame(before.get(name), after.get(name)))
  return changed.map((name) => attempt(() => tell(name, before, after)) ?? name)
}

function isSame(was: unknown, is: unknown): boolean {
  return Buffer.isBuffer(was) && Buffer.isBuffer(is) ? was.equals(is) : was === is
}

function tell(name: string, before: Description, after: Description): string {
  const [was, is] = [before.get(name), after.get(name)]
  if (name === 'sent') return 'sent a response of its own'
  if (name === 'body') return describeBody(was, is)
  if (name.startsWith('header '))
    return `${is === undefined ? 'remove' : 'set'} ${name.slice(7)}${is === undefined ? '' : `: ${is}`}`
  if (is === undefined) return `remove ${name}`
  return was === undefined ? `set ${name}: ${show(is)}` : `${name}: ${show(was)} → ${show(is)}`
}

/** What became of a body or a part of it, by its length where that is known. */
export function describeBody(was: unknown, is: unknown): string {
  return `body: ${attempt(() => lengthOf(was)) ?? '?'} → ${attempt(() => lengthOf(is)) ?? '?'} bytes`
}

/** What a plugin threw, or why it could not run. */
export function describeThrown(error: unknown): string {
  const text = attempt(() => (error instanceof Error ? error.message : String(error)))
  return `threw ${text ?? 'what has no text'}`
}

/** Plugins leave all kinds of things behind: circles, proxies, objects without a text of their own. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch {
    return undefined
  }
}

function lengthOf(body: unknown): number | string {
  if (body === undefined || body === null) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (body instanceof Uint8Array) return body.length
  return typeof (body as { pipe?: unknown }).pipe === 'function' ? '?' : Buffer.byteLength(JSON.stringify(body) ?? '')
}

function show(value: unknown): string {
  const text = typeof value === 'object' && value !== null ? (JSON.stringify(value) ?? '') : String(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
