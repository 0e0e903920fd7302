import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

const LIMIT = 100

async function start(ip = '192.0.2.1') {
  const app = await plugin_app(import.meta.dirname, { now: '2029-01-01T00:00:00Z' })
  app.proxy = true
  const server = app.callback()
  const get = (path = '/api/items', headers: Record<string, string> = {}) =>
    request(server)
      .get(path)
      .set({ Host: 'shop.example.com', 'X-Forwarded-For': ip, ...headers })
  const use_up = () => Promise.all(Array.from({ length: LIMIT }, () => get().expect(200, 'app')))
  return { app, get, use_up }
}

test('the request over the limit is refused, until the time is over', async () => {
  const { app, get, use_up } = await start()
  await use_up()
  const { headers } = await get().expect(429, 'too many requests\n')
  expect(headers['retry-after']).toBe('60')
  app.advance_seconds(59)
  await get().expect(429)
  app.advance_seconds(2)
  await get().expect(200, 'app')
})

test('requests that are refused do not make it last longer', async () => {
  const { app, get, use_up } = await start()
  await use_up()
  for (let second = 0; second < 60; second += 10) {
    await get().expect(429)
    app.advance_seconds(10)
  }
  app.advance_seconds(1)
  await get().expect(200)
})

test('another address, path or host has a limit of its own, or none', async () => {
  const { get, use_up } = await start()
  await use_up()
  await get('/api/items', { 'X-Forwarded-For': '192.0.2.2' }).expect(200)
  await get('/').expect(200)
  await get('/api/items', { Host: 'other.example.com' }).expect(200)
})

test('the own network has none', async () => {
  const { get, use_up } = await start('10.0.0.1')
  await use_up()
  await get().expect(200)
})

test('the app goes on where the count is lost', async () => {
  const { app, get } = await start()
  const broken = { phase: 'content', code: `store.set('rate-limit ' + ctx.ip, 'broken'); say('done')` } as const
  await app.document(broken)
  await get().expect(200, 'done\n')
  await app.document(import.meta.dirname)
  await get().expect(200, 'app')
  expect(app.events_of('rt_plugins_error')).toMatchObject([{ outcome: 'open', plugin: { name: 'limit' } }])
})
