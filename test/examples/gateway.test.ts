import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, request, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createGateway } from '../../examples/gateway/gateway.ts'
import type { ProxyOptions } from '../../examples/gateway/proxy.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function listen(listener: RequestListener): Promise<{ server: Server; address: string }> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

interface Plugin {
  readonly code: string
  readonly phase?: string
}

async function start(upstream: RequestListener, plugins: readonly Plugin[] = [], proxying: Partial<ProxyOptions> = {}) {
  const back = await listen(upstream)
  const named = plugins.map((plugin, index) => ({ name: `p${index}`, phase: 'balancer', ...plugin }))
  const source = {
    fetch: async () => ({ bytes: Buffer.from(JSON.stringify({ domains: [{ name: '*', plugins: named }] })) }),
  }
  const gateway = createGateway({ source }, { upstream: back.address, ...proxying })
  closing.push(gateway.close)
  await gateway.dyna.ready()
  gateway.app.silent = true
  const front = await listen(gateway.app.callback())
  return { back, gateway, front: front.server, address: front.address }
}

describe('the proxy', () => {
  it('passes method, path, query, headers and body on, and the answer back', async () => {
    const { address, back } = await start(async (req, res) => {
      res.writeHead(201, { 'x-answer': 'yes', 'set-cookie': ['a=1', 'b=2'] })
      res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body: await text(req) }))
    })
    const response = await fetch(`${address}/a%20b?c=d`, {
      method: 'PUT',
      body: 'data',
      headers: { 'x-asked': 'this' },
    })
    expect(response.status).toBe(201)
    expect(response.headers.get('x-answer')).toBe('yes')
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(response.headers.get('content-type')).toBeNull()
    const { method, url, headers, body } = (await response.json()) as Record<string, string> & {
      headers: Record<string, string>
    }
    expect({ method, url, body }).toEqual({ method: 'PUT', url: '/a%20b?c=d', body: 'data' })
    expect(headers).toMatchObject({
      'x-asked': 'this',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': address.slice('http://'.length),
    })
    expect(back.address).not.toContain(headers.host ?? '')
  })

  it.each([
    ['http://admin.com/a%20b?c', 'open.com', '/a%20b?c', 'admin.com'],
    ['http://x:y@admin.com:81', 'open.com', '/', 'admin.com:81'],
    ['HTTP://admin.com?c', 'open.com', '/?c', 'admin.com'],
    ['/a', 'open.com, admin.com', '/a', 'open.com'],
    ['/a', 'x@open.com', '/a', 'open.com'],
  ])(
    'sends the path alone, and the one host that the request is for: %s with Host: %s',
    async (target, host, url, decided) => {
      const { address } = await start((req, res) => {
        const { 'x-forwarded-host': forwarded, host: told } = req.headers
        res.end(JSON.stringify([req.url, told, forwarded]))
      })
      const socket = connect(Number(new URL(address).port), '127.0.0.1')
      socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      expect(await text(socket)).toContain(JSON.stringify([url, decided, decided]))
    },
  )

  it('leaves out headers of one connection alone, both ways, and believes no forged address', async () => {
    const { address } = await start((req, res) => {
      res.writeHead(200, { connection: 'x-hop', 'x-hop': '1', 'proxy-authenticate': 'Basic' })
      res.end(JSON.stringify(req.headers))
    })
    const headers = {
      connection: 'x-mine, keep-alive',
      'x-mine': '1',
      te: 'trailers',
      upgrade: 'websocket',
      'x-forwarded-for': '6.6.6.6',
    }
    const asked = request(`${address}/`, { headers }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    const seen = JSON.parse(await text(response))
    expect(seen).not.toHaveProperty('x-mine')
    expect(seen).not.toHaveProperty('te')
    expect(seen).not.toHaveProperty('upgrade')
    expect(seen['x-forwarded-for']).toBe('127.0.0.1')
    expect(response.headers).not.toHaveProperty('x-hop')
    expect(response.headers).not.toHaveProperty('proxy-authenticate')
  })

  it('streams requests and responses as they come', async () => {
    const { address } = await start((req, res) => {
      req.on('data', (chunk) => res.write(`got ${chunk};`))
      req.on('end', () => res.end('end'))
    })
    const asked = request(`${address}/`, { method: 'POST' })
    asked.write('one')
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    response.setEncoding('utf8')
    expect((await once(response, 'data'))[0]).toBe('got one;')
    asked.end('two')
    expect(await text(response)).toContain('got two;end')
  })

  it('passes megabytes unchanged', async () => {
    const bytes = randomBytes(5_000_000)
    const { address } = await start((_req, res) => Readable.from([bytes]).pipe(res))
    const response = await fetch(address)
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true)
  })

  it.each(['HEAD', 'GET'])('answers %s without a body where there is none', async (method) => {
    const { address } = await start((_req, res) => res.writeHead(method === 'HEAD' ? 200 : 304, { etag: '"x"' }).end())
    const response = await fetch(address, { method })
    expect(response.headers.get('etag')).toBe('"x"')
    expect(await response.text()).toBe('')
  })

  it('ends the work of the upstream when the client goes away', async () => {
    const ended = vi.fn()
    const { address } = await start((req, res) => {
      res.write('first')
      req.socket.once('close', ended)
    })
    const asked = request(address).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    await once(response, 'data')
    asked.destroy()
    await vi.waitFor(() => expect(ended).toHaveBeenCalled())
  })

  it('answers 502 for an upstream that cannot be reached, and 504 for one that is too slow', async () => {
    const { address, back } = await start(() => undefined, [], { headers_timeout_ms: 100 })
    expect((await fetch(address)).status).toBe(504)
    back.server.closeAllConnections()
    back.server.close()
    await sleep(10)
    expect((await fetch(address)).status).toBe(502)
  })

  it('answers a request to upgrade as any other, and goes on', async () => {
    const { address } = await start((_req, res) => res.end('plain'))
    const socket = connect(Number(new URL(address).port), '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1.1 200 /)
    socket.destroy()
    expect(await (await fetch(address)).text()).toBe('plain')
  })
})

