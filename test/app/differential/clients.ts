import { connect as connectHttp2, constants, type IncomingHttpHeaders } from 'node:http2'
import { connect } from 'node:net'

/** What of a request may differ. */
export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Goes away once it has got this many bytes of a body, or after the head where there is no body. */
  readonly leave?: number
  /** How long the client waits, in milliseconds; else for longer than anything takes that does not hang. */
  readonly patience_ms?: number
  /** Requests that follow on the same connection, sent at once; over HTTP/2 on streams of their own. */
  readonly next?: readonly string[]
}

export type Protocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2'

/** What a client gets: the bytes as they come over HTTP/1, and how it ends. */
export interface Received {
  readonly bytes: string
  readonly end: string
}

/** However busy the machine is. */
const HANGS_MS = 10_000

/** Sends a request, and gives back all that comes until the connection is closed. */
export function ask(
  protocol: Protocol,
  ports: { http1: number; http2: number },
  path: string,
  given: Ask,
): Promise<Received> {
  return protocol === 'HTTP/2' ? askHttp2(ports.http2, path, given) : askHttp1(protocol, ports.http1, path, given)
}

async function askHttp1(protocol: Protocol, port: number, path: string, given: Ask): Promise<Received> {
  const { method = 'GET', headers = {}, body = '', leave, next = [], patience_ms = HANGS_MS } = given
  const head = (verb: string, target: string, more: string) => `${verb} ${target} ${protocol}\r\nHost: a.com\r\n${more}`
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  // Of several requests, the last one ends the connection.
  const close = (last: boolean) => (last ? 'Connection: close\r\n\r\n' : 'Connection: keep-alive\r\n\r\n')
  const text =
    head(method, path, lines.join('') + close(next.length === 0)) +
    body +
    next.map((target, index) => head('GET', target, close(index === next.length - 1))).join('')
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  let end = 'cut'
  socket.on('data', (chunk) => {
    chunks.push(chunk)
    if (leave !== undefined && Buffer.concat(chunks).length > leave) socket.resetAndDestroy()
  })
  socket.on('end', () => {
    end = 'end'
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    end = error.code ?? error.message
  })
  socket.write(text, 'latin1')
  const hanging = setTimeout(() => socket.destroy(new Error('hangs')), patience_ms)
  await new Promise((done) => socket.once('close', done))
  clearTimeout(hanging)
  if (leave !== undefined) return { bytes: '', end: 'left' }
  return {
    bytes: Buffer.concat(chunks)
      .toString('latin1')
      .replaceAll(/^Date: .*\r\n/gim, ''),
    end,
  }
}

async function askHttp2(port: number, path: string, { next = [], ...given }: Ask): Promise<Received> {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  const streams = [askStream(session, path, given), ...next.map((target) => askStream(session, target, {}))]
  const received = await Promise.all(streams)
  session.destroy()
  return { bytes: received.map(({ bytes }) => bytes).join('\n'), end: received.map(({ end }) => end).join() }
}

async function askStream(session: ReturnType<typeof connectHttp2>, path: string, given: Ask): Promise<Received> {
  const { method = 'GET', headers = {}, body = '', leave, patience_ms = HANGS_MS } = given
  const own = Object.entries(headers).filter(
    ([name]) => !/^(transfer-encoding|expect|connection|te|trailer)$/i.test(name),
  )
  const head = { ':method': method, ':path': path, ':authority': 'a.com', ...Object.fromEntries(own) }
  const stream = session.request(head, { endStream: body === '' })
  const parts: string[] = []
  const note = (name: string) => (come: IncomingHttpHeaders) => {
    const { date: _, ...rest } = come
    parts.push(`${name} ${JSON.stringify(rest)}`)
  }
  let data = ''
  let end = 'cut'
  stream.on('response', note('head'))
  stream.on('headers', note('early'))
  stream.on('trailers', note('trailers'))
  stream.on('data', (chunk: Buffer) => {
    data += chunk.toString('latin1')
    if (data.length > (leave ?? Number.POSITIVE_INFINITY)) stream.close(constants.NGHTTP2_CANCEL)
  })
  stream.on('end', () => {
    end = 'end'
  })
  if (body !== '') stream.end(body)
  const hanging = setTimeout(() => stream.destroy(new Error('hangs')), patience_ms)
  stream.on('error', (error) => {
    if (error.message === 'hangs') end = 'hangs'
  })
  if (!stream.closed) await new Promise((done) => stream.once('close', done))
  clearTimeout(hanging)
  if (leave !== undefined) return { bytes: '', end: 'left' }
  return { bytes: [...parts, data].join('\n'), end: `${end} ${stream.rstCode}` }
}
