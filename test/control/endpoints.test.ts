import Koa from 'koa'
import supertest from 'supertest'
import { describe, expect, test } from 'vitest'
import { type Dynacode, OptionError } from '../../lib/index.ts'
import { createInstance, createReadyInstance } from '../fixtures/instance.ts'
import { type PluginApi, startPluginApi } from '../fixtures/plugin-api.ts'

const TOKEN = 'a-token-of-32-characters-exactly'
const MARKED = {
  general: { version: 1 },
  domains: [{ name: '*', plugins: [{ name: 'mark', phase: 'header_filter', code: `ctx.set('X-Plugin', 'ran')` }] }],
}

async function start(document: unknown = MARKED): Promise<{
  api: PluginApi
  dyna: Dynacode
  as: (method: 'get' | 'post' | 'delete', path: string, token?: string) => supertest.Test
}> {
  const api = await startPluginApi(document)
  const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
  const app = new Koa()
  app.use(dyna.control({ token: TOKEN }))
  app.use(dyna)
  app.use((ctx) => {
    ctx.body = 'app'
  })
  const agent = supertest(app.callback())
  return { api, dyna, as: (method, path, token = TOKEN) => agent[method](path).set('Authorization', `Bearer ${token}`) }
}

describe('the endpoints of control()', () => {
  test('GET /status tells the state', async () => {
    const { dyna, as } = await start()
    const { body, headers } = await as('get', '/_dynacode/status').expect(200)
    expect(body).toEqual(JSON.parse(JSON.stringify(dyna.status())))
    expect(headers['cache-control']).toBe('no-store')
    expect(headers['x-plugin']).toBeUndefined()
  })

  test('POST /refresh fetches, and tells what happened to each plugin', async () => {
    const { api, as } = await start()
    await as('post', '/_dynacode/refresh')
      .expect(200)
      .expect(({ body }) => {
        expect(body).toMatchObject({ updated: false, reason: 'unchanged', error: null, version: 1 })
      })
    const [domain] = MARKED.domains
    const broken = { name: 'broken', phase: 'access', code: 'this is not' }
    api.serve({ general: { version: 2 }, domains: [{ name: '*', plugins: [...(domain?.plugins ?? []), broken] }] })
    const { body } = await as('post', '/_dynacode/refresh').expect(200)
    expect(body).toMatchObject({ updated: true, version: 2, compiled: 0, failed: 1 })
    expect(body.plugins).toMatchObject([
      { name: 'mark', state: 'live', error: null },
      { name: 'broken', state: 'refused', error: expect.stringContaining('broken') },
    ])
  })

  test('POST /refresh says by its status whether the document could not be had, or was refused', async () => {
    const { api, as } = await start()
    api.answer({ status: 500 })
    await as('post', '/_dynacode/refresh')
      .expect(502)
      .expect(({ body }) => {
        expect(body).toMatchObject({ reason: 'fetch', error: { code: 'ERR_DYNACODE_FETCH_STATUS' }, version: 1 })
        expect(body.plugins).toMatchObject([{ name: 'mark', state: 'live' }])
      })
    api.serve({ domains: 'none' })
    await as('post', '/_dynacode/refresh')
      .expect(422)
      .expect(({ body }) => {
        expect(body).toMatchObject({ reason: 'invalid', error: { code: 'ERR_DYNACODE_DOCUMENT' }, version: 1 })
      })
  })

  test('POST /disable and /enable throw the switch of this process', async () => {
    const { as } = await start()
    const marked = async () => (await as('get', '/')).headers['x-plugin']
    expect(await marked()).toBe('ran')
    await as('post', '/_dynacode/disable')
      .expect(200)
      .expect(({ body }) => expect(body.disabled).toBe(true))
    expect(await marked()).toBeUndefined()
    await as('post', '/_dynacode/enable')
      .expect(200)
      .expect(({ body }) => expect(body.disabled).toBe(false))
    expect(await marked()).toBe('ran')
  })

  test('say what else could be meant', async () => {
    const { as } = await start()
    await as('get', '/_dynacode').expect(404, {
      error: 'expected /status, /refresh, /disable, /enable after /_dynacode',
    })
    await as('get', '/_dynacode/constructor').expect(404)
    await as('get', '/_dynacode/refresh').expect(405).expect('Allow', 'POST')
    await as('delete', '/_dynacode/status').expect(405).expect('Allow', 'GET, HEAD')
    await as('get', '/_dynacodes/status').expect(200, 'app')
  })

  test('refuse too many refreshes, and nothing else', async () => {
    const { as } = await start()
    const statuses: number[] = []
    for (let count = 0; count < 7; count += 1) statuses.push((await as('post', '/_dynacode/refresh')).status)
    expect(statuses.slice(0, 5)).toEqual([200, 200, 200, 200, 200])
    expect(statuses).toContain(429)
    await as('post', '/_dynacode/refresh').expect('Retry-After', /^[12]$/)
    await as('get', '/_dynacode/status').expect(200)
  })

  test('do nothing any more after close()', async () => {
    const { dyna, as } = await start()
    await dyna.close()
    await as('get', '/_dynacode/status').expect(503, { error: 'dynacode is closed' })
    await as('post', '/_dynacode/enable').expect(503)
  })

  test('are under the path that was asked for', async () => {
    const dyna = createInstance({ source: { fetch: async () => ({ bytes: Buffer.from('{"domains":[]}') }) } })
    const app = new Koa().use(dyna.control({ token: TOKEN, path: '/ops/dyna' }))
    const agent = supertest(app.callback())
    await agent.get('/ops/dyna/status').set('Authorization', `bearer ${TOKEN}`).expect(200)
    await agent.get('/_dynacode/status').set('Authorization', `Bearer ${TOKEN}`).expect(404, 'Not Found')
  })
})

