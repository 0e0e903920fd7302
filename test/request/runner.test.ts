import { describe, expect, it, vi } from 'vitest'
import type { Phase } from '../../lib/index.ts'
import { failures, plugin, startApp, type TestApp } from '../fixtures/app.ts'
import { payloadsOf } from '../fixtures/instance.ts'

const BEFORE_LOG: readonly Phase[] = ['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter']

const HOSTILE = `
  const trap = () => { throw new Error('trap') }
  const everyTrap = new Proxy({}, { get: () => trap })
`

/** Code that throws, each with something else that error handling might trip over. */
const THROWN: readonly (readonly [string, string])[] = [
  ['an Error', `throw new Error('broken')`],
  ['undefined', 'throw undefined'],
  ['null', 'throw null'],
  ['a string', `throw 'broken'`],
  ['a symbol', 'throw Symbol()'],
  ['a function', 'throw () => {}'],
  ['a frozen object', 'throw Object.freeze({})'],
  ['a frozen Error', `throw Object.freeze(new Error('broken'))`],
  ['an object without a prototype', 'throw Object.create(null)'],
  [
    'an object whose getters throw',
    `throw { get status() { throw 1 }, get then() { throw 2 }, get message() { throw 3 } }`,
  ],
  [
    'an Error whose getters throw',
    `throw Object.defineProperties(new Error('x'), { expose: { get() { throw 1 } }, stack: { get() { throw 2 } } })`,
  ],
  ['a proxy that throws on everything', `${HOSTILE}; throw new Proxy({}, everyTrap)`],
  ['a proxy of a function that throws on everything', `${HOSTILE}; throw new Proxy(() => {}, everyTrap)`],
  ['a revoked proxy', `const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy`],
  ['a promise that rejects', `const p = Promise.reject(1); p.catch(() => {}); throw p`],
  ['a thenable', `throw { then: 1 }`],
  ['an object that only looks like an http-error', `throw { status: 403, statusCode: 403, expose: true }`],
  ['an Error with a status of its own', `throw Object.assign(new Error('x'), { status: 403 })`],
  ['a ReferenceError', `nobody.knows`],
  ['a stack overflow', `(function again() { again() })()`],
  ['later: an Error', `await null; throw new Error('broken')`],
  ['later: undefined', `await null; throw undefined`],
  ['later: a proxy that throws on everything', `${HOSTILE}; await null; throw new Proxy({}, everyTrap)`],
  ['as the reason of a promise', `return Promise.reject(null)`],
  ['in the getter of then', `return { get then() { throw new Error('broken') } }`],
  [
    'in the getter of then, the second time',
    `let asked = 0; return { get then() { if (asked++) throw new Error('broken'); return () => {} } }`,
  ],
  ['in then', `return { then() { throw new Error('broken') } }`],
  ['to the callback of then', `return { then(resolve, reject) { reject(undefined) } }`],
  ['in a thenable of a thenable', `return { then(resolve) { resolve({ then(_, reject) { reject(1) } }) } }`],
]

describe('a plugin that throws', () => {
  it.each(THROWN)('%s does not harm the request, in any phase', async (_what, code) => {
    const plugins = BEFORE_LOG.map((phase) => plugin(phase, code))
    const running = await startApp({ plugins })
    await running.request.get('/').expect(200, 'app')
    expect(failures(running).map(({ plugin, phase, outcome, host }) => [plugin.name, phase, outcome, host])).toEqual(
      plugins.map(({ name, phase }) => [name, phase, 'open', '127.0.0.1']),
    )
    expect(running.errors).toEqual([])
  })

  it('hands the event the very thing it threw', async () => {
    const thrown = Object.freeze({ a: 1 })
    const running = await startApp({
      plugins: [plugin('access', 'throw thrown'), plugin('access', 'await null; throw thrown')],
      options: { globals: { thrown } },
    })
    await running.request.get('/').expect(200)
    for (const { error } of failures(running)) expect(error).toBe(thrown)
    expect(failures(running)).toHaveLength(2)
  })

  it('does not keep the next plugins of its phase from running', async () => {
    const { request } = await startApp({
      plugins: [plugin('content', `throw 1`), plugin('content', `await null; throw 2`), plugin('content', `say('3')`)],
    })
    await request.get('/').expect(200, '3\n')
  })

  it('takes what it had done to the request back', async () => {
    const { request } = await startApp({
      plugins: [plugin('rewrite', `ctx.path = '/new'; throw new Error('broken')`)],
      inner: (ctx) => {
        ctx.body = ctx.path
      },
    })
    await request.get('/old').expect(200, '/old')
  })

  it('names the plugin and its own line in the stack', async () => {
    const running = await startApp({
      plugins: [plugin('access', `const a = 1\n\n  throw new Error('broken')`, { name: 'check-it' })],
    })
    await running.request.get('/')
    expect(failures(running)).toEqual([
      expect.objectContaining({
        error: expect.objectContaining({ stack: expect.stringMatching(/dynacode:plugin:check-it:3:9/) }),
      }),
    ])
  })
})

