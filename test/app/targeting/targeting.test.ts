import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type Koa from 'koa'
import { describe, expect, onTestFinished, test } from 'vitest'
import { exchange, failures, type PluginFields, plugin, startApp } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'

/** A plugin that answers in place of the app where it is asked to run. */
const answering = (when: unknown, fields: Record<string, unknown> = {}): PluginFields => ({
  name: 'p',
  phase: 'content',
  code: `say('plugin')`,
  when,
  ...fields,
})

/** Starts an app on both kinds of addresses, and tells who answers a client of each. */
async function startDual(when: unknown, configure?: (app: Koa) => void) {
  const { app } = await startApp({ plugins: [answering(when)], ...(configure && { configure }) })
  const server = createServer(app.callback()).listen(0, '::')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return async (host: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://${host}:${port}/`, { headers })
    return (await response.text()).trim()
  }
}

describe('a plugin runs for the requests that its conditions hold for, and no other', () => {
  const REQUEST = { method: 'GET', path: '/users/7?debug=yes', headers: {} as Record<string, string> }

  test.each<[string, unknown, Partial<typeof REQUEST>, Partial<typeof REQUEST>]>([
    ['methods', { methods: ['PUT', 'delete'] }, { method: 'DELETE' }, { method: 'GET' }],
    ['paths', { paths: ['/users/:id', '/me'] }, { path: '/users/7/' }, { path: '/users/7/edit' }],
    ['ips', { ips: '127.0.0.0/8' }, {}, {}],
    ['headers', { headers: { 'X-Beta': '1' } }, { headers: { 'x-beta': '1' } }, { headers: { 'x-beta': '2' } }],
    ['headers', { headers: { 'x-a': { present: false } } }, {}, { headers: { 'x-a': '' } }],
    [
      'cookies',
      { cookies: { sid: { regex: '^a' } } },
      { headers: { cookie: 'x=1; sid=ab' } },
      { headers: { cookie: 'sid=ba' } },
    ],
    ['query', { query: { debug: ['1', 'yes'] } }, {}, { path: '/?debug=no' }],
    [
      'user_agent',
      { user_agent: { regex: 'curl/\\d' } },
      { headers: { 'user-agent': 'curl/8' } },
      { headers: { 'user-agent': 'Mozilla' } },
    ],
  ])('%s: %j; under "not" the other way round', async (key, when, meets, differs) => {
    const here = await startApp({ plugins: [answering(when)] })
    const negated = await startApp({ plugins: [answering({ not: when })] })
    const ask = (changed: Partial<typeof REQUEST>) => {
      const { method, path, headers } = { ...REQUEST, ...changed }
      return Promise.all(
        [here, negated].map(async ({ request }) => {
          const name = method.toLowerCase() as 'get' | 'delete'
          return (await request[name](path).set(headers)).text.trim()
        }),
      )
    }
    expect(await ask(meets)).toEqual(['plugin', 'app'])
    // There is one address here; clients of others come below.
    if (key !== 'ips') expect(await ask(differs)).toEqual(['app', 'plugin'])
  })

  test('all the keys together, and none of those under "not"', async () => {
    const when = {
      methods: 'POST',
      paths: '/orders/*rest',
      headers: { 'x-beta': { present: true } },
      not: { paths: '/orders/health', user_agent: { regex: 'bot' } },
    }
    const { request } = await startApp({ plugins: [answering(when)] })
    const ask = (path: string) => request.post(path).set('X-Beta', '1')
    await ask('/orders/7').expect('plugin\n')
    await ask('/orders/health').expect('app')
    await ask('/orders/7').set('User-Agent', 'a bot').expect('app')
    await request.post('/orders/7').expect('app')
    await request.put('/orders/7').set('X-Beta', '1').expect('app')
  })

  test('as the request is when the plugin’s phase comes', async () => {
    const move = plugin('rewrite', `ctx.path = '/new'; ctx.headers['x-moved'] = '1'`, { when: { paths: '/old' } })
    const when = { paths: '/new', headers: { 'x-moved': '1' } }
    const { request } = await startApp({ plugins: [answering(when), move] })
    await request.get('/old').expect('plugin\n')
    await request.get('/new').expect('app')
  })
})

