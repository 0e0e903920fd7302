import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { afterEach, expect, test } from 'vitest'
import { createProxy } from '../../gateway/proxy.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function listen(name: string) {
  const server = createServer((_request, response) => response.end(name)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function start(globals: object = {}) {
  const upstreams = { usual: await listen('usual'), canary: await listen('canary') }
  const proxy = createProxy({ upstream: upstreams.usual })
  closing.push(() => proxy.close())
  const app = await plugin_app(import.meta.dirname, { globals: { upstreams, ...globals }, app: proxy })
  app.proxy = true
  const listener = app.callback()
  const get = (headers: Record<string, string>) =>
    request(listener)
      .get('/')
      .set({ Host: 'shop.example.com', ...headers })
  return { app, get }
}

const addresses = (app: { rollout_key(name: string, options?: object): string }) => ({
  inside: { 'X-Forwarded-For': app.rollout_key('canary') },
  outside: { 'X-Forwarded-For': app.rollout_key('canary', { inside: false }) },
})

test('a share of the addresses gets the canary, the others do not', async () => {
  const { app, get } = await start()
  const { inside, outside } = addresses(app)
  await get(inside).expect(200, /canary/)
  await get(inside).expect(200, /canary/)
  await get(outside).expect(200, /usual/)
})

test('testers get it from anywhere', async () => {
  const { app, get } = await start()
  await get({ ...addresses(app).outside, 'X-Canary': '1' }).expect(200, /canary/)
})

test('other hosts get the usual one', async () => {
  const { app, get } = await start()
  await get({ ...addresses(app).inside, Host: 'other.example.com' }).expect(200, /usual/)
})

test('where there is no canary, all get the usual one', async () => {
  const { app, get } = await start({ upstreams: undefined })
  await get(addresses(app).inside).expect(200, /usual/)
  expect(app.events_of('rt_plugins_error')).toMatchObject([{ outcome: 'open' }])
})
