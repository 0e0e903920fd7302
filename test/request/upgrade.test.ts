import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import type { UpgradeDecision } from '../../lib/index.ts'
import { createDeferred, exchange, failures, plugin, startApp, type TestAppSetup } from '../fixtures/app.ts'

const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: a.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

/** An app whose server upgrades what it is allowed to, tells the path, and echoes. */
async function startUpgrading(setup: TestAppSetup) {
  const running = await startApp(setup)
  const decisions: UpgradeDecision[] = []
  running.server.on('upgrade', async (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    const decision = await running.dyna.upgrade(running.app, req, socket)
    decisions.push(decision)
    if (!decision.allowed) return
    socket.on('error', () => undefined)
    socket.write(`${SWITCHED}${req.url} `)
    socket.write(head)
    socket.pipe(socket)
  })
  return { ...running, decisions }
}

async function open(port: number, text = UPGRADE): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

async function readUntil(socket: Socket, end: string): Promise<string> {
  let text = ''
  while (!text.endsWith(end)) text += String((await once(socket, 'data'))[0])
  return text
}

describe('a request to upgrade', () => {
  test("is the app's to upgrade where no plugin objects, with all that came after it", async () => {
    const { port, decisions, errors } = await startUpgrading({
      plugins: [
        plugin('rewrite', `ctx.path = '/room'`),
        plugin('access', `await null; ctx.state.user = 'ann'`),
        plugin('content', `say('never')`),
        plugin('balancer', `ctx.state.upstream = 'http://b'`),
        plugin('header_filter', `ctx.set('X-Never', '1')`),
        plugin('body_filter', `return 'never'`),
      ],
    })
    const socket = await open(port, `${UPGRADE}first`)
    expect(await readUntil(socket, 'first')).toBe(`${SWITCHED}/room first`)
    socket.write('second')
    expect(await readUntil(socket, 'second')).toBe('second')
    expect(decisions[0]?.ctx.state).toMatchObject({ user: 'ann', upstream: 'http://b' })
    socket.resetAndDestroy()
    expect(errors).toEqual([])
  })

  test.each([
    [`exit(403, 'no', { 'X-Why': 'rule' })`, {}, '403 Forbidden', 'no'],
    [`ctx.throw(401, 'who?', { headers: { 'WWW-Authenticate': 'Basic' } })`, {}, '401 Unauthorized', 'who?'],
    [`await null; exit(200, { json: true })`, {}, '200 OK', '{"json":true}'],
    [`throw new Error('x')`, { on_failure: 'closed' }, '503 Service Unavailable', 'Service Unavailable'],
    [`await null; throw new Error('x')`, { on_failure: 'closed' }, '503 Service Unavailable', 'Service Unavailable'],
  ])('is answered and closed where a plugin does: %s', async (code, fields, status, body) => {
    const { port, decisions } = await startUpgrading({ plugins: [plugin('access', code, fields)] })
    const answer = await exchange(port, UPGRADE)
    expect(answer.split('\r\n')[0]).toBe(`HTTP/1.1 ${status}`)
    expect(answer).toMatch(/^Connection: close\r$/im)
    expect(answer.endsWith(`\r\n\r\n${body}`)).toBe(true)
    expect(decisions.map(({ allowed }) => allowed)).toEqual([false])
  })

  test('passes a plugin that fails open, and is matched by host and path as any other', async () => {
    const running = await startUpgrading({
      document: {
        domains: [
          { name: 'a.com', plugins: [plugin('access', `throw new Error('x')`)] },
          { name: 'b.com', plugins: [plugin('access', 'exit(403)')] },
          { name: '*', plugins: [plugin('access', 'exit(404)', { when: { paths: '/other' } })] },
        ],
      },
    })
    const socket = await open(running.port)
    expect(await readUntil(socket, '/chat ')).toContain('101')
    socket.destroy()
    expect(failures(running)).toHaveLength(1)
    expect(await exchange(running.port, UPGRADE.replace('a.com', 'b.com'))).toContain('403')
    expect(await exchange(running.port, UPGRADE.replace('/chat', '//other'))).toContain('404')
  })

  test('gets what any other gets before the first document, while plugins are off, and after the end', async () => {
    const source = { fetch: () => new Promise<never>(() => undefined) }
    const { dynacode } = await import('../../lib/index.ts')
    const unloaded = dynacode({ source, when_not_loaded: 'closed' })
    const running = await startUpgrading({
      plugins: [plugin('access', 'exit(403)', { on_failure: 'closed' })],
      outer: [],
    })
    running.server.removeAllListeners('upgrade')
    let decide = unloaded.upgrade
    running.server.on('upgrade', async (req: IncomingMessage, socket: Duplex) => {
      if ((await decide(running.app, req, socket)).allowed) socket.end(SWITCHED)
    })
    expect(await exchange(running.port, UPGRADE)).toContain('503')
    await unloaded.close()
    decide = running.dyna.upgrade
    running.dyna.disable()
    expect(await exchange(running.port, UPGRADE)).toContain('101')
    running.dyna.enable()
    await running.dyna.close()
    expect(await exchange(running.port, UPGRADE)).toContain('503')
  })

  test('whose client resets the connection meanwhile ends in no unhandled error, and is not allowed', async () => {
    const waiting = createDeferred()
    const going = createDeferred()
    const { port, decisions } = await startUpgrading({
      plugins: [plugin('access', 'reached(); await gone')],
      options: { globals: { reached: () => waiting.resolve(), gone: going.promise } },
    })
    const socket = await open(port)
    await waiting.promise
    socket.resetAndDestroy()
    await new Promise((done) => setTimeout(done, 50))
    going.resolve()
    await vi.waitFor(() => expect(decisions.map(({ allowed }) => allowed)).toEqual([false]))
  })

  test('that comes before an earlier request is answered is cut', async () => {
    const { port, decisions } = await startUpgrading({
      plugins: [plugin('access', '')],
      inner: () => new Promise<never>(() => undefined),
    })
    expect(await exchange(port, `GET / HTTP/1.1\r\nHost: a.com\r\n\r\n${UPGRADE}`)).not.toContain('101')
    await vi.waitFor(() => expect(decisions.map(({ allowed }) => allowed)).toEqual([false]))
  })
})
