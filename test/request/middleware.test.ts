import { createServer, type RequestListener } from 'node:http'
import { Readable } from 'node:stream'
import type { Context, Middleware } from 'koa'
import { describe, expect, it, vi } from 'vitest'
import type { DynacodeOptions } from '../../lib/index.ts'
import {
  createApp,
  createDeferred,
  everywhere,
  exchange,
  listen,
  plugin,
  startApp,
  type TestAppSetup,
} from '../fixtures/app.ts'
import { createInstance, payloadsOf, record } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'

const REFUSE_ALL = plugin('access', `exit(403, 'refused')`)

/** An app in front of which dynacode waits for an API that has not answered yet. */
async function startUnloaded(options: DynacodeOptions) {
  const answer = createDeferred<(document: unknown) => void>()
  const api = await startPluginApi()
  api.behave((_request, response) => {
    answer.resolve((document) => response.setHeader('Content-Type', 'application/json').end(JSON.stringify(document)))
  })
  const dyna = createInstance({ plugin_api_uri: api.uri, ...options })
  const seen = record(dyna, ['rt_plugins_not_loaded'])
  const { app } = createApp([
    dyna,
    (ctx) => {
      ctx.body = 'app'
    },
  ])
  const port = await listen(createServer(app.callback()))
  return { dyna, seen, uri: `http://127.0.0.1:${port}`, answer: answer.promise }
}

describe('before the first document', () => {
  it('requests pass to the app by default, each with an event', async () => {
    const on_not_loaded = vi.fn()
    const { uri, seen } = await startUnloaded({ on_not_loaded })
    const response = await fetch(uri)
    expect([response.status, await response.text()]).toEqual([200, 'app'])
    expect(payloadsOf(seen, 'rt_plugins_not_loaded')).toEqual([{ host: '127.0.0.1', at: expect.any(Number) }])
    expect(on_not_loaded).toHaveBeenCalledExactlyOnceWith({ host: '127.0.0.1', at: expect.any(Number) })
  })

  it('they get 503 with when_not_loaded "closed", and the app once there is a document', async () => {
    const { uri, seen, answer, dyna } = await startUnloaded({ when_not_loaded: 'closed' })
    const response = await fetch(uri)
    expect([response.status, await response.text()]).toEqual([503, 'Service Unavailable'])
    expect(seen).toHaveLength(1)
    ;(await answer)({ domains: [] })
    await dyna.ready()
    expect((await fetch(uri)).status).toBe(200)
    expect(seen).toHaveLength(1)
  })

  it('they wait for it with "wait", and its plugins run for them', async () => {
    const { uri, answer } = await startUnloaded({ when_not_loaded: 'wait' })
    const responses = Array.from({ length: 3 }, () => fetch(uri))
    ;(await answer)(everywhere([REFUSE_ALL]))
    for (const response of await Promise.all(responses)) expect(response.status).toBe(403)
  })

  it('they get 503 when they have waited for plugin_api_timeout', async () => {
    const { uri } = await startUnloaded({ when_not_loaded: 'wait', plugin_api_timeout: 0.05 })
    expect((await fetch(uri)).status).toBe(503)
  })

  it.each([
    ['open', 200],
    ['closed', 503],
    ['wait', 503],
  ] as const)(
    'they get what the policy says after close(), those that wait at once: %s',
    async (when_not_loaded, status) => {
      const { uri, dyna, answer } = await startUnloaded({ when_not_loaded })
      const waiting = fetch(uri)
      await answer
      await dyna.close()
      expect((await waiting).status).toBe(status)
      expect((await fetch(uri)).status).toBe(status)
    },
  )
})

describe('a document that switches the plugins off', () => {
  it('lets requests pass to the app, each with an event', async () => {
    const running = await startApp({
      document: { general: { status: 'disabled' }, ...everywhere([REFUSE_ALL]) },
    })
    await running.request.get('/').set('Host', 'A.com:1').expect(200, 'app')
    expect(running.seen).toEqual([{ name: 'rt_plugins_disabled', payload: { host: 'a.com', at: expect.any(Number) } }])
    await running.serve(everywhere([REFUSE_ALL]))
    await running.request.get('/').expect(403)
  })
})

