import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Phase } from '../../../lib/index.ts'
import { createApp, everywhere, exchange, failures, listen, type PluginFields, startApp } from '../../fixtures/app.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

/** Everything by which a run can fail. */
const FAILURES: Readonly<Record<string, string>> = {
  throws: 'throw new Error("secret")',
  'throws what is no error': 'throw undefined',
  'throws an error that only looks deliberate':
    'throw Object.assign(new Error("secret"), { status: 200, expose: true })',
  'throws late': 'await app.sleep(1); throw new Error("secret")',
  'throws after it answered':
    'ctx.status = 200; ctx.body = "secret"; ctx.set("x-secret", "1"); throw new Error("secret")',
  rejects: 'return Promise.reject(new Error("secret"))',
  'calls what is not there': 'ctx.nothing.here()',
  loops: 'for (;;);',
  'loops, and catches what stops it': 'try { for (;;); } catch { ctx.body = "secret" }',
  'loops, and catches that again and again': 'for (;;) { try { for (;;); } catch { continue } }',
  'loops over awaits': 'for (;;) await null',
  'loops behind an await': 'await app.sleep(1); for (;;);',
  'never ends': 'await new Promise(() => {})',
  'never ends, and catches the abort':
    'try { await new Promise((_, no) => signal.addEventListener("abort", no)) } catch { ctx.body = "secret" }',
  'takes too long': 'await app.sleep(60); ctx.body = "secret"',
  'uses up the stack': 'const f = () => f(); f()',
  'cannot be parsed': 'this is no code',
  'cannot be compiled': 'let a; let a',
  'is Lua': 'local token = ngx.var.arg_token or ""',
}
const STRICT: Readonly<Record<string, string>> = {
  backtracks: '/(a+)+$/.test("a".repeat(40) + "b")',
  'sorts without end': 'const a = Array.from({ length: 1e5 }, String); for (;;) a.sort()',
}

const LIMITS = { budget_ms: 10, timeout_ms: 30 }

async function startFailing(plugins: readonly PluginFields[], options = {}) {
  const reached = vi.fn()
  const app = await startApp({
    plugins,
    options: { globals: { app: { sleep } }, breaker_failures: 0, ...LIMITS, ...options },
    inner: (ctx) => {
      reached()
      ctx.set('x-app', '1')
      ctx.etag = 'app'
      ctx.body = { secret: 'of the app' }
    },
  })
  return { ...app, reached }
}

const failing = (code: string, phase: Phase, fields = {}): PluginFields => ({ name: 'failing', phase, code, ...fields })
const downstream = ['rewrite', 'access', 'content', 'balancer'] as const

