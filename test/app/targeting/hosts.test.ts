import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { describe, expect, it } from 'vitest'
import { createApp, exchange, listen, plugin, startApp, type TestAppSetup } from '../../fixtures/app.ts'
import { createReadyInstance } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

/** A domain whose plugin answers with the domain's own name. */
const domain = (name: string) => ({ name, plugins: [plugin('content', `say(${JSON.stringify(name)})`)] })

/** The response to a request with exactly these Host lines. */
async function ask(port: number, hosts: readonly string[], version = '1.1', more = ''): Promise<string> {
  const lines = hosts.map((host) => `Host: ${host}\r\n`).join('')
  const head = `GET / HTTP/${version}\r\n${lines}${more}Connection: close\r\n\r\n`
  return exchange(port, Buffer.from(head, 'latin1'))
}

const bodyOf = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4).trimEnd()

describe('a request is matched by its host', () => {
  const NAMES = ['a.com', '*.b.com', '^c\\d+\\.com$', '[::1]', '127.0.0.1', 'under_score.com', '*.xn--bcher-kva.de']

  it.each([
    ['a.com', 'a.com'],
    ['A.CoM', 'a.com'],
    ['a.com:8080', 'a.com'],
    ['a.com:', 'a.com'],
    ['a.com.', 'a.com'],
    ['A.COM.:443', 'a.com'],
    [' a.com ', 'a.com'],
    ['xa.com', 'app'],
    ['a.com.evil.net', 'app'],
    ['a.com..', 'app'],
    ['.a.com', 'app'],
    ['aXcom', 'app'],
    ['www.b.com', '*.b.com'],
    ['x.y.B.com:1', '*.b.com'],
    ['b.com', 'app'],
    ['.b.com', 'app'],
    ['xb.com', 'app'],
    ['c12.com', '^c\\d+\\.com$'],
    ['C12.com.', '^c\\d+\\.com$'],
    ['xc12.com', 'app'],
    ['[::1]', '[::1]'],
    ['[::1]:8080', '[::1]'],
    ['[0:0:0:0:0:0:0:1]', '[::1]'],
    ['[::2]', 'app'],
    ['127.0.0.1:80', '127.0.0.1'],
    ['UNDER_score.com', 'under_score.com'],
    ['www.xn--bcher-kva.de', '*.xn--bcher-kva.de'],
    // What Koa reads as the host, plugins are matched by: the app behind sees the same.
    ['user@a.com', 'a.com'],
    ['a.com, evil.net', 'a.com'],
    ['evil.net, a.com', 'app'],
  ])('%j goes to %j', async (host, expected) => {
    const { port, seen } = await startApp({ document: { domains: NAMES.map(domain) } })
    // Twice: what is remembered of a host must be what was found out.
    for (const answer of [await ask(port, [host]), await ask(port, [host])]) {
      expect([answer.slice(0, 15), bodyOf(answer)]).toEqual(['HTTP/1.1 200 OK', expected])
    }
    expect(seen.filter(({ name }) => name === 'on_error')).toEqual([])
  })

  it.each([
    ['none (HTTP/1.0)', [], '1.0'],
    ['an empty one', [''], '1.1'],
    ['one of 10 KB', ['a'.repeat(10_240)], '1.1'],
    ['one of 10 KB with dots', ['a.'.repeat(5120)], '1.1'],
    ['a broken IPv6 address', ['[::1'], '1.1'],
    ['an IPv6 address with a zone', ['[fe80::1%25eth0]'], '1.1'],
    ['brackets around anything', ['[a]'], '1.1'],
    ['a port that is none', ['a.com:x:y'], '1.1'],
    ['user and password without a host', ['a:b@'], '1.1'],
    ['bytes beyond ASCII', ['b\u00fccher.de'], '1.1'],
    ['a path', ['a.com/../b'], '1.1'],
    ['a percent', ['%'], '1.1'],
    ['the name of a property', ['__proto__'], '1.1'],
    ['another name of a property', ['constructor'], '1.1'],
    ['what an expression would be', ['.*'], '1.1'],
  ])('and served whatever that is: %s', async (_what, hosts, version) => {
    const hostless = await startApp({ document: { domains: [domain('only.this')] } })
    const every = await startApp({ document: { domains: [domain('only.this'), domain('*')] } })
    for (let time = 0; time < 2; time += 1) {
      expect(bodyOf(await ask(hostless.port, hosts, version))).toBe('app')
      const answer = await ask(every.port, hosts, version)
      expect([answer.slice(9, 15), bodyOf(answer)]).toEqual(['200 OK', '*'])
    }
    expect([...hostless.errors, ...every.errors]).toEqual([])
    for (const { name } of every.seen) expect(name).toMatch(/^rt_plugins_(starting|done)$/)
  })

  it('and not searched with expressions where it is longer than any name in DNS', async () => {
    const { port } = await startApp({
      document: {
        general: { skip_domains: ['[\\w\\d\\.\\-]*server.local.com'] },
        domains: [domain('a*b.com$'), domain('*.c.com'), domain('*')],
      },
    })
    const ofLength = (length: number, end: string) => 'a'.repeat(length - end.length) + end
    expect(bodyOf(await ask(port, [ofLength(255, 'b.com')]))).toBe('a*b.com$\n*')
    expect(bodyOf(await ask(port, [ofLength(256, 'b.com')]))).toBe('*')
    expect(bodyOf(await ask(port, [ofLength(256, '.c.com')]))).toBe('*.c.com\n*')
    expect(bodyOf(await ask(port, [ofLength(255, 'server.local.com')]))).toBe('app')
    expect(bodyOf(await ask(port, [ofLength(10_240, 'server.local.com')]))).toBe('*')
  })

  it('by the first of two Host lines, as Node has it', async () => {
    const { port } = await startApp({ document: { domains: [domain('a.com'), domain('b.com')] } })
    expect(bodyOf(await ask(port, ['a.com', 'b.com']))).toBe('a.com')
  })

  it.each([
    ['http://b.com/', 'b.com'],
    ['HTTP://B.com.:80/x', 'b.com'],
    ['http://user:pw@b.com', 'b.com'],
    ['http://a.com@b.com/', 'b.com'],
    ['http://%62.com?x', 'b.com'],
    ['https://b.com:99999/', 'b.com'],
    ['ws://b.com/', 'b.com'],
    ['http://[::1]:80/', '[::1]'],
    ['http://[0:0::1]/', '[::1]'],
    ['http://2130706433/', '127.0.0.1'],
    ['http://c.com/', 'app'],
    ['/http://b.com/', 'a.com'],
    ['//b.com/', 'a.com'],
  ])('by its target where that is in absolute form, rather than by Host: %s', async (target, expected) => {
    const names = ['a.com', 'b.com', '[::1]', '127.0.0.1']
    const { port } = await startApp({ document: { domains: names.map(domain) } })
    for (let time = 0; time < 2; time += 1) {
      const answer = await exchange(port, `GET ${target} HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n`)
      expect([answer.slice(9, 15), bodyOf(answer)]).toEqual(['200 OK', expected])
    }
  })

  it.each([
    ['%61.com', 'a.com'],
    ['x@%61.com:80', 'a.com'],
    ['a.com/x', 'a.com'],
    ['a.com?x', 'a.com'],
    ['127.1', '127.0.0.1'],
    ['0x7f.0.0.1', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['[::FFFF:7f00:1]', '[::ffff:7f00:1]'],
    ['b\u00fccher.de', 'xn--bcher-kva.de'],
    ['%EF%BD%81.com', 'a.com'],
    ['7', '7'],
  ])('in whatever spelling an address has the same host: %j', async (host, expected) => {
    const names = ['a.com', '127.0.0.1', '[::ffff:127.0.0.1]', 'xn--bcher-kva.de', '7']
    const { port } = await startApp({ document: { domains: names.map(domain) } })
    const answered = { '[::ffff:7f00:1]': '[::ffff:127.0.0.1]' }[expected] ?? expected
    for (let time = 0; time < 2; time += 1) expect(bodyOf(await ask(port, [host]))).toBe(answered)
  })

  it('and its plugins are none where the host is skipped', async () => {
    const { port } = await startApp({
      document: {
        general: { skip_domains: ['health.a.com', '*.internal', '^[\\w\\d\\.\\-]*server.local.com'] },
        domains: [domain('*')],
      },
    })
    const answers = await Promise.all(
      ['a.com', 'HEALTH.a.com:1', 'x.internal', 'metrics.server.local.com', 'internal'].map((host) =>
        ask(port, [host]),
      ),
    )
    expect(answers.map(bodyOf)).toEqual(['*', 'app', 'app', 'app', '*'])
  })
})

describe('X-Forwarded-Host', () => {
  const setup = (proxy: boolean): TestAppSetup => ({
    document: { domains: [domain('inside.a.com'), domain('outside.a.com')] },
    configure(app) {
      app.proxy = proxy
    },
  })
  const forwarded = (host: string) => `X-Forwarded-Host: ${host}\r\n`

  it('counts where the app trusts its proxy', async () => {
    const { port } = await startApp(setup(true))
    for (const host of ['outside.a.com', 'Outside.A.com:443', 'outside.a.com, inside.a.com']) {
      expect(bodyOf(await ask(port, ['inside.a.com'], '1.1', forwarded(host)))).toBe('outside.a.com')
    }
    expect(bodyOf(await ask(port, ['inside.a.com']))).toBe('inside.a.com')
  })

  it('counts for more than an absolute target, which is that of the proxy', async () => {
    const { port } = await startApp(setup(true))
    const more = 'Host: inside.a.com\r\nX-Forwarded-Host: outside.a.com\r\nConnection: close\r\n\r\n'
    expect(bodyOf(await exchange(port, `GET http://inside.a.com/ HTTP/1.1\r\n${more}`))).toBe('outside.a.com')
  })

  it('is nothing where it does not', async () => {
    const { port } = await startApp(setup(false))
    expect(bodyOf(await ask(port, ['inside.a.com'], '1.1', forwarded('outside.a.com')))).toBe('inside.a.com')
  })
})

describe('over HTTP/2', () => {
  it('the authority is the host', async () => {
    const { port } = await startApp({
      document: { domains: [domain('a.com'), domain('b.com')] },
      listen: (listener) => createHttp2Server(listener as never) as never,
    })
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    const read = async (headers: Record<string, string>) => {
      const stream = session.request({ ':path': '/', ...headers })
      await once(stream, 'response')
      return Buffer.concat(await stream.toArray())
        .toString()
        .trimEnd()
    }
    expect(await read({ ':authority': 'A.com:8443' })).toBe('a.com')
    expect(await read({ ':authority': 'b.com', host: 'a.com' })).toBe('b.com')
    expect(await read({ ':authority': 'c.com' })).toBe('app')
    session.close()
  })
})

it('remembers no host under a name that another way of reading it gives to another host', async () => {
  const api = await startPluginApi({
    domains: [{ name: 'protected.com', plugins: [plugin('access', `exit(403, 'refused')`)] }],
  })
  const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
  const ports = await Promise.all(
    [true, false].map((proxy) => {
      const { app } = createApp([dyna, (ctx) => (ctx.body = ctx.hostname)], (made) => {
        made.proxy = proxy
      })
      return listen(createServer(app.callback()))
    }),
  )
  const [proxied, direct] = ports as [number, number]
  // In an address, %2C is a comma; Koa takes what stands before a comma in the header.
  expect(bodyOf(await ask(proxied, ['user@protected.com%2Cx']))).toBe('protected.com,x')
  expect(bodyOf(await ask(direct, ['protected.com,x']))).toBe('refused')
})
