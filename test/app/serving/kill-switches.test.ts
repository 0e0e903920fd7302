import { Readable } from 'node:stream'
import type { Middleware } from 'koa'
import { describe, expect, test, vi } from 'vitest'
import { PHASES } from '../../../lib/document.ts'
import type { DynacodeOptions } from '../../../lib/index.ts'
import { createDeferred, everywhere, plugin, serveBehind, startApp } from '../../fixtures/app.ts'
import { createInstance, payloadsOf, record } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

/** Every phase, and each of them can be seen to have run. */
const EVERY_PHASE = PHASES.map((phase) =>
  plugin(
    phase,
    phase === 'body_filter' ? `ran.push('body_filter'); return chunk + ' filtered'` : `ran.push('${phase}')`,
    { on_failure: 'closed' },
  ),
)
/** All that can go wrong with plugins, each of which fails closed. */
const REFUSING = [
  plugin('access', `exit(403)`),
  plugin('access', 'broken(', { on_failure: 'closed' }),
  plugin('header_filter', `throw new Error('broken')`, { on_failure: 'closed' }),
]

async function startEveryPhase(options: DynacodeOptions = {}, inner: Middleware | string = 'app') {
  const ran: string[] = []
  const running = await startApp({ plugins: EVERY_PHASE, inner, options: { globals: { ran }, ...options } })
  return { ...running, ran }
}

describe('disable()', () => {
  test('switches every phase off at once, and enable() on again', async () => {
    const { request, dyna, ran, seen } = await startEveryPhase()
    await request.get('/').expect('app filtered')
    await expect.poll(() => ran).toEqual([...PHASES])
    dyna.disable()
    await request.get('/').expect(200, 'app')
    expect(ran).toHaveLength(PHASES.length)
    expect(dyna.status()).toMatchObject({ disabled: true, enabled: true, loaded: true, closed: false })
    expect(payloadsOf(seen, 'rt_plugins_disabled')).toMatchObject([{ host: '127.0.0.1' }])
    dyna.enable()
    await request.get('/').expect('app filtered')
    expect(dyna.status().disabled).toBe(false)
  })

  test('goes on polling: what comes meanwhile is live with enable()', async () => {
    const { request, dyna, serve } = await startApp({ plugins: [plugin('content', `say('old')`)] })
    dyna.disable()
    await serve(everywhere([plugin('content', `say('new')`)]))
    await request.get('/').expect('app')
    dyna.enable()
    await request.get('/').expect('new\n')
  })

  test('lets requests past plugins that refuse, that fail, and that are guarded', async () => {
    const { request, dyna } = await startApp({ plugins: REFUSING })
    await request.get('/').expect(503)
    dyna.disable()
    await request.get('/').expect(200, 'app')
  })

  test('may be called twice, and from a plugin’s own request', async () => {
    const globals: { dyna?: { disable(): void } } = {}
    const { request, dyna } = await startApp({
      plugins: [plugin('access', `app.dyna.disable()`), plugin('header_filter', `ctx.set('X-Ran', '1')`)],
      options: { globals: { app: globals } },
    })
    globals.dyna = dyna
    // This request finishes as it began.
    await request.get('/').expect(200, 'app').expect('X-Ran', '1')
    dyna.disable()
    expect((await request.get('/').expect(200, 'app')).headers).not.toHaveProperty('x-ran')
  })

  test('leaves a request under way to finish on the plugins that it began with, body and log included', async () => {
    const reached = createDeferred()
    const answer = createDeferred()
    const { request, dyna, ran } = await startEveryPhase({}, async (ctx) => {
      reached.resolve()
      await answer.promise
      ctx.type = 'text'
      ctx.body = Readable.from(['ap', 'p'])
    })
    const response = request.get('/').then(({ text }) => text)
    await reached.promise
    dyna.disable()
    answer.resolve()
    expect(await response).toBe('ap filteredp filtered filtered')
    await expect.poll(() => new Set(ran)).toEqual(new Set(PHASES))
  })

  test('does nothing to other instances', async () => {
    const one = await startEveryPhase()
    const other = await startEveryPhase()
    one.dyna.disable()
    await one.request.get('/').expect('app')
    await other.request.get('/').expect('app filtered')
  })
})

describe('general.status', () => {
  test.each(['disabled', 'DISABLED', 'off', '', false, 0])('%j switches every phase off', async (status) => {
    const { request, dyna, ran, seen, serve } = await startEveryPhase()
    await serve({ general: { status }, domains: [{ name: '*', plugins: [...EVERY_PHASE, ...REFUSING] }] })
    await request.get('/').expect(200, 'app')
    expect(ran).toEqual([])
    expect(dyna.status()).toMatchObject({ enabled: false, disabled: false })
    expect(payloadsOf(seen, 'rt_plugins_disabled')).toHaveLength(1)
    await serve({ general: { status: 'enabled' }, domains: [{ name: '*', plugins: EVERY_PHASE }] })
    await request.get('/').expect('app filtered')
  })

  test('is not undone by enable()', async () => {
    const { request, dyna, serve } = await startEveryPhase()
    await serve({ general: { status: 'disabled' }, ...everywhere(EVERY_PHASE) })
    dyna.enable()
    await request.get('/').expect('app')
  })

  test('leaves a request under way to finish on the document that it began with', async () => {
    const reached = createDeferred()
    const answer = createDeferred()
    const { request, serve } = await startEveryPhase({}, async (ctx) => {
      reached.resolve()
      await answer.promise
      ctx.body = 'app'
    })
    const response = request.get('/').then(({ text }) => text)
    await reached.promise
    await serve({ general: { status: 'disabled' }, domains: [] })
    answer.resolve()
    expect(await response).toBe('app filtered')
  })
})

