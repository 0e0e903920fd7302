import { createServer } from 'node:http'
import supertest from 'supertest'
import { describe, expect, it, vi } from 'vitest'
import { createApp, createDeferred, everywhere, failures, listen, plugin, startApp } from '../../fixtures/app.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

const PHASES = ['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'] as const

/** A global by which plugins and the app note that they ran. */
function createTrace() {
  const steps: string[] = []
  return { steps, globals: { mark: (step: string) => void steps.push(step) } }
}

describe('the phases', () => {
  it('run in their order around the app, whatever their order in the document', async () => {
    const { steps, globals } = createTrace()
    const { request } = await startApp({
      plugins: PHASES.toReversed().map((phase) => plugin(phase, `mark('${phase}')`)),
      options: { globals },
      inner: async (ctx) => {
        steps.push('app')
        await Promise.resolve()
        ctx.body = 'app'
        steps.push('app done')
      },
    })
    await request.get('/').expect(200, 'app')
    await vi.waitFor(() => expect(steps).toContain('log'), { interval: 1 })
    expect(steps).toEqual([
      'rewrite',
      'access',
      'content',
      'balancer',
      'app',
      'app done',
      'header_filter',
      'body_filter',
      'log',
    ])
  })

  it('keep their order when every plugin is asynchronous', async () => {
    const { steps, globals } = createTrace()
    const { request } = await startApp({
      plugins: PHASES.map((phase, index) =>
        plugin(phase, `await new Promise((done) => setTimeout(done, ${7 - index})); mark('${phase}')`),
      ),
      options: { globals },
      inner: (ctx) => {
        steps.push('app')
        ctx.body = 'app'
      },
    })
    await request.get('/').expect(200, 'app')
    await vi.waitFor(() => expect(steps).toContain('log'), { interval: 1 })
    expect(steps).toEqual(['rewrite', 'access', 'content', 'balancer', 'app', 'header_filter', 'body_filter', 'log'])
  })

  it('run the plugins of one phase in document order, over all the domains that match', async () => {
    const { request } = await startApp({
      document: {
        domains: [
          { name: '127.0.0.1', plugins: [plugin('content', `say('a')`), plugin('content', `say('b')`)] },
          { name: 'elsewhere.test', plugins: [plugin('content', `say('never')`)] },
          { name: '*', plugins: [plugin('content', `say('c')`)] },
        ],
      },
    })
    await request.get('/').expect(200, 'a\nb\nc\n')
  })

  it('run a higher priority earlier, and equal ones in document order', async () => {
    const { request } = await startApp({
      plugins: [
        plugin('content', `say('first of 0')`),
        plugin('content', `say('-1')`, { priority: -1 }),
        plugin('content', `say('10')`, { priority: 10 }),
        plugin('content', `say('second of 0')`),
        plugin('content', `await null; say('2.5')`, { priority: 2.5 }),
        // Of another phase: priority says nothing about it.
        plugin('rewrite', `say('rewrite')`, { priority: -99 }),
      ],
    })
    await request.get('/').expect(200, 'rewrite\n10\n2.5\nfirst of 0\nsecond of 0\n-1\n')
  })

  it('let rewrite change what the app routes by', async () => {
    const { request } = await startApp({
      plugins: [
        plugin(
          'rewrite',
          `ctx.path = '/new'; ctx.query = { a: '1' }; ctx.method = 'PUT'; ctx.req.headers['x-user'] = 'ann'`,
        ),
      ],
      inner: (ctx) => {
        ctx.body = `${ctx.method} ${ctx.url} ${ctx.get('x-user')}`
      },
    })
    await request.get('/old?b=2').expect(200, 'PUT /new?a=1 ann')
  })

  it('hand what the balancer chose to the app', async () => {
    const { request } = await startApp({
      plugins: [plugin('balancer', `ctx.state.upstream = 'http://10.0.0.' + (ctx.path.length)`)],
      inner: (ctx) => {
        ctx.body = ctx.state.upstream
      },
    })
    await request.get('/abc').expect(200, 'http://10.0.0.4')
  })

  it('let header_filter change the status and headers of the app, its body left as it is', async () => {
    const { request } = await startApp({
      plugins: [
        plugin('header_filter', `ctx.status = 201; ctx.set('X-Frame-Options', 'DENY'); ctx.remove('X-Powered-By')`),
      ],
      inner: (ctx) => {
        ctx.set('X-Powered-By', 'koa')
        ctx.body = { made: true }
      },
    })
    const response = await request.get('/').expect(201, { made: true }).expect('X-Frame-Options', 'DENY')
    expect(response.headers).not.toHaveProperty('x-powered-by')
  })

  it('take body_filter over what header_filter changed, and not before', async () => {
    const { request } = await startApp({
      plugins: [
        plugin('body_filter', `return chunk + ' ' + ctx.status + ' ' + ctx.response.get('X-A')`),
        plugin('header_filter', `ctx.status = 202; ctx.set('X-A', 'a')`),
      ],
    })
    await request.get('/').expect(202, 'app 202 a')
  })
})

