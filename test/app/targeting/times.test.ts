import { afterEach, describe, expect, test, vi } from 'vitest'
import { everywhere, type PluginFields, plugin, startApp } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'

const at = (time: number) => new Date(time).toISOString()
const blocking = (fields: Record<string, unknown>): PluginFields => ({
  name: 'block',
  phase: 'access',
  code: `exit(403, 'blocked')`,
  ...fields,
})

afterEach(() => {
  vi.useRealTimers()
})

describe('a plugin with an end', () => {
  const NOW = Date.UTC(2030, 0, 1)

  test.each(['open', 'closed'])('ends by itself to the millisecond, with the API down: %s', async (on_failure) => {
    const { request, api, dyna } = await startApp({
      plugins: [blocking({ expires_at: '2030-01-01T01:00:05+01:00', on_failure })],
    })
    await api.close()
    vi.useFakeTimers({ toFake: ['Date'], now: NOW })
    const answers: number[] = []
    for (const after_ms of [0, 4999, 5000, 86_400_000]) {
      vi.setSystemTime(NOW + after_ms)
      await dyna.refresh()
      answers.push((await request.get('/')).status)
    }
    expect(answers).toEqual([403, 403, 200, 200])
    expect(dyna.status()).toMatchObject({ last_error: { code: 'ERR_DYNACODE_FETCH' }, plugins: [{ state: 'expired' }] })
  })

  test('ends also after close(), whose 503 for what fails closed would stay for ever', async () => {
    const { request, dyna } = await startApp({
      plugins: [blocking({ expires_at: at(NOW + 5000), on_failure: 'closed' })],
    })
    await dyna.close()
    vi.useFakeTimers({ toFake: ['Date'], now: NOW })
    await request.get('/').expect(503)
    vi.setSystemTime(NOW + 5000)
    await request.get('/').expect(200, 'app')
  })

  test.each([
    ['whose code is broken', { code: 'broken(' }],
    ['whose conditions are', { when: { path: '/' } }],
  ])('and without a good version refuses until then: one %s', async (_what, fault) => {
    vi.useFakeTimers({ toFake: ['Date'], now: NOW })
    const times = { starts_at: at(NOW + 1000), expires_at: at(NOW + 2000) }
    const { request } = await startApp({ plugins: [blocking({ on_failure: 'closed', ...times, ...fault })] })
    const answers: number[] = []
    for (const after_ms of [0, 1000, 2000]) {
      vi.setSystemTime(NOW + after_ms)
      answers.push((await request.get('/')).status)
    }
    expect(answers).toEqual([200, 503, 200])
  })

  test('is told of once, when it comes, with the API down', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: NOW })
    const expires_at = NOW + 300
    const { api, dyna } = await startApp({
      plugins: [blocking({ expires_at: at(expires_at) }), plugin('access', '', { expires_at: at(expires_at + 1e9) })],
    })
    const seen = record(dyna, ['bg_plugin_expired'])
    await api.close()
    await vi.advanceTimersByTimeAsync(299)
    expect(seen).toHaveLength(0)
    await vi.advanceTimersByTimeAsync(1)
    const told = payloadsOf(seen, 'bg_plugin_expired')
    expect(told).toEqual([
      { plugin: { name: 'block', domain: '*', phase: 'access' }, expires_at, at: expect.any(Number) },
    ])
    expect(told[0]?.at).toBeGreaterThanOrEqual(expires_at)
    await dyna.refresh()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(seen).toHaveLength(1)
  })

  test('is told of once when it was over before, and not again for being in the next documents', async () => {
    const over = blocking({ expires_at: '2020-01-01T00:00:00Z' })
    const { dyna, serve, request } = await startApp()
    const seen = record(dyna, ['bg_plugin_expired'])
    for (const code of ['', 'ctx', 'params']) {
      await serve(everywhere([over, plugin('log', code)]))
      await request.get('/').expect(200, 'app')
    }
    await expect.poll(() => seen).toHaveLength(1)
    await new Promise((done) => setTimeout(done, 50))
    expect(seen).toHaveLength(1)
    expect(dyna.status().plugins[0]).toMatchObject({ name: 'block', state: 'expired', error: null })
  })

  test('is not told of when it is gone by then, or the instance closed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: NOW })
    const soon = () => blocking({ expires_at: at(NOW + 150) })
    const { dyna, serve } = await startApp({ plugins: [soon()] })
    const other = await startApp({ plugins: [soon()] })
    const seen = [dyna, other.dyna].map((each) => record(each, ['bg_plugin_expired']))
    await serve(everywhere([]))
    await other.dyna.close()
    await vi.advanceTimersByTimeAsync(300)
    expect(seen).toEqual([[], []])
  })
})

test('a plugin with a start is scheduled until then, and live from then on', async () => {
  const NOW = Date.UTC(2030, 0, 1)
  vi.useFakeTimers({ toFake: ['Date'], now: NOW - 1 })
  const { request, dyna, api } = await startApp({
    plugins: [blocking({ starts_at: '2030-01-01T00:00:00Z', expires_at: '2030-01-01T00:00:01Z' })],
  })
  await api.close()
  const states: unknown[] = []
  for (const now of [NOW - 1, NOW, NOW + 999, NOW + 1000]) {
    vi.setSystemTime(now)
    states.push([(await request.get('/')).status, dyna.status().plugins[0]?.state])
  }
  expect(states).toEqual([
    [200, 'scheduled'],
    [403, 'live'],
    [403, 'live'],
    [200, 'expired'],
  ])
})
