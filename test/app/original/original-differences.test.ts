import { createServer } from 'node:http'
import { describe, expect, it, vi } from 'vitest'
import { createApp, everywhere, exchange, failures, listen, plugin, startApp } from '../../fixtures/app.ts'
import { createInstance, createReadyInstance, payloadsOf, record } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

/** Lets nobody in without a token; raises when there is no Authorization at all, as such checks do. */
const TOKEN_CHECK = plugin('access', `if (ctx.req.headers.authorization.split(' ')[1] !== 'secret') exit(401, 'no')`, {
  name: 'token',
})
const OTHER = plugin('header_filter', `ctx.set('X-Other', 'runs')`, { name: 'other' })

// What lua-resty-dynacode was seen to do on nginx 1.22, and dynacode must not.
describe('a start with the API down', () => {
  it('lets nobody in where the app says so, rather than everybody', async () => {
    const api = await startPluginApi()
    const { uri } = api
    await api.close()
    for (const [when_not_loaded, status] of [
      ['open', 200],
      ['closed', 503],
      ['wait', 503],
    ] as const) {
      const dyna = createInstance({ plugin_api_uri: uri, when_not_loaded, plugin_api_timeout: 0.05 })
      const { app } = createApp([dyna, (ctx) => (ctx.body = 'app')])
      const port = await listen(createServer(app.callback()))
      expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(status)
    }
  })
})

describe('the first seconds after a start', () => {
  it('let nobody past a plugin that the first poll brings, with when_not_loaded "wait"', async () => {
    const api = await startPluginApi(everywhere([TOKEN_CHECK]))
    const dyna = createInstance({ plugin_api_uri: api.uri, when_not_loaded: 'wait' })
    const { app } = createApp([dyna, (ctx) => (ctx.body = 'app')])
    const port = await listen(createServer(app.callback()))
    const ask = (token: string) => fetch(`http://127.0.0.1:${port}`, { headers: { Authorization: `Bearer ${token}` } })
    expect((await ask('wrong')).status).toBe(401)
    expect((await ask('secret')).status).toBe(200)
  })
})

describe('text that is no JSON', () => {
  it('is kept nowhere: the last good plugins stay, and the repaired API counts at once', async () => {
    const running = await startApp({ plugins: [OTHER] })
    running.api.answer({ body: '{"domains": [', etag: '"broken"' })
    const refused = await running.dyna.refresh()
    expect(refused).toMatchObject({ updated: false, reason: 'invalid', error: { code: 'ERR_DYNACODE_DOCUMENT' } })
    await running.request.get('/').expect(200).expect('X-Other', 'runs')

    running.api.serve(everywhere([plugin('content', `say('repaired')`)]), { etag: '"repaired"' })
    expect(await running.dyna.refresh()).toMatchObject({ updated: true })
    // Whoever remembered the broken text by its tag would have been told that nothing changed.
    expect(running.api.requests.at(-1)?.headers).not.toHaveProperty('if-none-match')
    await running.request.get('/').expect(200, 'repaired\n')
  })
})

describe('a document with a fault in its frame', () => {
  it.each([
    ['a domain without a name', { domains: [{ plugins: [OTHER] }] }, 'domains[0].name'],
    ['no domains', { general: { status: 'enabled' } }, 'domains'],
    ['domains that are no list', { domains: { '*': [OTHER] } }, 'domains'],
    ['a plugin that is nothing', { domains: [{ name: '*', plugins: [null] }] }, 'domains[0].plugins[0]'],
  ])('is refused whole, with its JSON path, and the last good plugins stay: %s', async (_what, document, path) => {
    const running = await startApp({ plugins: [TOKEN_CHECK] })
    const seen = record(running.dyna)
    await running.serve(document)
    expect(payloadsOf(seen, 'bg_didnt_update_plugins')).toEqual([
      expect.objectContaining({ reason: 'invalid', error: expect.objectContaining({ path }) }),
    ])
    await running.request.get('/').set('Authorization', 'Bearer wrong').expect(401)
  })

  it('is none without general: the plugins are on', async () => {
    const { request } = await startApp({ document: { domains: [{ name: '*', plugins: [OTHER] }] } })
    await request.get('/').expect('X-Other', 'runs')
  })
})

describe('a plugin with a fault', () => {
  it.each([
    ['no code', { name: 'bad', phase: 'access' }, 'code'],
    ['no phase', { name: 'bad', code: '' }, 'phase'],
    ['the phase "plugins"', { name: 'bad', phase: 'plugins', code: '' }, 'phase'],
    ['the phase "constructor"', { name: 'bad', phase: 'constructor', code: '' }, 'phase'],
    ['the phase "__proto__"', { name: 'bad', phase: '__proto__', code: '' }, 'phase'],
    ['the phase "toString"', { name: 'bad', phase: 'toString', code: '' }, 'phase'],
  ])('is refused alone, with its JSON path; the others update: %s', async (_what, bad, field) => {
    const running = await startApp({
      plugins: [plugin('header_filter', `ctx.set('X-Other', 'old')`, { name: 'other' })],
    })
    const seen = record(running.dyna)
    await running.serve({ domains: [{ name: '*', plugins: [bad, OTHER] }] })
    expect(payloadsOf(seen, 'bg_compile_error')).toEqual([
      expect.objectContaining({
        plugin: expect.objectContaining({ name: 'bad' }),
        error: expect.objectContaining({ path: `domains[0].plugins[0].${field}` }),
        kept_last_good: false,
      }),
    ])
    expect(payloadsOf(seen, 'bg_updated_plugins')).toEqual([expect.objectContaining({ plugins: 1, failed: 1 })])
    await running.request.get('/').expect(200, 'app').expect('X-Other', 'runs')
  })

  it('keeps its own last good version', async () => {
    const running = await startApp({ plugins: [TOKEN_CHECK, OTHER] })
    await running.serve({ domains: [{ name: '*', plugins: [{ name: 'token', phase: 'access' }, OTHER] }] })
    await running.request.get('/').set('Authorization', 'Bearer wrong').expect(401)
  })
})