describe('the address of a client', () => {
  const PROXY = (app: Koa) => {
    app.proxy = true
  }

  test.each([
    ['127.0.0.1', 'app', 'plugin'],
    ['::1', 'plugin', 'app'],
    ['127.0.0.0/8', 'app', 'plugin'],
    ['::ffff:127.0.0.1', 'app', 'plugin'],
    [['::1', '127.0.0.1'], 'plugin', 'plugin'],
    ['10.0.0.0/8', 'app', 'app'],
  ])('is of version 6, or of version 4 behind a socket of version 6: %j', async (ips, six, four) => {
    const ask = await startDual({ ips })
    expect([await ask('[::1]'), await ask('127.0.0.1')]).toEqual([six, four])
  })

  test('is the one that a trusted proxy has seen, and is not believed of anybody else', async () => {
    const when = { ips: ['192.0.2.0/24', '2001:db8::/32'] }
    const trusting = await startDual(when, PROXY)
    const other = await startDual(when)
    for (const [forwarded, expected] of [
      ['192.0.2.7', 'plugin'],
      ['192.0.2.7, 10.0.0.1', 'plugin'],
      ['::ffff:192.0.2.7', 'plugin'],
      ['2001:db8::7', 'plugin'],
      ['10.0.0.1, 192.0.2.7', 'app'],
      ['unknown', 'app'],
    ] as const) {
      const headers = { 'x-forwarded-for': forwarded }
      expect([forwarded, await trusting('[::1]', headers)]).toEqual([forwarded, expected])
      expect(await other('[::1]', headers)).toBe('app')
    }
  })
})

test('a client that is gone by the log phase is known by its address all the same', async () => {
  const plugins = [
    plugin('log', `told.push('all')`),
    plugin('log', `told.push(ctx.ip)`, { when: { ips: '127.0.0.0/8' } }),
    plugin('log', `told.push('outside')`, { when: { not: { ips: '127.0.0.0/8' } } }),
    plugin('log', `told.push('in')`, { rollout: { percent: 50, by: 'ip' }, name: 'in' }),
  ]
  const told: unknown[] = []
  const { port } = await startApp({
    plugins,
    inner: (ctx) => {
      ctx.respond = false
      socket.destroy()
    },
    options: { globals: { told } },
  })
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await expect.poll(() => told.length).toBeGreaterThan(1)
  // 127.0.0.1 is in the half of a plugin of that name.
  expect(told).toEqual(['all', '127.0.0.1', 'in'])
})

describe('one plugin for many domains', () => {
  const LIMIT = {
    id: 'limit',
    name: 'limit',
    phase: 'content',
    code: `say(params.limit, ' per ', params.seconds)`,
    params: { limit: 100, seconds: 60 },
  }
  const domains = Array.from({ length: 50 }, (_, index) => ({
    name: `shop${index}.test`,
    plugins: [{ id: 'limit', params: { limit: index } }],
  }))
  const document = { domains: [...domains, { name: 'usual.test', plugins: ['limit'] }], plugins: [LIMIT] }

  test('is compiled once, whatever its params are', async () => {
    const { request, dyna, serve } = await startApp()
    const seen = record(dyna)
    await serve(document)
    expect(payloadsOf(seen, 'bg_updated_plugins')).toMatchObject([{ plugins: 51, compiled: 1, reused: 50 }])
    expect(payloadsOf(seen, 'bg_compile_success')).toHaveLength(1)
    expect(new Set(dyna.status().plugins.map(({ sha1 }) => sha1)).size).toBe(1)
    await request.get('/').set('Host', 'shop7.test').expect('7 per 60\n')
    await request.get('/').set('Host', 'shop8.test').expect('8 per 60\n')
    await request.get('/').set('Host', 'usual.test').expect('100 per 60\n')
  })

  test('is not compiled for new params, and has them with the next request', async () => {
    const { request, dyna, serve } = await startApp({ document })
    const seen = record(dyna)
    await serve({ ...document, plugins: [{ ...LIMIT, params: { limit: 100, seconds: 1 } }] })
    expect(payloadsOf(seen, 'bg_updated_plugins')).toMatchObject([{ plugins: 51, compiled: 0, reused: 51 }])
    await request.get('/').set('Host', 'shop7.test').expect('7 per 1\n')
  })

  test('has params that it cannot change, in any depth', async () => {
    const code = `
      const attempts = [() => { params.a = 1 }, () => { params.deep.list.push(1) }, () => { delete params.deep.list[0].a }]
      for (const attempt of attempts) try { attempt(); say('changed') } catch (error) { say(error.name) }
      say(JSON.stringify(params))`
    const params = { a: 0, deep: { list: [{ a: 0 }] } }
    const { request } = await startApp({ plugins: [plugin('content', code, { params })] })
    for (let round = 0; round < 2; round += 1) {
      await request.get('/').expect(`TypeError\nTypeError\nTypeError\n${JSON.stringify(params)}\n`)
    }
  })

  test('is what the reference says wherever that says something', async () => {
    const shared = {
      ...LIMIT,
      when: { paths: '/a' },
      rollout: { percent: 0 },
      expires_at: '2020-01-01T00:00:00Z',
      priority: -1,
      mode: 'shadow',
    }
    const over = {
      id: 'limit',
      name: 'other',
      params: { limit: 1 },
      when: { paths: '/b' },
      rollout: { percent: 100 },
      expires_at: '2999-01-01T00:00:00Z',
      priority: 1,
      mode: 'live',
    }
    const { request, dyna } = await startApp({
      document: {
        domains: [
          { name: 'a.test', plugins: ['limit'] },
          { name: 'b.test', plugins: [plugin('content', `say('first?')`, { when: { paths: '/b' } }), over] },
          { name: 'off.test', plugins: [{ ...over, enabled: false }] },
        ],
        plugins: [shared],
      },
    })
    expect(dyna.status().plugins.map(({ domain, name, state }) => [domain, name, state])).toEqual([
      ['a.test', 'limit', 'expired'],
      ['b.test', expect.any(String), 'live'],
      ['b.test', 'other', 'live'],
      ['off.test', 'other', 'disabled'],
    ])
    await request.get('/b').set('Host', 'b.test').expect('1 per 60\nfirst?\n')
    for (const [host, path] of [
      ['a.test', '/a'],
      ['b.test', '/a'],
      ['off.test', '/b'],
    ] as const) {
      await request.get(path).set('Host', host).expect('app')
    }
  })
})

