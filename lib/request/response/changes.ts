import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Context } from 'koa'
import type { LivePlugin, Uses } from '../../program.ts'
import { beginHead, type HeadWatch, noteHead, watchHead } from './head.ts'
import { watchWriting } from './head-methods.ts'
import { type HeaderChange, takeHeadersBack, type Writer } from './header-changes.ts'
import { type KeptStream, keepStream, releaseStream } from './kept-stream.ts'
import { checkHeaders, checkLeftovers } from './leftovers.ts'
import { watchBody } from './plugin-body.ts'
import { freeBody, isStreamed } from './stream.ts'

/** What Koa keeps of a response beside what Node does. */
interface KoaResponse {
  _body?: unknown
  _explicitStatus?: boolean | undefined
  _explicitNullBody?: boolean | undefined
}

/** What Node notes when a header is removed, and decides by on headers of its own. */
interface Removals {
  _removedConnection?: boolean | undefined
  _removedContLen?: boolean | undefined
  _removedTE?: boolean | undefined
}

/** The headers of a request, and what was in them. */
interface RequestHeaders {
  readonly object: IncomingHttpHeaders
  readonly copy: IncomingHttpHeaders
}

/**
 * What a plugin does to its request, and to the head and body of the response: so that it can be checked, and taken back
 * when the plugin fails. Of what the plugin leaves alone nothing is copied.
 */
export interface Changes extends Writer {
  readonly ctx: Context
  readonly watch: HeadWatch
  /** The last header that had been written before; this and what follows is as it was when the plugin began. */
  written: HeaderChange | null
  /** Whether more than headers of the response may have been changed. */
  is_all: boolean
  method: string | undefined
  url: string | undefined
  request_headers: RequestHeaders | null
  status: number
  /** Empty over HTTP/2, which has none. */
  message: string
  body: unknown
  is_status_chosen: boolean | undefined
  is_body_emptied: boolean | undefined
  respond: boolean | undefined
  sends_date: boolean
  removed_connection: boolean | undefined
  removed_length: boolean | undefined
  removed_encoding: boolean | undefined
  stream: KeptStream | null
}

/**
 * Begins to watch what plugins do to a request.
 *
 * @param refused has a plugin fail when Node refuses the head for what it left there; returns whether the response goes on
 */
export function watchChanges(ctx: Context, refused: Writer['refused']): Changes {
  return {
    plugin: undefined as unknown as LivePlugin,
    refused,
    ctx,
    watch: watchHead(ctx.res),
    written: null,
    is_all: true,
    method: undefined,
    url: undefined,
    request_headers: null,
    status: 0,
    message: '',
    body: undefined,
    is_status_chosen: undefined,
    is_body_emptied: undefined,
    respond: undefined,
    sends_date: true,
    removed_connection: undefined,
    removed_length: undefined,
    removed_encoding: undefined,
    stream: null,
  }
}

/** What there is to be looked at where anything may be written. */
export const ANYTHING: Pick<Uses, 'writes' | 'headers'> = Object.freeze({ writes: 'anything', headers: null })

/**
 * A plugin begins.
 *
 * @param what is written, by it or in its name
 */
export function beginChanges(changes: Changes, plugin: LivePlugin, { writes, headers }: typeof ANYTHING): void {
  const { watch } = changes
  changes.plugin = plugin
  changes.written = watch.newest
  changes.is_all = writes === 'anything'
  if (changes.is_all) noteAll(changes, plugin)
  beginHead(watch, changes, headers)
}

/** How all that is no header of the response is now. */
function noteAll(changes: Changes, plugin: LivePlugin): void {
  const { ctx, watch } = changes
  const { req, res } = ctx
  const response = ctx.response as KoaResponse
  changes.method = req.method
  changes.url = req.url
  changes.status = res.statusCode
  changes.message = watch.http2 ? '' : res.statusMessage
  changes.body = response._body
  changes.is_status_chosen = response._explicitStatus
  changes.is_body_emptied = response._explicitNullBody
  changes.respond = ctx.respond
  if (!watch.http2) noteRemovals(res, changes)
  changes.request_headers = plugin.uses.request_headers ? { object: req.headers, copy: { ...req.headers } } : null
  changes.stream = plugin.phase === 'header_filter' ? keepStream(response._body, res) : null
}