describe('an app without plugins for the host', () => {
  const PLUGINS = (['rewrite', 'header_filter', 'body_filter', 'log'] as const).map((phase) =>
    plugin(phase, 'exit(500)'),
  )
  const WITHOUT: readonly (readonly [string, TestAppSetup])[] = [
    ['no domain that matches', { document: { domains: [{ name: 'elsewhere.test', plugins: PLUGINS }] } }],
    ['a domain without plugins', { document: everywhere([]) }],
    ['an empty document', { document: { domains: [] } }],
    ['a skipped host', { document: { general: { skip_domains: ['a.test', 'other.test'] }, ...everywhere(PLUGINS) } }],
    ['plugins switched off', { document: { general: { status: 'off' }, ...everywhere(PLUGINS) } }],
  ]

  it.each(WITHOUT)('gets the promise of next() handed through as it is: %s', async (_what, setup) => {
    const { dyna } = await startApp(setup)
    const own = Promise.resolve('of the app')
    const { app } = createApp([])
    const check: RequestListener = (req, res) => {
      const got = dyna(app.createContext(req, res), () => own)
      res.end(String(got === own))
    }
    const port = await listen(createServer(check))
    expect(await exchange(port, 'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n')).toMatch(/\r\n\r\ntrue$/)
  })

  const APP: Record<string, Middleware> = {
    string: (ctx) => {
      ctx.body = 'text'
    },
    html: (ctx) => {
      ctx.body = '<p>é</p>'
    },
    json: (ctx) => {
      ctx.body = { a: [1, null, 'é'] }
    },
    buffer: (ctx) => {
      ctx.body = Buffer.from([0, 255, 10, 13])
    },
    stream: (ctx) => {
      ctx.body = Readable.from(['a', 'b', Buffer.from('c')])
    },
    'stream with length': (ctx) => {
      ctx.length = 3
      ctx.body = Readable.from(['a', 'bc'])
    },
    web: (ctx) => {
      ctx.body = new Response('web').body
    },
    response: (ctx) => {
      ctx.body = new Response('made', { status: 201, headers: { 'X-A': 'a' } })
    },
    blob: (ctx) => {
      ctx.body = new Blob(['blob'], { type: 'text/css' })
    },
    nothing: () => undefined,
    null: (ctx) => {
      ctx.body = null
    },
    status: (ctx) => {
      ctx.status = 202
    },
    message: (ctx) => {
      ctx.status = 200
      ctx.message = 'Fine'
      ctx.body = 'x'
    },
    'not modified': (ctx) => {
      ctx.set('ETag', '"1"')
      ctx.status = 304
    },
    cookies: (ctx) => {
      ctx.cookies.set('a', '1')
      ctx.cookies.set('b', '2')
      ctx.set('x-CaSe', 'kept')
      ctx.vary('Origin')
      ctx.body = ''
    },
    redirect: (ctx) => ctx.redirect('/there?a=b'),
    range: (ctx) => {
      ctx.set('Content-Range', `bytes 1-2/4`)
      ctx.status = 206
      ctx.body = ctx.get('Range')
    },
    echo: async (ctx) => {
      const chunks = await ctx.req.toArray()
      ctx.body = [ctx.method, ctx.url, ctx.host, ctx.headers, Buffer.concat(chunks).toString()]
    },
    raw: (ctx) => {
      ctx.respond = false
      ctx.res.writeHead(200, 'Raw', ['X-A', '1', 'X-A', '2'])
      ctx.res.write('one')
      ctx.res.end('two')
    },
    flushed: (ctx) => {
      ctx.status = 200
      ctx.flushHeaders()
      ctx.body = Readable.from(['a'])
    },
    throw: (ctx) => ctx.throw(418, 'short', { headers: { 'X-A': 'a' } }),
    error: () => {
      throw new Error('broken')
    },
    rejection: () => Promise.reject(Object.assign(new Error('gone'), { status: 410, expose: true })),
    'no error': () => Promise.reject('text'),
    cut: (ctx) => {
      ctx.body = Readable.from(cut())
    },
    later: async (ctx) => {
      await new Promise((done) => setTimeout(done, 5))
      ctx.body = 'later'
    },
  }
  const inner: Middleware = (ctx, next) => APP[decodeURIComponent(ctx.path.slice(1))]?.(ctx, next)

  const REQUESTS = [
    ...Object.keys(APP).flatMap((name) =>
      ['GET', 'HEAD'].map((method) => `${method} /${encodeURIComponent(name)} HTTP/1.1\r\nHost: a.test\r\n{close}\r\n`),
    ),
    `POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n{close}\r\nhello`,
    `PUT /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n{close}\r\n3\r\nabc\r\n0\r\n\r\n`,
    `POST /echo HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n{close}\r\nhi`,
    `GET /range HTTP/1.1\r\nHost: a.test\r\nRange: bytes=1-2\r\n{close}\r\n`,
    `GET /string HTTP/1.0\r\nHost: a.test\r\n\r\n`,
    `GET /stream HTTP/1.0\r\nHost: a.test\r\n\r\n`,
    `OPTIONS * HTTP/1.1\r\nHost: a.test\r\n{close}\r\n`,
    `GET http://other.test/echo HTTP/1.1\r\nHost: a.test\r\n{close}\r\n`,
    // Three on one connection.
    `GET /string HTTP/1.1\r\nHost: a.test\r\n\r\nGET /stream HTTP/1.1\r\nHost: a.test\r\n\r\nGET /throw HTTP/1.1\r\nHost: a.test\r\n{close}\r\n`,
  ].map((text) => text.replace('{close}', 'Connection: close\r\n'))

  it.each(WITHOUT)('answers byte for byte as without dynacode: %s', async (_what, setup) => {
    const plain = createApp([inner])
    const plainPort = await listen(createServer(plain.app.callback()))
    const { port, errors } = await startApp({ ...setup, inner })
    const [expected, got] = await Promise.all(
      [plainPort, port].map((each) => Promise.all(REQUESTS.map((text) => exchange(each, text)))),
    )
    expect(got?.map(withoutDate)).toEqual(expected?.map(withoutDate))
    expect(expected?.every((answer) => answer.startsWith('HTTP/1.1 '))).toBe(true)
    const messages = (all: unknown[]) => all.map((error) => (error as Error).message ?? error).sort()
    expect(messages(errors)).toEqual(messages(plain.errors))
  })

  it('leaves the request and the context as they came', async () => {
    const kept: unknown[] = []
    const { port } = await startApp({
      document: { domains: [{ name: 'elsewhere.test', plugins: PLUGINS }] },
      outer: [
        (ctx, next) => {
          kept.push(snapshot(ctx))
          return next()
        },
      ],
      inner(ctx) {
        kept.push(snapshot(ctx))
        ctx.body = 'app'
      },
    })
    await exchange(port, 'GET / HTTP/1.1\r\nHost: a.test\r\nRange: bytes=0-1\r\nConnection: close\r\n\r\n')
    expect(kept[1]).toEqual(kept[0])
  })
})