describe('nobody gets in', () => {
  test.each([
    ['without a token', undefined],
    ['with another token', `Bearer ${TOKEN.slice(1)}x`],
    ['with the beginning of the token', `Bearer ${TOKEN.slice(0, -1)}`],
    ['with more than the token', `Bearer ${TOKEN}x`],
    ['with an empty token', 'Bearer '],
    ['with the token as a password', `Basic ${Buffer.from(`:${TOKEN}`).toString('base64')}`],
    ['with the bare token', TOKEN],
    ['with two tokens', `Bearer ${TOKEN} ${TOKEN}`],
  ])('%s', async (_, authorization) => {
    const { dyna } = await start()
    const app = new Koa().use(dyna.control({ token: TOKEN }))
    for (const path of ['/status', '/refresh', '/disable', '/nothing', '']) {
      const asked = supertest(app.callback()).post(`/_dynacode${path}`)
      if (authorization !== undefined) asked.set('Authorization', authorization)
      await asked.expect(401).expect('WWW-Authenticate', 'Bearer')
    }
    expect(dyna.status().disabled).toBe(false)
  })

  test('with the token in the address', async () => {
    const { as } = await start()
    await as('get', `/_dynacode/status?access_token=${TOKEN}`, 'x').expect(401)
  })

  test('by way of a plugin that rewrites the path', async () => {
    const rewrite = { name: 'rewrite', phase: 'rewrite', code: `ctx.url = '/_dynacode/disable'` }
    const { dyna, as } = await start({ domains: [{ name: '*', plugins: [rewrite] }] })
    await as('post', '/anything').expect(200, 'app')
    const app = new Koa().use(dyna).use(dyna.control({ token: TOKEN }))
    await supertest(app.callback()).post('/anything').set('Authorization', `Bearer ${TOKEN}`).expect(404)
    expect(dyna.status().disabled).toBe(false)
  })

  test('behind plugins, which could answer in its place', async () => {
    const { dyna } = await start()
    const app = new Koa().use(dyna).use(dyna.control({ token: TOKEN }))
    const { body } = await supertest(app.callback())
      .post('/_dynacode/disable')
      .set('Authorization', `Bearer ${TOKEN}`)
      .expect(500)
    expect(body.error).toContain('in front of dyna')
    expect(dyna.status().disabled).toBe(false)
  })
})

describe('options of control() that are wrong', () => {
  const messageOf = (options: unknown) => {
    const dyna = createInstance({ source: { fetch: async () => ({ bytes: Buffer.from('{"domains":[]}') }) } })
    try {
      dyna.control(options as never)
      return 'taken'
    } catch (error) {
      expect(error).toBeInstanceOf(OptionError)
      return (error as Error).message
    }
  }

  test.each([
    [undefined, /^dyna\.control\(options\): expected .*object/],
    [{}, /option token: expected a string, got nothing/],
    [{ token: '' }, /option token: expected a token of at least 16 characters/],
    [{ token: 'fifteen letters' }, /option token: expected a token of at least 16/],
    [{ token: 'with spaces and sixteen' }, /option token: expected a token of letters, digits/],
    [{ token: TOKEN, path: 'ops' }, /option path: expected a path that begins with \//],
    [{ token: TOKEN, path: '/' }, /option path: expected a path/],
    [{ token: TOKEN, paths: '/x' }, /option paths: is not known/],
  ])('%j: an error that names it', (options, expected) => {
    const message = messageOf(options)
    expect(message).toMatch(expected)
    for (const value of Object.values<string>(options ?? {})) if (value.length > 2) expect(message).not.toContain(value)
  })
})