describe('a content plugin that made a response', () => {
  it.each([
    ['with say', `say('plugin')`, 200, 'plugin\n'],
    ['with exit', `exit(202, 'plugin')`, 202, 'plugin'],
    ['with ctx.body', `ctx.body = 'plugin'`, 200, 'plugin'],
    ['with an empty ctx.body', `ctx.body = ''`, 200, ''],
    ['with JSON', `ctx.body = { a: 1 }`, 200, '{"a":1}'],
    ['with null as ctx.body', `ctx.body = null`, 204, ''],
    ['with ctx.status alone', `ctx.status = 403`, 403, 'Forbidden'],
    ['with the status that Koa has by default', `ctx.status = 404`, 404, 'Not Found'],
    ['with a redirect', `ctx.redirect('/login')`, 302, 'Redirecting to /login.'],
    ['with ctx.respond = false', `ctx.respond = false; ctx.res.end('plugin')`, 404, 'plugin'],
    ['with the raw response', `ctx.res.statusCode = 200; ctx.res.end('plugin')`, 200, 'plugin'],
    ['with a failure it throws on purpose', `ctx.throw(418)`, 418, "I'm a Teapot"],
    ['later, in asynchronous code', `await null; ctx.body = 'plugin'`, 200, 'plugin'],
  ])('answers instead of the app: %s', async (_how, code, status, text) => {
    const inner = vi.fn()
    const { request } = await startApp({ plugins: [plugin('content', code)], inner: (ctx) => inner(ctx) })
    const response = await request.get('/').set('Accept', 'text/plain')
    expect([response.status, response.text]).toEqual([status, text])
    expect(inner).not.toHaveBeenCalled()
  })

  it('is still seen by the filters, but not by the balancer', async () => {
    const { steps, globals } = createTrace()
    const { request } = await startApp({
      plugins: PHASES.map((phase) => plugin(phase, phase === 'content' ? `say('plugin')` : `mark('${phase}')`)),
      options: { globals },
    })
    await request.get('/').expect(200, 'plugin\n')
    await vi.waitFor(() => expect(steps).toContain('log'), { interval: 1 })
    expect(steps).toEqual(['rewrite', 'access', 'header_filter', 'body_filter', 'log'])
  })

  it('does not keep the other content plugins from running', async () => {
    const { request } = await startApp({ plugins: [plugin('content', `say('a')`), plugin('content', `say('b')`)] })
    await request.get('/').expect(200, 'a\nb\n')
  })
})

describe('the app answers', () => {
  it.each([
    ['does nothing', ''],
    ['only sets a header', `ctx.set('X-A', 'a')`],
    ['only reads', `log(ctx.path, ctx.status, ctx.body)`],
    ['only writes to ctx.state', `ctx.state.user = 'ann'`],
    ['returns something', `return 'not a body'`],
    ['returns something later', `await null; return 'not a body'`],
    ['throws', `throw new Error('broken')`],
  ])('when a content plugin %s', async (_what, code) => {
    const { request } = await startApp({ plugins: [plugin('content', code)] })
    await request.get('/').expect(200, 'app')
  })

  it('after what plugins of earlier phases said, in place of it', async () => {
    const { request } = await startApp({
      plugins: [plugin('rewrite', `say('rewrite')`), plugin('content', '')],
    })
    await request.get('/').expect(200, 'app')
  })
})

describe('a request that a plugin refused', () => {
  it.each(['rewrite', 'access', 'content', 'balancer'] as const)(
    'in %s passes header_filter, body_filter and log, and nothing between',
    async (refusing) => {
      const { steps, globals } = createTrace()
      const { request } = await startApp({
        plugins: [
          plugin(refusing, `exit(403, 'no')`),
          ...PHASES.map((phase) => plugin(phase, `mark('${phase}'); if (last) return chunk + '!'`)),
        ],
        options: { globals },
        inner: () => void steps.push('app'),
      })
      await request.get('/').expect(403, 'no!')
      await vi.waitFor(() => expect(steps).toContain('log'), { interval: 1 })
      const before = PHASES.slice(0, PHASES.indexOf(refusing))
      expect(steps).toEqual([...before, 'header_filter', 'body_filter', 'log'])
    },
  )
})