it.each([
  ['switched off', { enabled: false }],
  ['past its end', { expires_at: '2020-01-01T00:00:00Z' }],
])('lets requests pass where a plugin that fails closed does not compile, but is %s', async (_what, fields) => {
  const broken = (more: object) => everywhere([plugin('access', 'exit(403', { on_failure: 'closed', ...more })])
  const running = await startApp({ document: broken(fields) })
  await running.request.get('/').expect(200, 'app')
  await running.serve(broken({}))
  await running.request.get('/').expect(503)
})

it('is a middleware with a name, that any number of apps may mount', async () => {
  const api = await startPluginApi(everywhere([plugin('content', `say(ctx.app.name)`)]))
  const dyna = createInstance({ plugin_api_uri: api.uri })
  await dyna.ready()
  expect(dyna.name).toBe('dynacode')
  for (const name of ['one', 'two']) {
    const { app } = createApp([dyna], (made) => Object.assign(made, { name }))
    const port = await listen(createServer(app.callback()))
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe(`${name}\n`)
  }
})

it('asks the app once, and not at all when the client took the answer of a plugin', async () => {
  const inner = vi.fn()
  const { request } = await startApp({
    plugins: [plugin('access', `if (ctx.path === '/raw') { ctx.respond = false; ctx.res.end('raw') }`)],
    inner: () => inner(),
  })
  await request.get('/raw').expect('raw')
  expect(inner).not.toHaveBeenCalled()
  await request.get('/').expect(404)
  expect(inner).toHaveBeenCalledOnce()
})

it('gives each request a state of its own', async () => {
  const held = createDeferred()
  const { request } = await startApp({
    plugins: [plugin('access', `if (ctx.path === '/slow') { await held; return }; exit(403)`)],
    options: { globals: { held: held.promise } },
  })
  const slow = request.get('/slow')
  const answer = slow.then((response) => response.status)
  await request.get('/').expect(403)
  held.resolve()
  expect(await answer).toBe(200)
})

function withoutDate(text: string): string {
  return text.replaceAll(/\r\nDate: [^\r]*/g, '')
}

async function* cut() {
  yield 'part'
  await new Promise((done) => setTimeout(done, 5))
  throw new Error('cut')
}

/** What of a request a middleware could have changed. */
function snapshot(ctx: Context) {
  const { req, res, state, response } = ctx
  const listeners = (emitter: NodeJS.EventEmitter) =>
    emitter.eventNames().map((name) => [name, emitter.listenerCount(name)])
  return [
    { ...req.headers },
    [...req.rawHeaders],
    { ...state },
    Reflect.ownKeys(ctx),
    Reflect.ownKeys(response),
    listeners(req),
    listeners(res),
    res.end,
  ]
}