describe('the tunnel', () => {
  const UPGRADE = 'GET http://a.com/chat?x HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

  async function startTunnel(plugins: readonly Plugin[], upgrades = true) {
    const running = await start((_req, res) => res.writeHead(426, { 'x-why': 'no' }).end('plain'), plugins)
    if (upgrades) {
      running.back.server.on('upgrade', (req, socket, head) => {
        socket.write(`HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: ${req.headers.upgrade}\r\n\r\n`)
        socket.write(`${req.headers.host} ${req.url} ${head}`)
        socket.on('error', () => undefined).pipe(socket)
      })
    }
    running.front.on('upgrade', running.gateway.upgrade)
    const socket = connect(Number(new URL(running.address).port), '127.0.0.1')
    return { socket, ...running }
  }

  it('passes bytes both ways once plugins let the request pass', async () => {
    const { socket } = await startTunnel([{ code: `await null`, phase: 'access' }])
    socket.write(`${UPGRADE}first`)
    let seen = ''
    while (!seen.endsWith('first')) seen += (await once(socket, 'data'))[0]
    expect(seen).toBe('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\na.com /chat?x first')
    socket.write('second')
    expect(String((await once(socket, 'data'))[0])).toBe('second')
    socket.destroy()
  })

  it('opens no connection that a plugin refuses', async () => {
    const { socket, back } = await startTunnel([{ code: `exit(403, 'no')`, phase: 'access' }])
    const asked = vi.fn()
    back.server.on('connection', asked)
    socket.write(UPGRADE)
    expect(await text(socket)).toMatch(/^HTTP\/1.1 403 Forbidden\r\n[\s\S]*no$/)
    expect(asked).not.toHaveBeenCalled()
  })

  it('passes on the answer of an upstream that does not upgrade', async () => {
    const { socket } = await startTunnel([], false)
    socket.write(UPGRADE)
    expect(await text(socket)).toMatch(/^HTTP\/1.1 426 [\s\S]*x-why: no\r\n[\s\S]*\r\n\r\nplain$/)
  })

  it('answers 502 where there is no upstream', async () => {
    const { socket } = await startTunnel([{ code: `ctx.state.upstream = 'http://127.0.0.1:1'` }])
    socket.write(UPGRADE)
    expect(await text(socket)).toMatch(/^HTTP\/1.1 502 /)
  })
})

describe('plugins in the balancer', () => {
  it('choose the upstream', async () => {
    const other = await listen((_req, res) => res.end('other'))
    const code = `if (ctx.get('x-canary')) ctx.state.upstream = ${JSON.stringify(other.address)}`
    const { address } = await start((_req, res) => res.end('usual'), [{ code }])
    expect(await (await fetch(address)).text()).toBe('usual')
    expect(await (await fetch(address, { headers: { 'x-canary': '1' } })).text()).toBe('other')
  })

  it('see what the upstream answered, and may change it', async () => {
    const plugins = [
      { phase: 'header_filter', code: "ctx.set('x-through', 'gateway')" },
      { phase: 'body_filter', code: "return String(chunk).replace('cat', 'dog')" },
    ]
    const { address } = await start((_req, res) => res.end('a cat'), plugins)
    const response = await fetch(address)
    expect(response.headers.get('x-through')).toBe('gateway')
    expect(await response.text()).toBe('a dog')
  })
})
