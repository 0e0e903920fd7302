import { describe, expect, test, vi } from 'vitest'
import type { DynacodeOptions, Payload, Phase } from '../../../lib/index.ts'
import { everywhere, plugin, startApp, type TestAppSetup } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'

const shadow = (phase: Phase, code: string, fields: object = {}) =>
  plugin(phase, code, { name: 'shadow', mode: 'shadow', ...fields })

/** Starts an app with a plugin in shadow mode, and records what is told of it. */
async function startShadow(phase: Phase, code: string, fields: object = {}, setup: TestAppSetup = {}) {
  const told: Payload<'rt_plugins_shadow'>[] = []
  const options: DynacodeOptions = { on_shadow: (payload) => told.push(payload), ...setup.options }
  const running = await startApp({ plugins: [shadow(phase, code, fields)], ...setup, options })
  return { ...running, told }
}

describe('what a shadow run would have done', () => {
  test.each<[Phase, string, string[]]>([
    ['access', `exit(403)`, ['exit 403']],
    ['header_filter', `ctx.set('X-Foo', 'bar')`, ['set x-foo: bar']],
    ['body_filter', `return chunk.slice(0, 98)`, ['body: 120 → 98 bytes']],
    ['access', `throw new Error('no such user')`, ['threw no such user']],
    ['access', `null.user`, ["threw Cannot read properties of null (reading 'user')"]],
    ['access', `await null; throw 'a string'`, ['threw a string']],
    ['access', `ctx.get('x-user')`, []],
  ])('in %s: %s is told as data', async (phase, code, effects) => {
    const { request, told, dyna } = await startShadow(phase, code, {}, { inner: 'x'.repeat(120) })
    const before = Date.now()
    await request.get('/').set('Host', 'Shop.test:80').expect(200, 'x'.repeat(120))
    await expect.poll(() => told).toHaveLength(1)
    const [payload] = told
    expect(payload).toEqual({
      plugin: { name: 'shadow', domain: '*', phase },
      phase,
      host: 'shop.test',
      effects,
      duration_ms: expect.any(Number),
      at: expect.any(Number),
    })
    expect(payload?.at).toBeGreaterThanOrEqual(before)
    expect(payload?.duration_ms).toBeGreaterThanOrEqual(0)
    expect(JSON.parse(JSON.stringify(payload))).toEqual(payload)
    expect([Object.isFrozen(payload), Object.isFrozen(payload?.effects)]).toEqual([true, true])
    expect(dyna.status().plugins).toMatchObject([{ name: 'shadow', state: 'shadow' }])
  })

  test('comes from the real request and response, as they are by then', async () => {
    const see = `sightings.push([ctx.method, ctx.path, ctx.query.a, ctx.get('x-user'), ctx.cookies.get('sid'), ctx.ip, ctx.state.user, ctx.status, ctx.response.get('x-app') || ''])`
    const seen: unknown[][] = []
    const { request } = await startApp({
      plugins: [
        plugin('rewrite', `ctx.path = '/new'; ctx.state.user = 'ann'`),
        shadow('access', see, { name: 'before' }),
        shadow('header_filter', see, { name: 'after' }),
        shadow('log', see, { name: 'last' }),
      ],
      inner: (ctx) => {
        ctx.set('X-App', '1')
        ctx.status = 201
        ctx.body = 'app'
      },
      options: { globals: { sightings: seen } },
    })
    await request.put('/old?a=1').set({ 'X-User': 'u7', Cookie: 'sid=s' }).expect(201, 'app')
    await expect.poll(() => seen).toHaveLength(3)
    const asked = ['PUT', '/new', '1', 'u7', 's', expect.stringContaining('127.0.0.1'), 'ann']
    expect(seen).toEqual([
      [...asked, 404, ''],
      [...asked, 201, '1'],
      [...asked, 201, '1'],
    ])
  })

  test('comes from the address as it was, and a response that is out, too', async () => {
    const see = `sightings.push([ctx.originalUrl, ctx.request.originalUrl, ctx.url, ctx.headerSent, ctx.writable]); ctx.set('X-A', 'a')`
    const seen: unknown[][] = []
    const { request, told } = await startShadow(
      'log',
      see,
      {},
      {
        plugins: [
          plugin('rewrite', `ctx.url = '/new'`),
          shadow('access', see, { name: 'before' }),
          shadow('log', see, { name: 'after' }),
          plugin('log', see),
        ],
        options: { globals: { sightings: seen } },
      },
    )
    await request.get('/old').expect(200, 'app')
    await expect.poll(() => seen).toHaveLength(3)
    const out = ['/old', '/old', '/new', true, false]
    expect(seen).toEqual([['/old', '/old', '/new', false, true], out, out])
    // Koa sets no header any more by then, and would not for a live plugin.
    expect(told.map(({ effects }) => effects)).toEqual([['set x-a: a'], []])
  })

  test('is for the requests that it is meant for alone: conditions, share and times hold', async () => {
    const { request, told } = await startShadow('access', 'exit(403)', {
      when: { paths: '/a' },
      rollout: { percent: 100 },
      expires_at: '2999-01-01T00:00:00Z',
    })
    await request.get('/b').expect('app')
    await request.get('/a').expect('app')
    expect(told).toHaveLength(1)
  })

  test('leaves the live plugins around it to theirs', async () => {
    const { request, told } = await startShadow(
      'access',
      '',
      {},
      {
        plugins: [
          plugin('access', `ctx.state.list = 'live'`),
          shadow('access', `ctx.state.list += ', shadow'; ctx.state.more = 1; exit(403)`),
          plugin('access', `ctx.state.list += ', live'`),
          plugin('header_filter', `ctx.set('X-List', ctx.state.list + Object.keys(ctx.state).length)`),
        ],
      },
    )
    await request.get('/').expect(200, 'app').expect('X-List', 'live, live1')
    expect(told.map(({ effects }) => effects)).toEqual([
      ['exit 403', 'state list: live → live, shadow', 'set state more: 1'],
    ])
  })

  test('is told of instead of the events of a run, to nobody’s harm', async () => {
    const { request, seen } = await startShadow(
      'access',
      `throw new Error('x')`,
      { on_failure: 'closed' },
      {
        options: {
          on_shadow: () => {
            throw new Error('a listener’s own')
          },
        },
      },
    )
    await request.get('/').expect(200, 'app')
    expect(seen.map(({ name }) => name)).toEqual(['on_error'])
  })
})