describe('a condition that is wrong', () => {
  const WRONG: [string, Record<string, unknown>, string][] = [
    ['an unknown key', { when: { path: '/a' } }, 'when.path: unknown field. Did you mean `paths`?'],
    ['a pattern', { when: { paths: '/a?' } }, 'when.paths: expected a path of path-to-regexp'],
    ['an address', { when: { ips: ['10.0.0.0/33'] } }, 'when.ips[0]: expected an IP address or CIDR range'],
    ['an expression', { when: { headers: { a: { regex: '(' } } } }, 'when.headers.a.regex: expected a regular'],
    ['an empty list', { when: { methods: [] } }, 'when.methods: expected an array of at least 1'],
    ['a null', { when: { paths: null } }, 'when.paths: expected a string or an array, got null'],
    ['no object', { when: 'GET' }, 'when: expected an object, got "GET"'],
    ['under not', { when: { not: { ip: '::1' } } }, 'when.not.ip: unknown field. Did you mean `ips`?'],
    ['a dropped key', { when: JSON.parse('{"query":{"a":"1","__proto__":"2"}}') }, 'when: expected an object'],
    ['a share', { rollout: { percent: 101 } }, 'rollout.percent: expected a number of at most 100, got 101'],
    ['a share of what', { rollout: { percent: 1, by: 'user' } }, 'rollout.by: expected "ip", "random"'],
    ['a time', { expires_at: 'tomorrow' }, 'expires_at: expected an ISO 8601 time with its zone'],
    ['a time without its zone', { starts_at: '2030-01-01T00:00:00' }, 'starts_at: expected an ISO 8601 time'],
    ['a mode', { mode: 'Shadow' }, 'mode: expected one of "live", "shadow", got "Shadow"'],
    ['a switch', { enabled: 'no' }, 'enabled: expected a boolean, got "no"'],
  ]

  test.each(WRONG)('is named, refuses its plugin alone, and never widens it: %s', async (_what, fields, fault) => {
    const other = (text: string): PluginFields => ({
      name: 'other',
      phase: 'header_filter',
      code: `ctx.set('X-Other', '${text}')`,
    })
    const good = answering({ paths: '/good' })
    const { request, dyna, serve } = await startApp({ plugins: [good, other('old')] })
    const seen = record(dyna)
    await serve({ domains: [{ name: '*', plugins: [{ ...good, code: `say('new')`, ...fields }, other('new')] }] })
    expect(payloadsOf(seen, 'bg_compile_error')).toMatchObject([
      { plugin: { name: 'p' }, kept_last_good: true, error: { code: 'ERR_DYNACODE_DOCUMENT' } },
    ])
    const [{ error } = {}] = payloadsOf(seen, 'bg_compile_error')
    expect(error?.message).toContain(`domains[0].plugins[0].${fault}`)
    expect(dyna.status().plugins).toMatchObject([
      { name: 'p', state: 'last_good', error: error?.message },
      { name: 'other', state: 'live' },
    ])
    await request.get('/good').expect('plugin\n').expect('X-Other', 'new')
    await request.get('/').expect('app').expect('X-Other', 'new')
  })

  test.each(WRONG)('runs for nobody where there was no version before: %s', async (_what, fields) => {
    const { request, dyna } = await startApp({ plugins: [answering(undefined, fields)] })
    await request.get('/').expect('app')
    await request.get('/a').expect('app')
    expect(dyna.status().plugins).toMatchObject([{ name: 'p', state: 'refused' }])
  })

  test('is named where it stands: in the reference, or in the plugin that this means', async () => {
    const shared = { id: 1, name: 'p', phase: 'log', code: '' }
    const { dyna, serve } = await startApp()
    const seen = record(dyna)
    const domains = [{ name: '*', plugins: [{ id: 1, when: { methods: 5 } }] }]
    await serve({ domains, plugins: [shared] })
    await serve({ domains: [{ name: '*', plugins: [1] }], plugins: [{ ...shared, when: { not: [] } }] })
    expect(payloadsOf(seen, 'bg_compile_error').map(({ plugin: { name }, error }) => [name, error.message])).toEqual([
      ['p', 'domains[0].plugins[0].when.methods: expected a string or an array, got 5'],
      ['p', 'plugins[0].when.not: expected an object, got an array of 0'],
    ])
  })
})

