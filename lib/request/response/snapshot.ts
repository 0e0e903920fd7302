import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Context } from 'koa'
import type { LivePlugin, Uses } from '../../program.ts'
import { beginHead, endHead, type HeadSnapshot, type HeadWrites } from './head.ts'
import { watchWriting } from './head-methods.ts'
import { takeHeadersBack, type Writable, type WrittenHead } from './header-changes.ts'
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
 * How a request, and the head and body of its response, were before a plugin: so that what the plugin does to them can be
 * checked, and taken back when it fails. Of what the plugin leaves alone nothing is copied.
 */
export interface Snapshot extends HeadSnapshot {
  plugin: LivePlugin
  request: Writable
  /** Whether more than headers of the response may be changed; what follows is known only then. */
  is_all: boolean
  /** Whether nobody has to look at the headers that the plugin wrote. */
  checked: boolean
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

const NOBODY = Object.freeze({}) as Writable

/** Makes one that can be used for any number of plugins, one after the other. */
export function createSnapshot(): Snapshot {
  return {
    plugin: NOBODY as unknown as LivePlugin,
    request: NOBODY,
    looks: true,
    names: [],
    any: false,
    kept: 0,
    entries: [],
    values: [],
    written: null,
    is_all: true,
    checked: false,
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

/** Lets go of the request: the snapshot is kept for the next one. */
export function clearSnapshot(snapshot: Snapshot): void {
  snapshot.request = NOBODY
  snapshot.written = null
  if (!snapshot.is_all) return
  snapshot.request_headers = null
  snapshot.body = undefined
  snapshot.stream = null
}

/** What code may write. */
type Writes = Pick<Uses, 'writes'> & HeadWrites

/** What there is to be looked at where anything may be written. */
export const ANYTHING: Writes = Object.freeze({ writes: 'anything', headers: null, kept: 0, checked: false })

/**
 * A plugin begins.
 *
 * @param what is written, by it or in its name
 */
export function beginChanges(snapshot: Snapshot, request: Writable, plugin: LivePlugin, writes: Writes): void {
  snapshot.plugin = plugin
  snapshot.request = request
  snapshot.is_all = writes.writes === 'anything'
  snapshot.checked = writes.checked && request.ctx.req.httpVersionMajor < 2
  if (snapshot.is_all) noteAll(snapshot, request.ctx, plugin)
  beginHead(snapshot, writes)
}

/** How all that is no header of the response is now. */
function noteAll(snapshot: Snapshot, ctx: Context, plugin: LivePlugin): void {
  const { req, res } = ctx
  const response = ctx.response as KoaResponse
  const http2 = req.httpVersionMajor >= 2
  snapshot.method = req.method
  snapshot.url = req.url
  snapshot.status = res.statusCode
  snapshot.message = http2 ? '' : res.statusMessage
  snapshot.body = response._body
  snapshot.is_status_chosen = response._explicitStatus
  snapshot.is_body_emptied = response._explicitNullBody
  snapshot.respond = ctx.respond
  if (!http2) noteRemovals(res, snapshot)
  if (plugin.uses.request_headers) snapshot.request_headers = { object: req.headers, copy: { ...req.headers } }
  if (plugin.phase === 'header_filter') snapshot.stream = keepStream(response._body, res)
}

/**
 * A plugin is done.
 *
 * @returns why what it left cannot be sent; undefined when it can
 */
export function endChanges(snapshot: Snapshot): Error | undefined {
  endHead(snapshot)
  const { request, written, is_all, checked } = snapshot
  const { ctx, head } = request
  const newest = head === null ? null : head.newest
  if (!is_all) return newest === written || checked ? undefined : checkHeaders(snapshot, undefined)
  const { res } = ctx
  const body = (ctx.response as KoaResponse)._body
  const isChanged =
    newest !== written ||
    body !== snapshot.body ||
    res.statusCode !== snapshot.status ||
    (ctx.req.httpVersionMajor < 2 && res.statusMessage !== snapshot.message)
  if (isChanged) {
    const error = checkLeftovers(snapshot, body)
    if (error !== undefined) return error
    for (let change = newest; change !== null && change !== written; change = change.earlier) {
      if (change.name === 'trailer') watchWriting(head as WrittenHead)
    }
  }
  if (snapshot.stream !== null) releaseStream(snapshot.stream, true)
  if (body !== snapshot.body) {
    const { plugin } = snapshot
    watchBody(ctx, body, (error) => request.refuse?.(request, plugin, error))
  }
  return undefined
}

/** A plugin has failed: everything is as it was before it, but for what was sent and what it changed inside of values. */
export function takeChangesBack(snapshot: Snapshot): void {
  const { ctx, writer } = snapshot.request
  const { req, res } = ctx
  const response = ctx.response as KoaResponse
  // What it left is among the changes already where it was refused for that, but for what nobody had to look at.
  if (writer !== null || snapshot.checked) endHead(snapshot, true)
  const { head } = snapshot.request
  const takeHeadBack = () => head !== null && takeHeadersBack(head, snapshot.written)
  if (!snapshot.is_all) {
    takeHeadBack()
    return
  }
  if (snapshot.stream !== null) releaseStream(snapshot.stream, false)
  if (req.method !== snapshot.method) req.method = snapshot.method as string
  if (req.url !== snapshot.url) putUrlBack(ctx, snapshot.url as string)
  if (snapshot.request_headers !== null) putRequestHeadersBack(ctx, snapshot.request_headers)
  if (ctx.respond !== snapshot.respond) ctx.respond = snapshot.respond
  const { _body: left } = response
  if (left !== snapshot.body) {
    response._body = snapshot.body
    if (isStreamed(left)) freeBody(left)
  }
  if (res.headersSent) return
  takeHeadBack()
  response._explicitStatus = snapshot.is_status_chosen
  response._explicitNullBody = snapshot.is_body_emptied
  if (res.statusCode !== snapshot.status) res.statusCode = snapshot.status
  if (req.httpVersionMajor >= 2) return
  if (res.statusMessage !== snapshot.message) res.statusMessage = snapshot.message
  putRemovalsBack(res, snapshot)
}

function noteRemovals(res: ServerResponse & Removals, snapshot: Snapshot): void {
  snapshot.sends_date = res.sendDate
  snapshot.removed_connection = res._removedConnection
  snapshot.removed_length = res._removedContLen
  snapshot.removed_encoding = res._removedTE
}

function putRemovalsBack(res: ServerResponse & Removals, snapshot: Snapshot): void {
  res.sendDate = snapshot.sends_date
  res._removedConnection = snapshot.removed_connection
  res._removedContLen = snapshot.removed_length
  res._removedTE = snapshot.removed_encoding
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
