// A reverse proxy as Koa middleware, on undici: what plugins of the phase `balancer` choose an upstream for.
import { STATUS_CODES } from 'node:http'
import type { Context, Middleware } from 'koa'
import { Agent, type Dispatcher } from 'undici'

/** How to reach the upstreams. Times in milliseconds. */
export interface ProxyOptions {
  /** Where requests go unless a plugin sets `ctx.state.upstream`, such as `http://127.0.0.1:3000`. */
  readonly upstream: string
  /** How long an upstream may take to accept a connection. */
  readonly connect_timeout_ms?: number
  /** How long it may take to begin its answer. */
  readonly headers_timeout_ms?: number
  /** How long it may pause within its answer. */
  readonly body_timeout_ms?: number
}

/** Headers that concern one connection alone (RFC 9110, 7.6.1, and those that are older than it). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** Node has answered this one itself by the time a request is here. */
const EXPECT = 'expect'
const NO_BODY = new Set([204, 205, 304])

/**
 * Makes the proxy. Bodies stream both ways; a client that goes away ends the upstream's work. An upstream that cannot be
 * reached is answered with 502, one that takes too long with 504; the address tried is in `ctx.state.upstream`.
 */
export function createProxy({
  upstream,
  connect_timeout_ms = 2000,
  headers_timeout_ms = 30_000,
  body_timeout_ms = 30_000,
}: ProxyOptions): Middleware & { close(): Promise<void> } {
  const agent = new Agent({
    connect: { timeout: connect_timeout_ms },
    headersTimeout: headers_timeout_ms,
    bodyTimeout: body_timeout_ms,
  })

  async function proxy(ctx: Context): Promise<void> {
    const { req, res } = ctx
    ctx.state.upstream ??= upstream
    const gone = new AbortController()
    res.once('close', () => gone.abort())
    try {
      const target = new URL(ctx.state.upstream)
      const answer = await agent.request({
        origin: target.origin,
        path: target.pathname.replace(/\/$/, '') + originForm(ctx.url),
        method: ctx.method as Dispatcher.HttpMethod,
        headers: forwardedHeaders(ctx),
        body: hasBody(ctx) ? req : null,
        signal: gone.signal,
      })
      passOn(ctx, answer)
    } catch (error) {
      if (gone.signal.aborted) return
      ctx.status = statusFor(error)
      ctx.body = `${ctx.status} ${STATUS_CODES[ctx.status]}: ${ctx.state.upstream}\n`
    }
  }

  return Object.assign(proxy, { close: () => agent.destroy() })
}

/** An absolute target (RFC 9112, 3.2.2): its authority, and what follows. */
const ABSOLUTE = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)(.*)$/is

/** The target as origin servers take it: a path and query, without a host that would be another one than Host says. */
export function originForm(url: string): string {
  const rest = ABSOLUTE.exec(url)?.[2] ?? url
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** What the request names as its host, as dynacode decides it for plugins: the upstream must not take it for another. */
function hostHeaderOf(ctx: Context): string | undefined {
  const { req, host, originalUrl } = ctx
  if (isForwarded(ctx)) return req.headers.host
  const authority = ABSOLUTE.exec(originalUrl)?.[1]
  return authority === undefined ? host : authority.slice(authority.lastIndexOf('@') + 1)
}

/** Whether a proxy that is trusted says what host its client asked for. */
function isForwarded({ app, req }: Context): boolean {
  return app.proxy && req.headers['x-forwarded-host'] !== undefined
}

/** The headers that the upstream gets: the client's, but for those of one connection, and who the client is. */
export function forwardedHeaders(ctx: Context): Record<string, string | string[]> {
  const { req, app, ip, protocol } = ctx
  const dropped = new Set([...HOP_BY_HOP, EXPECT, ...listed(req.headers.connection)])
  const headers: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(req.headers)) {
    // Names that begin with a colon are HTTP/2's own.
    if (value !== undefined && !dropped.has(name) && !name.startsWith(':')) headers[name] = value
  }
  const host = hostHeaderOf(ctx)
  if (host) headers.host = host
  // Only a proxy that is trusted is believed about who came before it.
  const before = app.proxy ? req.headers['x-forwarded-for'] : undefined
  headers['x-forwarded-for'] = [...(before === undefined ? [] : [before].flat()), req.socket.remoteAddress ?? ip].join(
    ', ',
  )
  headers['x-forwarded-proto'] = protocol
  headers['x-forwarded-host'] = isForwarded(ctx) ? ctx.host : (host ?? '')
  return headers
}

function passOn(ctx: Context, { statusCode, headers, body }: Dispatcher.ResponseData): void {
  ctx.status = statusCode
  if (ctx.method === 'HEAD' || NO_BODY.has(statusCode)) body.dump().catch(() => undefined)
  else ctx.body = body
  // Koa gives a stream a type of its own; the upstream's word counts, also where it says nothing.
  ctx.remove('Content-Type')
  const dropped = new Set([...HOP_BY_HOP, ...listed(headers.connection)])
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !dropped.has(name)) ctx.set(name, value)
  }
}

function hasBody({ req }: Context): boolean {
  return req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined
}

/** The names that a Connection header adds to those of one connection alone. */
function listed(connection: string | string[] | undefined): string[] {
  return [connection ?? []].flat().flatMap((value) => value.split(',').map((name) => name.trim().toLowerCase()))
}

function statusFor(error: unknown): number {
  const { code } = error as { code?: string }
  return code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT' || code === 'UND_ERR_CONNECT_TIMEOUT'
    ? 504
    : 502
}