describe('a plugin with on_failure "closed" that throws', () => {
  it.each(BEFORE_LOG)('in %s ends the request with 503', async (phase) => {
    const running = await startApp({
      plugins: [plugin(phase, `throw new Error('broken')`, { on_failure: 'closed' })],
      inner: (ctx) => {
        ctx.set('ETag', '"1"')
        ctx.body = 'secret'
      },
    })
    const response = await running.request.get('/').expect(503, 'Service Unavailable')
    expect(response.headers).not.toHaveProperty('etag')
    expect(failures(running)).toEqual([expect.objectContaining({ phase, outcome: 'closed' })])
  })

  it.each(BEFORE_LOG)('later in %s does, too', async (phase) => {
    const { request } = await startApp({
      plugins: [plugin(phase, `await null; throw undefined`, { on_failure: 'closed' })],
    })
    await request.get('/').expect(503)
  })

  it.each(BEFORE_LOG.slice(0, 4))('in %s keeps the app from being asked', async (phase) => {
    const inner = vi.fn()
    const { request } = await startApp({
      plugins: [plugin(phase, `throw new Error('broken')`, { on_failure: 'closed' })],
      inner: () => inner(),
    })
    await request.get('/').expect(503)
    expect(inner).not.toHaveBeenCalled()
  })

  it('keeps what a content plugin said before it from getting out', async () => {
    const { request } = await startApp({
      plugins: [plugin('content', `say('secret')`), plugin('content', `throw 1`, { on_failure: 'closed' })],
    })
    await request.get('/').expect(503, 'Service Unavailable')
  })

  it('ends a request that failed in the app, whose error is still reported', async () => {
    const running = await startApp({
      plugins: [plugin('header_filter', `throw 1`, { on_failure: 'closed' })],
      inner: (ctx) => ctx.throw(400, 'secret'),
    })
    await running.request.get('/').expect(503, 'Service Unavailable')
    expect(running.errors).toEqual([expect.objectContaining({ message: 'secret' })])
  })

  it('keeps the text of an error from getting out that its body_filter was to change', async () => {
    const { request } = await startApp({
      plugins: [plugin('body_filter', `throw 1`, { on_failure: 'closed' })],
      inner: (ctx) => ctx.throw(400, 'secret'),
    })
    await request.get('/').expect(400, '')
  })
})

describe('an http-error of a plugin', () => {
  it.each(['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter'] as const)(
    'thrown in %s is an answer and no failure',
    async (phase) => {
      const running = await startApp({
        plugins: [plugin(phase, `ctx.throw(403, 'not you', { headers: { 'X-Why': 'name' }, user: 7 })`)],
      })
      await running.request.get('/').expect(403, 'not you').expect('X-Why', 'name')
      expect(failures(running)).toEqual([])
      expect(payloadsOf(running.seen, 'rt_plugins_done').length).toBeGreaterThan(0)
      expect(running.errors).toEqual([expect.objectContaining({ message: 'not you', status: 403, user: 7 })])
    },
  )

  it('passes through error handlers in front of dynacode', async () => {
    const { request, errors } = await startApp({
      outer: [
        async (ctx, next) => {
          try {
            await next()
          } catch (error) {
            ctx.status = 200
            ctx.body = { handled: (error as Error).message }
          }
        },
      ],
      plugins: [plugin('access', `await null; ctx.throw(401, 'who?')`)],
    })
    await request.get('/').expect(200, { handled: 'who?' })
    expect(errors).toEqual([])
  })

  it('is one for http-errors of any copy of the library, and for ctx.assert', async () => {
    class Teapot extends Error {
      status = 418
      statusCode = 418
      expose = true
    }
    const running = await startApp({
      plugins: [
        plugin('access', `if (ctx.path === '/teapot') throw new Teapot('short and stout')`),
        plugin('access', `ctx.assert(ctx.get('x-user'), 401, 'who?')`),
      ],
      options: { globals: { Teapot } },
    })
    await running.request.get('/teapot').expect(418, 'short and stout')
    await running.request.get('/').expect(401, 'who?')
    expect(failures(running)).toEqual([])
  })

  it.each([
    ['a header that cannot be sent', `ctx.throw(401, 'no', { headers: { 'X-User': 'a\\nb' } })`, 'no'],
    ['a header whose name cannot be sent', `ctx.throw(401, 'no', { headers: { 'X User': 'a' } })`, 'no'],
    [
      'a header of an array that cannot be sent',
      `ctx.throw(401, 'no', { headers: { 'X-A': ['a', '\\u2028'] } })`,
      'no',
    ],
    [
      'a message that is no text',
      `try { ctx.throw(401) } catch (e) { e.message = { a: 1 }; throw e }`,
      '[object Object]',
    ],
    ['nothing that may be changed', `try { ctx.throw(401, 'no') } catch (e) { throw Object.freeze(e) }`, 'no'],
    ['headers that throw', `ctx.throw(401, 'no', { headers: new Proxy({}, { ownKeys() { throw 1 } }) })`, 'no'],
  ])('refuses even with %s, on which Koa would end the process', async (_what, code, text) => {
    const running = await startApp({ plugins: [plugin('access', code)] })
    await running.request.get('/').expect(401, text)
    expect(failures(running)).toEqual([])
    expect(payloadsOf(running.seen, 'on_error')).toEqual([expect.objectContaining({ section: 'request' })])
  })
})