describe('the log phase', () => {
  it('sees the response as it went out', async () => {
    const lines: unknown[] = []
    const { request } = await startApp({
      plugins: [
        plugin('log', `write([ctx.method, ctx.url, ctx.status, ctx.length, ctx.res.writableFinished])`),
        plugin('header_filter', `ctx.status = 201`),
      ],
      options: { globals: { write: (line: unknown) => void lines.push(line) } },
    })
    await request.get('/x').expect(201, 'app')
    await vi.waitFor(() => expect(lines).toEqual([['GET', '/x', 201, 3, true]]), { interval: 1 })
  })

  it('runs after an error of the app', async () => {
    const statuses: number[] = []
    const { request } = await startApp({
      plugins: [plugin('log', `write(ctx.status)`)],
      options: { globals: { write: (status: number) => void statuses.push(status) } },
      inner: (ctx) => ctx.throw(409),
    })
    await request.get('/').expect(409)
    await vi.waitFor(() => expect(statuses).toEqual([409]), { interval: 1 })
  })

  it('runs once when the client goes away before there is an answer', async () => {
    const finished: boolean[] = []
    const reached = createDeferred()
    const { uri } = await startApp({
      plugins: [plugin('log', `write(ctx.res.writableFinished)`)],
      options: { globals: { write: (state: boolean) => void finished.push(state) } },
      inner: async (ctx) => {
        reached.resolve()
        await new Promise((resolve) => ctx.res.once('close', resolve))
        ctx.body = 'too late'
      },
    })
    const client = new AbortController()
    const answer = fetch(uri, { signal: client.signal })
    await reached.promise
    client.abort()
    await expect(answer).rejects.toThrow()
    await vi.waitFor(() => expect(finished).toEqual([false]), { interval: 1 })
  })

  it('never delays the response', async () => {
    const { promise, resolve } = createDeferred()
    const { request } = await startApp({
      plugins: [plugin('log', `await hold`)],
      options: { globals: { hold: promise } },
    })
    await request.get('/').expect(200, 'app')
    resolve()
  })

  it.each([
    ['throws', `throw new Error('broken')`],
    ['rejects', `await null; throw new Error('broken')`],
    ['throws an http-error', `ctx.throw(500, 'broken')`],
  ])('turns a plugin that %s into an event, and runs the others', async (_how, code) => {
    const ran = vi.fn()
    const running = await startApp({
      plugins: [plugin('log', code), plugin('log', code, { on_failure: 'closed' }), plugin('log', 'ran()')],
      options: { globals: { ran } },
    })
    await running.request.get('/').expect(200, 'app')
    await vi.waitFor(() => expect(ran).toHaveBeenCalledOnce(), { interval: 1 })
    expect(failures(running)).toEqual([
      expect.objectContaining({ phase: 'log', error: expect.objectContaining({ message: 'broken' }) }),
      expect.objectContaining({ phase: 'log', error: expect.objectContaining({ message: 'broken' }) }),
    ])
    expect(running.errors).toEqual([])
  })

  it('runs every plugin, even after one that called exit', async () => {
    const ran = vi.fn()
    const { request, errors } = await startApp({
      plugins: [plugin('log', 'exit(500)'), plugin('log', 'ran()')],
      options: { globals: { ran } },
    })
    await request.get('/').expect(200, 'app')
    await vi.waitFor(() => expect(ran).toHaveBeenCalledOnce(), { interval: 1 })
    expect(errors).toEqual([])
  })
})

describe('two instances in one app', () => {
  it('run one inside the other, and know nothing of each other', async () => {
    const [outerApi, innerApi] = await Promise.all(
      ['outer', 'inner'].map((name) =>
        startPluginApi(
          everywhere([
            plugin('rewrite', `(ctx.state.steps ??= []).push('${name} down')`),
            plugin('header_filter', `ctx.state.steps.push('${name} up'); ctx.set('X-${name}', '1')`),
            plugin('body_filter', `return chunk + ' ${name}'`),
            plugin('access', `if (ctx.path === '/store') exit(200, store.get('x') ?? 'nothing'); store.set('x', 1)`),
          ]),
        ),
      ),
    )
    const outer = createInstance({ plugin_api_uri: outerApi?.uri ?? '' })
    const inner = createInstance({ plugin_api_uri: innerApi?.uri ?? '' })
    await Promise.all([outer.ready(), inner.ready()])
    const steps: string[][] = []
    const { app, errors } = createApp([
      outer,
      inner,
      (ctx) => {
        steps.push(ctx.state.steps)
        if (ctx.path === '/error') throw new Error('broken')
        ctx.body = 'app'
      },
    ])
    const server = createServer(app.callback())
    await listen(server)
    const request = supertest(server)

    await request.get('/').expect(200, 'app inner outer').expect('X-inner', '1').expect('X-outer', '1')
    expect(steps[0]).toEqual(['outer down', 'inner down', 'inner up', 'outer up'])
    await request
      .get('/error')
      .expect(500, 'Internal Server Error inner outer')
      .expect('X-inner', '1')
      .expect('X-outer', '1')
    expect(errors).toEqual([expect.objectContaining({ message: 'broken' })])
    await inner.close()
    await request.get('/').expect(200, 'app outer')
  })

  it('run twice where one instance is mounted twice', async () => {
    const api = await startPluginApi(
      everywhere([plugin('header_filter', `ctx.append('X-Times', '1')`), plugin('body_filter', `return chunk + '!'`)]),
    )
    const dyna = createInstance({ plugin_api_uri: api.uri })
    await dyna.ready()
    const { app } = createApp([
      dyna,
      dyna,
      (ctx) => {
        if (ctx.path === '/error') throw new Error('broken')
        ctx.body = 'app'
      },
    ])
    const server = createServer(app.callback())
    await listen(server)
    await supertest(server).get('/').expect(200, 'app!!').expect('X-Times', '1, 1')
    await supertest(server).get('/error').expect(500, 'Internal Server Error!!')
  })
})