describe('a shadow run delays nothing', () => {
  test.each<Phase>(['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'])(
    '%s: the response is there before the run is over',
    async (phase) => {
      let release = () => {}
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      const { request, told } = await startShadow(
        phase,
        `await gate; ctx.state.a = 1`,
        {},
        {
          options: { globals: { gate: released } },
        },
      )
      await request.get('/').expect(200, 'app')
      expect(told).toEqual([])
      release()
      await expect.poll(() => told).toMatchObject([{ effects: ['set state a: 1'] }])
    },
  )
})

describe('a shadow run is held to its bounds', () => {
  test.each([
    ['budget', 'while (true);', { budget_ms: 20 }, /threw plugin "shadow" kept the event loop for more than 20 ms/],
    ['deadline', 'await new Promise(() => {})', { timeout_ms: 50 }, /threw plugin "shadow" ran for more than 50 ms/],
  ])('its %s', async (_what, code, fields, words) => {
    const { request, told, seen } = await startShadow('access', code, fields)
    await request.get('/').expect(200, 'app')
    await expect.poll(() => told).toMatchObject([{ effects: [expect.stringMatching(words)] }])
    expect(seen).toEqual([])
  })

  test('its breaker, which opens and is told of, while requests pass', async () => {
    const { request, told, dyna } = await startShadow(
      'access',
      `throw new Error('x')`,
      { on_failure: 'closed' },
      {
        options: { breaker_failures: 3 },
      },
    )
    const seen = record(dyna, ['rt_breaker_opened'])
    for (let index = 0; index < 5; index += 1) await request.get('/').expect(200, 'app')
    expect(told).toHaveLength(3)
    expect(payloadsOf(seen, 'rt_breaker_opened')).toMatchObject([{ plugin: { name: 'shadow' }, failures: 3 }])
    expect(dyna.status().plugins).toMatchObject([{ state: 'shadow', breaker: 'open' }])
  })
})

describe('what a shadow run cannot hold back', () => {
  const USES = [
    ['fetch', `await fetch('http://127.0.0.1:1/')`],
    ['fetch', `eval('1')`],
    ['store', `store.incr('n')`],
    ['store', `const s = store; s.set('a', 1)`],
  ] as const

  test.each(USES)('is refused: %s in %s', async (name, code) => {
    const { request, dyna, serve } = await startApp({ plugins: [shadow('access', `ctx.state.a = 1`)] })
    const seen = record(dyna)
    await serve(everywhere([shadow('access', code)]))
    const [failure] = payloadsOf(seen, 'bg_compile_error')
    expect(failure).toMatchObject({ plugin: { name: 'shadow' }, kept_last_good: true })
    expect(failure?.error.message).toMatch(
      /^domains\[0\]\.plugins\[0\]\.mode: the code uses (fetch|store), whose effects a shadow run cannot hold back/,
    )
    if (!code.startsWith('eval')) {
      expect(failure?.error.message).toContain(`allow it with "shadow_allows": ["${name}"]`)
    }
    await request.get('/').expect(200, 'app')
    expect(dyna.status().plugins).toMatchObject([{ state: 'last_good' }])
  })

  test('is nobody’s fault when the plugin is live, or allows it', async () => {
    const count = `store.incr('n')`
    const show = plugin('content', `say(store.get('n'))`)
    const { request, dyna } = await startApp({
      plugins: [shadow('access', count, { shadow_allows: ['store'] }), show],
    })
    expect(dyna.status().plugins).toMatchObject([{ state: 'shadow', error: null }, { state: 'live' }])
    await request.get('/').expect('1\n')
    await request.get('/').expect('2\n')
  })

  test('is refused for what is not allowed, though something else is', async () => {
    const code = `await fetch('http://127.0.0.1:1/' + store.get('n'))`
    const { dyna } = await startApp({ plugins: [shadow('access', code, { shadow_allows: ['fetch'] })] })
    expect(dyna.status().plugins).toMatchObject([
      { state: 'refused', error: expect.stringContaining('the code uses store') },
    ])
  })
})

test('from shadow to live and back, the same code is not compiled again', async () => {
  const fields = { name: 'token', phase: 'access' as const, code: 'exit(403)' }
  const { request, dyna, serve } = await startApp({ plugins: [{ ...fields, mode: 'shadow' }] })
  const on_update = vi.fn()
  dyna.events.on('bg_updated_plugins', on_update)
  await request.get('/').expect(200, 'app')
  await serve(everywhere([{ ...fields, mode: 'live' }]))
  await request.get('/').expect(403)
  await serve(everywhere([{ ...fields, mode: 'shadow' }]))
  await request.get('/').expect(200, 'app')
  expect(on_update.mock.calls.map(([{ compiled, reused }]) => [compiled, reused])).toEqual([
    [0, 1],
    [0, 1],
  ])
})