describe('with on_failure: "closed" nobody gets through when a plugin', () => {
  it.each(Object.entries(FAILURES))('%s', async (_, code) => {
    const app = await startFailing([failing(code, 'access', { on_failure: 'closed' })])
    const { status, text, headers } = await app.request.get('/')
    expect([status, text]).toEqual([503, 'Service Unavailable'])
    expect(JSON.stringify(headers)).not.toContain('x-app')
    expect(app.reached).not.toHaveBeenCalled()
    expect(app.errors).toEqual([])
  })

  it.each(Object.entries(STRICT))('%s, in strict mode', async (_, code) => {
    const app = await startFailing([failing(code, 'access', { on_failure: 'closed', guard: 'strict' })])
    await app.request.get('/').expect(503, 'Service Unavailable')
    expect(app.reached).not.toHaveBeenCalled()
  })

  it.each(downstream)('fails in %s: neither the app nor a later plugin is reached', async (phase) => {
    const later = { name: 'later', phase: 'balancer', code: 'ctx.body = "later"' } as const
    for (const code of ['throw 1', 'await null; throw 1', 'for (;;);', 'await new Promise(() => {})']) {
      const app = await startFailing([failing(code, phase, { on_failure: 'closed' }), later])
      await app.request.get('/').expect(503, 'Service Unavailable')
      expect(app.reached).not.toHaveBeenCalled()
      expect(failures(app)).toMatchObject([{ plugin: { name: 'failing' }, phase, outcome: 'closed' }])
    }
  })

  it.each(['header_filter', 'body_filter'] as const)(
    'fails in %s: what the app answered stays inside',
    async (phase) => {
      for (const code of ['throw 1', 'await null; throw 1', 'for (;;);', 'await new Promise(() => {})']) {
        const app = await startFailing([failing(code, phase, { on_failure: 'closed' })])
        const { status, text, headers } = await app.request.get('/')
        expect([status, text]).toEqual([503, 'Service Unavailable'])
        expect(headers).not.toHaveProperty('etag')
        expect(failures(app)).toMatchObject([{ outcome: 'closed' }])
      }
    },
  )

  it.each(['header_filter', 'body_filter'] as const)('fails in %s on an error of the app', async (phase) => {
    for (const code of ['throw 1', 'await null; throw 1', 'for (;;);']) {
      const app = await startApp({
        plugins: [failing(code, phase, { on_failure: 'closed' })],
        options: LIMITS,
        inner: (ctx) => ctx.throw(403, 'secret of the app'),
      })
      const { status, text } = await app.request.get('/')
      expect(status).toBeGreaterThanOrEqual(403)
      expect(text).not.toContain('secret')
    }
  })

  it('fails in the middle of a stream: what comes after is not sent, and the end is told from a good one', async () => {
    const app = await startApp({
      plugins: [failing('if (String(chunk).includes("second")) throw 1', 'body_filter', { on_failure: 'closed' })],
      inner: (ctx) => {
        ctx.body = Readable.from(['first', 'second', 'third'])
      },
    })
    const answer = await exchange(app.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(answer).not.toContain('second')
    expect(answer).not.toContain('third')
    expect(answer.endsWith('0\r\n\r\n')).toBe(false)
  })

  it('fails in log: the response is out, and stays as it is', async () => {
    const app = await startFailing([failing('throw 1', 'log', { on_failure: 'closed' })])
    await app.request.get('/').expect(200)
    await vi.waitFor(() => expect(failures(app)).toHaveLength(1))
  })

  it('is not run because its breaker is open', async () => {
    const app = await startFailing([failing('throw 1', 'access', { on_failure: 'closed' })], { breaker_failures: 2 })
    for (let request = 0; request < 5; request += 1) await app.request.get('/').expect(503)
    expect(failures(app)).toHaveLength(2)
    expect(app.reached).not.toHaveBeenCalled()
  })

  it.each(['header_filter', 'body_filter'] as const)('is not run in %s because its breaker is open', async (phase) => {
    const app = await startFailing([failing('throw 1', phase, { on_failure: 'closed' })], { breaker_failures: 2 })
    for (let request = 0; request < 4; request += 1) await app.request.get('/').expect(503, 'Service Unavailable')
    expect(failures(app)).toHaveLength(2)
  })

  it('never compiled, in whatever phase it would be, until it does', async () => {
    for (const phase of ['rewrite', 'content', 'header_filter', 'body_filter', 'log'] as const) {
      const app = await startFailing([failing('}', phase, { on_failure: 'closed' })])
      await app.request.get('/').expect(503)
      expect(app.reached).not.toHaveBeenCalled()
      await app.serve(everywhere([failing('ctx.state.fine = 1', phase, { on_failure: 'closed' })]))
      await app.request.get('/').expect(200)
    }
  })

  it.each([
    ['has no code', { code: undefined }],
    ['has a phase that is none', { phase: 'plugins' }],
    ['has a budget that is none', { budget_ms: -1 }],
  ])('%s', async (_, fault) => {
    const app = await startFailing([failing('1', 'access', { on_failure: 'closed', ...fault })])
    await app.request.get('/').expect(503)
    expect(app.reached).not.toHaveBeenCalled()
  })

  it('was good once, and is no longer: the earlier version decides', async () => {
    const code = 'if (ctx.query.token !== "t") exit(403)'
    const app = await startFailing([failing(code, 'access', { on_failure: 'closed' })])
    await app.serve(everywhere([failing('}', 'access', { on_failure: 'closed' })]))
    await app.request.get('/').expect(403)
    await app.request.get('/?token=t').expect(200)
  })
})

describe('with on_failure: "closed" nobody gets through', () => {
  it('once the instance is closed, wherever the plugin stands; elsewhere everybody does', async () => {
    const fine = failing('ctx.set("x-fine", "1")', 'log', { on_failure: 'closed' })
    const document = {
      domains: [
        { name: 'closed.test', plugins: [fine] },
        { name: 'open.test', plugins: [{ ...fine, on_failure: 'open' }] },
      ],
    }
    const app = await startApp({ document })
    await app.request.get('/').set('Host', 'closed.test').expect(200)
    await app.dyna.close()
    await app.request.get('/').set('Host', 'closed.test').expect(503)
    await app.request.get('/').set('Host', 'open.test').expect(200, 'app')
    await app.request.get('/').set('Host', 'other.test').expect(200, 'app')
  })

  it('in a request that was under way when the instance was closed', async () => {
    const app = await startFailing([
      failing('await app.sleep(30)', 'rewrite', { timeout_ms: 5000 }),
      { name: 'token', phase: 'access', code: 'exit(403)', on_failure: 'closed' },
    ])
    const answer = app.request.get('/').then((response) => response)
    await sleep(10)
    await app.dyna.close()
    expect((await answer).status).toBe(503)
    expect(app.reached).not.toHaveBeenCalled()
  })
})

describe('before the first document', () => {
  afterEach(() => vi.restoreAllMocks())

  async function startEmpty(when_not_loaded: 'open' | 'closed' | 'wait') {
    const api = await startPluginApi()
    api.answer({ status: 500 })
    const dyna = createInstance({ plugin_api_uri: api.uri, when_not_loaded, plugin_api_timeout: 0.1 })
    const reached = vi.fn()
    const { app } = createApp([
      dyna,
      (ctx) => {
        reached()
        ctx.body = 'app'
      },
    ])
    const server = (await import('node:http')).createServer(app.callback())
    const port = await listen(server)
    return { status: async () => (await fetch(`http://127.0.0.1:${port}/`)).status, reached }
  }

  it('everybody gets through with when_not_loaded: "open"', async () => {
    const app = await startEmpty('open')
    expect(await app.status()).toBe(200)
  })

  it.each(['closed', 'wait'] as const)('nobody gets through with when_not_loaded: "%s"', async (policy) => {
    const app = await startEmpty(policy)
    expect(await app.status()).toBe(503)
    expect(app.reached).not.toHaveBeenCalled()
  })
})

describe('with on_failure: "open", and without on_failure, the request goes on when a plugin', () => {
  it.each(Object.entries(FAILURES))('%s', async (_, code) => {
    for (const fields of [{}, { on_failure: 'open' }]) {
      const app = await startFailing([failing(code, 'access', fields)])
      await app.request.get('/').expect(200, '{"secret":"of the app"}').expect('x-app', '1')
      expect(app.reached).toHaveBeenCalledTimes(1)
    }
  })

  it.each(['header_filter', 'body_filter', 'log'] as const)('fails in %s', async (phase) => {
    for (const code of ['throw 1', 'await null; throw 1', 'for (;;);', 'await new Promise(() => {})', '}']) {
      const app = await startFailing([failing(code, phase)])
      await app.request.get('/').expect(200, '{"secret":"of the app"}')
    }
  })

  it('is not run because its breaker is open', async () => {
    const app = await startFailing([failing('throw 1', 'access')], { breaker_failures: 2 })
    for (let request = 0; request < 5; request += 1) await app.request.get('/').expect(200)
    expect(app.reached).toHaveBeenCalledTimes(5)
  })
})

describe('one plugin’s policy', () => {
  it('is its own: one that fails open does not open what another closes', async () => {
    const app = await startFailing([
      failing('throw 1', 'rewrite', { name: 'open', on_failure: 'open' }),
      failing('throw 1', 'access', { name: 'closed', on_failure: 'closed' }),
    ])
    await app.request.get('/').expect(503)
    expect(failures(app).map(({ plugin, outcome }) => [plugin.name, outcome])).toEqual([
      ['open', 'open'],
      ['closed', 'closed'],
    ])
  })

  it('does not concern what it leaves behind: the request has its answer by then', async () => {
    const app = await startFailing([failing('setTimeout(() => { throw 1 }, 1)', 'access', { on_failure: 'closed' })])
    await app.request.get('/').expect(200)
    await vi.waitFor(() => expect(failures(app)).toMatchObject([{ outcome: 'open' }]))
  })

  it('lets log run, for a request that was refused', async () => {
    const logged = vi.fn()
    const app = await startFailing(
      [
        failing('throw 1', 'access', { on_failure: 'closed' }),
        { name: 'log', phase: 'log', code: 'logged(ctx.status)' },
      ],
      { globals: { logged } },
    )
    await app.request.get('/').expect(503)
    await vi.waitFor(() => expect(logged).toHaveBeenCalledExactlyOnceWith(503))
  })
})
