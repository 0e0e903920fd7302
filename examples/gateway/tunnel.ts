// What the proxy does with requests to upgrade, such as WebSocket's: a connection to the upstream, and bytes both ways.
import { type IncomingMessage, request, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dynacode } from 'dynacode'
import type Koa from 'koa'
import type { Context } from 'koa'
import { forwardedHeaders, originForm, type ProxyOptions } from './proxy.ts'

/** Makes the `upgrade` listener of a gateway. Plugins decide first: no connection passes a check that requests do not. */
export function createTunnel(app: Koa, dyna: Dynacode, { upstream, headers_timeout_ms = 30_000 }: ProxyOptions) {
  return async (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const { allowed, ctx } = await dyna.upgrade(app, req, socket)
    if (!allowed) return
    ctx.state.upstream ??= upstream
    connect(ctx, socket, head, headers_timeout_ms)
  }
}

function connect(ctx: Context, socket: Duplex, head: Buffer, timeout: number): void {
  const { method, headers } = ctx.req
  const target = new URL(ctx.state.upstream)
  const path = target.pathname.replace(/\/$/, '') + originForm(ctx.url)
  const upgrading = { connection: 'upgrade', upgrade: headers.upgrade }
  const asked = request(target, { method, path, timeout, headers: { ...forwardedHeaders(ctx), ...upgrading } })
  const fail = (status: number) => {
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  }
  socket.on('error', () => asked.destroy())
  socket.once('close', () => asked.destroy())
  asked.on('timeout', () => asked.destroy(new Error('the upstream takes too long')))
  asked.on('error', () => fail(502))
  asked.on('response', (answer) => {
    // The upstream does not upgrade, and says why.
    socket.write(headOf(answer, 'Connection: close\r\n'))
    answer.on('error', () => socket.destroy())
    answer.pipe(socket)
  })
  asked.on('upgrade', (answer, back, first) => {
    back.on('error', () => socket.destroy())
    back.once('close', () => socket.destroy())
    socket.once('close', () => back.destroy())
    socket.write(headOf(answer))
    socket.write(first)
    back.write(head)
    back.pipe(socket).pipe(back)
  })
  asked.end()
}

/** The head of an answer as it came. The body after it goes on without chunks, and ends with the connection. */
function headOf({ statusCode, statusMessage, rawHeaders }: IncomingMessage, more = ''): string {
  const lines: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const isFraming = more !== '' && /^(connection|transfer-encoding|keep-alive)$/i.test(rawHeaders[index] ?? '')
    if (!isFraming) lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}\r\n`)
  }
  return `HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join('')}${more}\r\n`
}
