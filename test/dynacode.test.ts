import { EventEmitter } from 'node:events'
import Koa from 'koa'
import supertest from 'supertest'
import { describe, expect, test } from 'vitest'
import { dynacode, OptionError } from '../lib/index.ts'
import { createInstance } from './fixtures/instance.ts'
import { startPluginApi } from './fixtures/plugin-api.ts'

const URI = 'http://127.0.0.1:9/plugins.json'

describe('dynacode(options)', () => {
  test('is Koa middleware with a name of its own, that carries its instance', () => {
    const dyna = createInstance({ plugin_api_uri: URI, plugin_api_poll_at_init: false })
    expect([dyna.name, dyna.length]).toEqual(['dynacode', 2])
    expect(dyna.events).toBeInstanceOf(EventEmitter)
    for (const method of ['ready', 'refresh', 'status', 'close', 'disable', 'enable'] as const) {
      expect(dyna[method]).toBeTypeOf('function')
    }
  })

  test('refuses wrong options at once', () => {
    expect(() => dynacode({ plugin_api_url: URI } as never)).toThrow(OptionError)
    expect(() => dynacode(undefined as never)).toThrow('dynacode(options): expected an object, got nothing')
  })

  test('has methods that need no this', async () => {
    const api = await startPluginApi()
    const { refresh, ready, status, close } = createInstance({ plugin_api_uri: api.uri })
    expect(await refresh()).toMatchObject({ updated: true })
    expect(await ready()).toEqual({ from: 'network' })
    expect(status().loaded).toBe(true)
    await close()
  })
})

describe('requests before the first document', () => {
  async function ask(when_not_loaded: 'open' | 'closed' | 'wait', options: object = {}) {
    const api = await startPluginApi()
    api.behave(() => undefined)
    const dyna = createInstance({ plugin_api_uri: api.uri, when_not_loaded, ...options })
    const app = new Koa().use(dyna).use((ctx) => {
      ctx.body = 'app'
    })
    return { api, dyna, get: () => supertest(app.callback()).get('/') }
  }

  test('reach the app', async () => {
    const { get } = await ask('open')
    await get().expect(200, 'app')
  })

  test('get 503 where so asked', async () => {
    const { get } = await ask('closed')
    await get().expect(503)
  })

  test('wait for the document where so asked, and then go through it', async () => {
    const { api, dyna, get } = await ask('wait', { plugin_api_timeout: 0.2 })
    await dyna.refresh()
    api.serve({ domains: [{ name: '*', plugins: [{ name: 'p', phase: 'content', code: `say('live')` }] }] })
    const response = get()
      .expect(200, 'live\n')
      .then(() => 'served')
    await dyna.refresh()
    expect(await response).toBe('served')
  })

  test('get 503 when they have waited for as long as a fetch may take', async () => {
    const { get } = await ask('wait', { plugin_api_timeout: 0.05 })
    await get().expect(503)
  })

  test('are told of', async () => {
    const { dyna, get } = await ask('open')
    const hosts: string[] = []
    dyna.events.on('rt_plugins_not_loaded', ({ host }) => hosts.push(host))
    await get().set('Host', 'A.test:80')
    expect(hosts).toEqual(['a.test'])
  })
})
