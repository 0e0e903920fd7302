import { mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { everywhere, plugin, serveBehind, startApp } from '../../fixtures/app.ts'
import { createInstance, payloadsOf, record } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

// It goes as the fake timers do.
vi.mock('../../../lib/time/steady-clock.ts', () => ({ steadyNow: () => performance.now() }))

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'], now: Date.now() })
})
afterEach(() => {
  vi.useRealTimers()
})

const MAX_STALE_S = 60
const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)
const DOWN = { status: 503 }
const marked = (general: object = {}) => ({ general, ...everywhere([plugin('rewrite', `ctx.set('X-Plugin', 'ran')`)]) })
const after = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString()

describe('a document that was not found current for max_stale_seconds', () => {
  test('is told of once by bg_stale and on_stale, and served on', async () => {
    const stale: unknown[] = []
    const { api, dyna, request } = await startApp({
      document: marked(),
      options: { max_stale_seconds: MAX_STALE_S, on_stale: (payload) => stale.push(payload) },
    })
    const seen = record(dyna, ['bg_stale'])
    api.answer(DOWN)
    expect(dyna.status().stale).toBe(false)
    await pass(MAX_STALE_S + 1)
    expect(dyna.status().stale).toBe(true)
    await dyna.refresh()
    expect(payloadsOf(seen, 'bg_stale')).toEqual([{ reason: 'age', at: expect.any(Number) }])
    expect(stale).toEqual(payloadsOf(seen, 'bg_stale'))
    await request.get('/').expect(200, 'app').expect('X-Plugin', 'ran')
  })

  test('gets no request where it is to be closed: 503, for every host', async () => {
    const { api, dyna, request } = await startApp({
      document: { general: { skip_domains: ['skipped.test'] }, ...everywhere([]), plugins: [] },
      options: { max_stale_seconds: MAX_STALE_S, when_stale: 'closed' },
    })
    await request.get('/').expect(200)
    api.answer(DOWN)
    expect(dyna.status().stale).toBe(false)
    await pass(MAX_STALE_S + 1)
    expect(dyna.status().stale).toBe(true)
    for (const host of ['127.0.0.1', 'skipped.test', 'other.test']) {
      await request.get('/').set('Host', host).expect(503, 'Service Unavailable')
    }
    // But what an operator switched off is off.
    dyna.disable()
    await request.get('/').expect(200, 'app')
  })

  test.each([
    ['the API has the very same one', { etag: '"1"' }],
    ['the API sends the same bytes again', {}],
  ])('is current again once %s', async (_, answer) => {
    const { api, dyna, request } = await startApp({
      document: marked(),
      options: { max_stale_seconds: MAX_STALE_S, when_stale: 'closed' },
    })
    const document = marked()
    api.serve(document, answer)
    await dyna.refresh()
    api.answer(DOWN)
    expect(dyna.status().stale).toBe(false)
    await pass(MAX_STALE_S + 1)
    expect(dyna.status().stale).toBe(true)
    await request.get('/').expect(503)
    api.serve(document, answer)
    expect(await dyna.refresh()).toMatchObject({ reason: 'unchanged' })
    expect(dyna.status().stale).toBe(false)
    await request.get('/').expect(200, 'app').expect('X-Plugin', 'ran')
  })

  test('is not made current by an answer that is refused', async () => {
    const { api, dyna } = await startApp({ document: marked(), options: { max_stale_seconds: MAX_STALE_S } })
    api.answer({ body: 'not a document' })
    expect(dyna.status().stale).toBe(false)
    await pass(MAX_STALE_S + 1)
    expect(dyna.status().stale).toBe(true)
    await dyna.refresh()
    expect(dyna.status().stale).toBe(true)
  })

  test('counts from the start where it is the bootstrap document', async () => {
    const api = await startPluginApi()
    api.answer(DOWN)
    const options = { bootstrap: marked(), max_stale_seconds: MAX_STALE_S, when_stale: 'closed' } as const
    const dyna = createInstance({ plugin_api_uri: api.uri, ...options })
    const request = await serveBehind(dyna)
    expect(dyna.status()).toMatchObject({ from: 'bootstrap', stale: false })
    await pass(MAX_STALE_S + 1)
    expect(dyna.status().stale).toBe(true)
    await request.get('/').expect(503)
  })

  test('counts from when some process last found it current where it comes from the cache', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dynacode-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const cache_path = join(folder, 'cache')
    const api = await startPluginApi(marked())
    const options = { plugin_api_uri: api.uri, cache_path, max_stale_seconds: 3600 }
    const first = createInstance(options)
    await first.ready()
    await first.close()
    api.answer(DOWN)

    const young = createInstance(options)
    expect(young.status()).toMatchObject({ from: 'cache', stale: false })
    await young.close()
    const hours_ago = new Date(Date.now() - 3_601_000)
    utimesSync(cache_path, hours_ago, hours_ago)
    const told: unknown[] = []
    const old = createInstance({ ...options, on_stale: ({ reason }) => told.push(reason) })
    expect(old.status()).toMatchObject({ from: 'cache', stale: true })
    expect(told).toEqual(['age'])
  })
})

describe('a document that is past its general.expires', () => {
  test('is stale, though the API confirms it', async () => {
    const { api, dyna, request } = await startApp({ document: marked(), options: { when_stale: 'closed' } })
    const seen = record(dyna, ['bg_stale'])
    api.serve(marked({ expires: after(MAX_STALE_S) }), { etag: '"1"' })
    await dyna.refresh()
    await request.get('/').expect(200)
    expect(dyna.status().stale).toBe(false)
    await pass(MAX_STALE_S + 1)
    expect(dyna.status().stale).toBe(true)
    expect(payloadsOf(seen, 'bg_stale')).toMatchObject([{ reason: 'expired' }])
    expect(await dyna.refresh()).toMatchObject({ reason: 'unchanged' })
    await request.get('/').expect(503)
    api.serve(marked({ expires: after(3600) }))
    await dyna.refresh()
    await request.get('/').expect(200)
  })

  test('is served all the same unless that is to be closed', async () => {
    const { dyna, request, serve } = await startApp({ document: marked() })
    await serve(marked({ expires: '2000-01-01T00:00:00Z' }))
    expect(dyna.status().stale).toBe(true)
    await request.get('/').expect(200, 'app').expect('X-Plugin', 'ran')
  })
})