test('skip_domains has no plugin run for these hosts, in any phase, refuse, or stay behind after close()', async () => {
  const { request, dyna, ran, serve } = await startEveryPhase()
  const skip_domains = ['127.0.0.1', '*.skipped.test', '^re']
  await serve({ general: { skip_domains }, ...everywhere([...EVERY_PHASE, ...REFUSING]) })
  for (const host of ['127.0.0.1', 'a.skipped.test', 'regular.test']) {
    await request.get('/').set('Host', host).expect(200, 'app')
  }
  expect(ran).toEqual([])
  await request.get('/').set('Host', 'skipped.test').expect(503)
  await dyna.close()
  await request.get('/').expect(200, 'app')
  await request.get('/').set('Host', 'skipped.test').expect(503)
})

describe('DYNACODE_DISABLED', () => {
  test('is read by each instance as it is made, and taken back by its enable()', async () => {
    vi.stubEnv('DYNACODE_DISABLED', '1')
    const off = await startEveryPhase()
    vi.stubEnv('DYNACODE_DISABLED', undefined)
    const on = await startEveryPhase()
    expect([off, on].map(({ dyna }) => dyna.status().disabled)).toEqual([true, false])
    await off.request.get('/').expect(200, 'app')
    await on.request.get('/').expect(200, 'app filtered')
    vi.stubEnv('DYNACODE_DISABLED', '1')
    await on.request.get('/').expect(200, 'app filtered')
    off.dyna.enable()
    await off.request.get('/').expect(200, 'app filtered')
  })

  test.each(['0', '', 'false'])('is no switch when it is %j', async (value) => {
    vi.stubEnv('DYNACODE_DISABLED', value)
    const { request } = await startEveryPhase()
    await request.get('/').expect(200, 'app filtered')
  })
})

describe('where requests would be refused', () => {
  /** An app whose API is down. */
  async function startWithout(options: DynacodeOptions) {
    const api = await startPluginApi()
    api.answer({ status: 500 })
    const dyna = createInstance({ plugin_api_uri: api.uri, ...options })
    await dyna.refresh()
    return { dyna, request: await serveBehind(dyna) }
  }

  test.each(['open', 'closed', 'wait'] as const)(
    'a disabled instance lets them pass: not loaded, %s',
    async (policy) => {
      const { request, dyna } = await startWithout({ when_not_loaded: policy, plugin_api_timeout: 0.2 })
      await request.get('/').expect(policy === 'open' ? 200 : 503)
      const seen = record(dyna, ['rt_plugins_disabled', 'rt_plugins_not_loaded'])
      dyna.disable()
      await request.get('/').expect(200, 'app')
      expect(seen).toMatchObject([{ name: 'rt_plugins_disabled' }])
      await dyna.close()
      await request.get('/').expect(200, 'app')
      dyna.enable()
      await request.get('/').expect(policy === 'open' ? 200 : 503)
    },
  )

  test('DYNACODE_DISABLED=1 lets them pass from the first one on', async () => {
    vi.stubEnv('DYNACODE_DISABLED', '1')
    const { request, dyna } = await startWithout({ when_not_loaded: 'closed' })
    await request.get('/').expect(200, 'app')
    dyna.enable()
    await request.get('/').expect(503)
  })

  test('a request that waits for the first document passes when the switch is thrown meanwhile', async () => {
    const { request, dyna } = await startWithout({ when_not_loaded: 'wait', plugin_api_timeout: 0.3 })
    const seen = record(dyna, ['rt_plugins_not_loaded'])
    const response = request.get('/').then(({ status, text }) => [status, text])
    await expect.poll(() => seen).toHaveLength(1)
    dyna.disable()
    expect(await response).toEqual([200, 'app'])
  })

  test.each(['disable()', 'general.status'])('for a stale document, %s lets them pass', async (by) => {
    const expired = { status: by === 'disable()' ? 'enabled' : 'disabled', expires: '2020-01-01T00:00:00Z' }
    const { request, dyna } = await startApp({
      document: { general: expired, ...everywhere(REFUSING) },
      options: { when_stale: 'closed' },
    })
    expect(dyna.status().stale).toBe(true)
    if (by === 'disable()') {
      await request.get('/').expect(503)
      dyna.disable()
    }
    await request.get('/').expect(200, 'app')
    await dyna.close()
    await request.get('/').expect(200, 'app')
  })

  test('after close(), a plugin that fails closed refuses all of its host, whatever its conditions', async () => {
    const closed = plugin('access', '', { on_failure: 'closed', when: { paths: '/a' }, rollout: { percent: 0 } })
    const { request, dyna } = await startApp({ document: { domains: [{ name: '127.0.0.1', plugins: [closed] }] } })
    await request.get('/b').expect(200)
    await dyna.close()
    await request.get('/b').expect(503)
    await request.get('/b').set('Host', 'other.test').expect(200)
    dyna.disable()
    await request.get('/b').expect(200)
  })

  test.each(['disable()', 'general.status'])('after close(), %s lets them pass', async (by) => {
    const { request, dyna, serve } = await startApp({ plugins: REFUSING })
    if (by === 'general.status') await serve({ general: { status: 'disabled' }, ...everywhere(REFUSING) })
    await dyna.close()
    if (by === 'disable()') {
      await request.get('/').expect(503)
      dyna.disable()
      expect(dyna.status()).toMatchObject({ closed: true, disabled: true })
    }
    await request.get('/').expect(200, 'app')
  })
})