describe('a broken expression as the name of a domain', () => {
  it('is told by an event; that domain alone is left out', async () => {
    const running = await startApp({ plugins: [] })
    const seen = record(running.dyna)
    await running.serve({
      domains: [
        { name: '([a-z', plugins: [TOKEN_CHECK] },
        { name: '*', plugins: [OTHER] },
      ],
    })
    expect(payloadsOf(seen, 'on_error')).toEqual([
      expect.objectContaining({ section: 'document', error: expect.objectContaining({ path: 'domains[0].name' }) }),
    ])
    await running.request.get('/').expect(200).expect('X-Other', 'runs')
  })
})

describe('code that ends in a comment', () => {
  it.each(['// the end', '/* the end */', '// the end\n', '<!-- the end', '//'])('compiles: %s', async (comment) => {
    const { request } = await startApp({ plugins: [plugin('content', `say('hello') ${comment}`)] })
    await request.get('/').expect(200, 'hello\n')
  })
})

describe('a token check that raises', () => {
  it.each([
    ['open', 200],
    ['closed', 503],
  ] as const)('does what its author chose: %s', async (on_failure, status) => {
    const running = await startApp({ plugins: [{ ...TOKEN_CHECK, on_failure }] })
    await running.request.get('/').expect(status)
    expect(failures(running)).toEqual([expect.objectContaining({ outcome: on_failure, error: expect.any(TypeError) })])
    await running.request.get('/').set('Authorization', 'Bearer secret').expect(200, 'app')
  })

  it('lets nobody in who makes it raise on purpose, where it fails closed', async () => {
    const { port } = await startApp({ plugins: [{ ...TOKEN_CHECK, on_failure: 'closed' }] })
    // Often enough for its breaker to open: a plugin that is not run for a while refuses all the while.
    for (let attempt = 0; attempt < 8; attempt += 1) {
      const answer = await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      expect(answer.slice(9, 12)).toBe('503')
    }
  })
})

describe('plugins that are switched off, or whose host is skipped', () => {
  it.each([
    ['disabled', { general: { status: 'disabled' } }],
    ['skipped', { general: { skip_domains: ['127.0.0.1'] } }],
  ])('cost a request no promise and no line of output: %s', async (_what, general) => {
    const written: unknown[] = []
    for (const stream of [process.stdout, process.stderr]) {
      vi.spyOn(stream, 'write').mockImplementation((line) => written.push(line) > 0)
    }
    const api = await startPluginApi({ ...general, ...everywhere([OTHER]) })
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
    const handedThrough: boolean[] = []
    const { app } = createApp([
      (ctx, next) => {
        const own = next()
        handedThrough.push(dyna(ctx, () => own) === own)
        return own
      },
      (ctx) => {
        ctx.body = 'app'
      },
    ])
    const port = await listen(createServer(app.callback()))
    for (let request = 0; request < 3; request += 1) await fetch(`http://127.0.0.1:${port}`)
    vi.restoreAllMocks()
    expect(handedThrough).toEqual([true, true, true])
    expect(written).toEqual([])
  })
})

describe('10 000 plugins that did not change', () => {
  const plugins = Array.from({ length: 10_000 }, (_, index) => ({
    name: `plugin-${index}`,
    phase: 'access',
    code: `ctx.state.plugin = ${index}`,
  }))
  const document = { domains: [{ name: 'many.test', plugins }] }

  it('are not even looked at when the API has nothing new, and taken over as they are when another one changed', async () => {
    const { api, dyna } = await startApp({ document: { domains: [] } })
    api.serve(document, { etag: '"1"' })
    expect(await dyna.refresh()).toMatchObject({ updated: true, compiled: 10_000 })
    const seen = record(dyna)
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    expect(payloadsOf(seen, 'bg_fetch_api_success')).toEqual([expect.objectContaining({ status: 304, bytes: 0 })])

    const changed = { name: 'plugin-7', phase: 'access', code: 'ctx.state.plugin = null' }
    api.serve({ domains: [{ name: 'many.test', plugins: plugins.with(7, changed) }] })
    expect(await dyna.refresh()).toMatchObject({ updated: true, compiled: 1, reused: 9999, removed: 0, failed: 0 })
    expect(payloadsOf(seen, 'bg_compile_success')).toEqual([
      expect.objectContaining({ plugin: expect.objectContaining({ name: 'plugin-7' }) }),
    ])
  })
})