describe('the events of a run', () => {
  it('tell its start and its end, in order, with plugin, phase, host and duration', async () => {
    const { request, seen } = await startApp({
      plugins: [plugin('access', '', { name: 'a' }), plugin('access', `await null; throw 7`, { name: 'b' })],
    })
    await request.get('/').set('Host', 'Some.Host:81')
    const common = { phase: 'access', host: 'some.host', at: expect.any(Number) }
    const [a, b] = ['a', 'b'].map((name) => ({ name, domain: '*', phase: 'access' }))
    const times = { duration_ms: expect.any(Number), sync_ms: expect.any(Number) }
    expect(seen).toEqual([
      { name: 'rt_plugins_starting', payload: { ...common, plugin: a } },
      { name: 'rt_plugins_done', payload: { ...common, ...times, plugin: a, outcome: 'done' } },
      { name: 'rt_plugins_starting', payload: { ...common, plugin: b } },
      { name: 'rt_plugins_error', payload: { ...common, ...times, plugin: b, error: 7, outcome: 'open' } },
    ])
    for (const { payload } of seen) expect(Object.isFrozen(payload)).toBe(true)
  })

  it('go to the callbacks of the options', async () => {
    const calls = { on_start: vi.fn(), on_success: vi.fn(), on_fail: vi.fn() }
    const { request } = await startApp({
      plugins: [plugin('access', ''), plugin('access', 'throw 1')],
      options: calls,
    })
    await request.get('/').expect(200, 'app')
    expect(calls.on_start).toHaveBeenCalledTimes(2)
    expect(calls.on_success).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ phase: 'access' }))
    expect(calls.on_fail).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ error: 1, outcome: 'open' }))
  })

  it('measure the time until an asynchronous run has ended', async () => {
    const durations: number[] = []
    const { request } = await startApp({
      plugins: [plugin('access', `await new Promise((done) => setTimeout(done, 20))`)],
      options: { on_success: ({ duration_ms }) => void durations.push(duration_ms) },
    })
    await request.get('/').expect(200)
    expect(durations[0]).toBeGreaterThan(15)
  })

  it('harm nothing when a listener or callback throws or rejects', async () => {
    const on_error = vi.fn()
    const { request, dyna, errors } = await startApp({
      plugins: [plugin('access', ''), plugin('access', 'throw 1', { on_failure: 'open' })],
      options: {
        on_start() {
          throw new Error('callback')
        },
        on_fail: () => Promise.reject(new Error('rejected')),
        on_error,
      },
    })
    dyna.events.on('rt_plugins_done', () => {
      throw new Error('listener')
    })
    await request.get('/').expect(200, 'app')
    expect(errors).toEqual([])
    const messages = on_error.mock.calls.map(([{ section, error }]) => `${section}: ${error.message}`)
    expect(messages.sort()).toEqual([
      'listener: callback',
      'listener: callback',
      'listener: listener',
      'listener: rejected',
    ])
  })
})

describe('after close()', () => {
  const closedApp = async (on_failure: 'open' | 'closed'): Promise<TestApp & { ran: () => void }> => {
    const ran = vi.fn()
    const running = await startApp({
      plugins: [plugin('access', 'ran()', { on_failure }), plugin('log', 'ran()')],
      options: { globals: { ran } },
    })
    await running.dyna.close()
    return { ...running, ran }
  }

  it('requests pass to the app, and no plugin runs', async () => {
    const { request, ran, seen } = await closedApp('open')
    await request.get('/').expect(200, 'app')
    expect(ran).not.toHaveBeenCalled()
    expect(seen).toEqual([])
  })

  it('they get 503 where a plugin that fails closed would have run', async () => {
    const { request, ran } = await closedApp('closed')
    await request.get('/').expect(503, 'Service Unavailable')
    expect(ran).not.toHaveBeenCalled()
  })

  it.each([
    ['open', 200],
    ['closed', 503],
  ] as const)('a request under way goes on without its later plugins (%s)', async (on_failure, status) => {
    const ran = vi.fn()
    const { request, dyna, errors } = await startApp({
      plugins: [plugin('header_filter', 'ran()', { on_failure }), plugin('log', 'ran()')],
      options: { globals: { ran } },
      inner: async (ctx) => {
        await dyna.close()
        ctx.body = 'app'
      },
    })
    await request.get('/').expect(status)
    await new Promise((done) => setTimeout(done, 5))
    expect(ran).not.toHaveBeenCalled()
    expect(errors).toEqual([])
  })
})