/**
 * A plugin is done.
 *
 * @returns why what it left cannot be sent; undefined when it can
 */
export function endChanges(changes: Changes): Error | undefined {
  if (!changes.is_all) return endHeaders(changes)
  const { ctx, watch } = changes
  const { res } = ctx
  const body = (ctx.response as KoaResponse)._body
  noteHead(watch)
  watch.writer = null
  const isChanged =
    watch.newest !== changes.written ||
    body !== changes.body ||
    res.statusCode !== changes.status ||
    (!watch.http2 && res.statusMessage !== changes.message)
  if (isChanged) {
    const error = checkLeftovers(changes, body)
    if (error !== undefined) return error
    for (let change = watch.newest; change !== null && change !== changes.written; change = change.earlier) {
      if (change.name === 'trailer') watchWriting(watch)
    }
  }
  if (changes.stream !== null) releaseStream(changes.stream, true)
  if (body !== changes.body) {
    const { plugin, refused } = changes
    watchBody(ctx, body, (error) => refused(plugin, error))
  }
  return undefined
}

function endHeaders(changes: Changes): Error | undefined {
  const { watch } = changes
  noteHead(watch)
  watch.writer = null
  return watch.newest === changes.written ? undefined : checkHeaders(changes, undefined)
}

/** A plugin has failed: everything is as it was before it, but for what was sent and what it changed inside of values. */
export function takeChangesBack(changes: Changes): void {
  const { ctx, watch } = changes
  const { req, res } = ctx
  const response = ctx.response as KoaResponse
  noteHead(watch)
  watch.writer = null
  if (!changes.is_all) {
    takeHeadersBack(watch, changes.written)
    return
  }
  if (changes.stream !== null) releaseStream(changes.stream, false)
  if (req.method !== changes.method) req.method = changes.method as string
  if (req.url !== changes.url) putUrlBack(ctx, changes.url as string)
  if (changes.request_headers !== null) putRequestHeadersBack(ctx, changes.request_headers)
  if (ctx.respond !== changes.respond) ctx.respond = changes.respond
  const { _body: left } = response
  if (left !== changes.body) {
    response._body = changes.body
    if (isStreamed(left)) freeBody(left)
  }
  if (res.headersSent) return
  takeHeadersBack(watch, changes.written)
  response._explicitStatus = changes.is_status_chosen
  response._explicitNullBody = changes.is_body_emptied
  if (res.statusCode !== changes.status) res.statusCode = changes.status
  if (watch.http2) return
  if (res.statusMessage !== changes.message) res.statusMessage = changes.message
  putRemovalsBack(res, changes)
}

function noteRemovals(res: ServerResponse & Removals, changes: Changes): void {
  changes.sends_date = res.sendDate
  changes.removed_connection = res._removedConnection
  changes.removed_length = res._removedContLen
  changes.removed_encoding = res._removedTE
}

function putRemovalsBack(res: ServerResponse & Removals, changes: Changes): void {
  res.sendDate = changes.sends_date
  res._removedConnection = changes.removed_connection
  res._removedContLen = changes.removed_length
  res._removedTE = changes.removed_encoding
}

function putUrlBack({ req }: Context, url: string): void {
  req.url = url
  // Koa keeps what it has read from the address here, and a change of the path is made in that.
  ;(req as { _parsedUrl?: unknown })._parsedUrl = undefined
}

function putRequestHeadersBack({ req }: Context, { object, copy }: RequestHeaders): void {
  if (req.headers !== object) req.headers = object
  for (const name of Object.keys(object)) if (!Object.hasOwn(copy, name)) delete object[name]
  Object.assign(object, copy)
}