describe('a request whose address is none', () => {
  const ask = async (port: number) => {
    const answer = await exchange(port, 'GET http://[ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    return [answer.slice(9, 12), answer.slice(answer.indexOf('\r\n\r\n') + 4)]
  }

  // With more than a few, plugins are found by their paths.
  test.each([1, 8])('goes past %d plugins that ask for its path, and these have failed', async (count) => {
    for (const phase of ['access', 'header_filter', 'body_filter', 'log'] as const) {
      const plugins = Array.from({ length: count }, (_, index) => plugin(phase, '', { when: { paths: `/${index}` } }))
      const running = await startApp({ plugins })
      expect(await ask(running.port)).toEqual(['200', 'app'])
      await expect.poll(() => failures(running)).toHaveLength(count)
      expect(failures(running)[0]).toMatchObject({ error: { code: 'ERR_INVALID_URL' }, outcome: 'open' })
    }
  })

  test.each([1, 8])('gets past none of %d that fail closed', async (count) => {
    const closed = (index: number) => plugin('access', '', { when: { paths: `/${index}` }, on_failure: 'closed' })
    const { port } = await startApp({ plugins: Array.from({ length: count }, (_, index) => closed(index)) })
    expect((await ask(port))[0]).toBe('503')
  })
})

describe('plugins of one phase', () => {
  test('run by their priority, and in document order where that is the same', async () => {
    const mark = (name: string, priority?: number) =>
      plugin('header_filter', `ctx.append('X-Ran', '${name}')`, priority === undefined ? {} : { priority })
    const { request } = await startApp({
      document: {
        domains: [
          { name: '*', plugins: [mark('a'), mark('b', -1), mark('c', 5), mark('d', 0.5)] },
          { name: '127.0.0.1', plugins: [mark('e', 5), mark('f', 0), mark('g', 1e9), mark('h', -0)] },
        ],
      },
    })
    await request.get('/').expect('X-Ran', 'g, c, e, d, a, f, h, b')
  })

  test('do not run when they are switched off, and do again when that is over', async () => {
    const on = answering(undefined, { on_failure: 'closed' })
    const document = (fields: object) => ({ domains: [{ name: '*', plugins: [{ ...on, ...fields }] }] })
    const { request, dyna, serve } = await startApp({ document: document({ enabled: false }) })
    await request.get('/').expect(200, 'app')
    expect(dyna.status().plugins).toMatchObject([{ state: 'disabled' }])
    await serve(document({ enabled: true }))
    await request.get('/').expect(200, 'plugin\n')
    await serve(document({ enabled: false, code: 'broken(' }))
    await request.get('/').expect(200, 'app')
    await serve(document({ enabled: false }))
    await dyna.close()
    await request.get('/').expect(200, 'app')
  })
})
