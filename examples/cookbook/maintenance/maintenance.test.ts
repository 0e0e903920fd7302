import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

async function start() {
  const app = await plugin_app(import.meta.dirname, { now: '2030-01-31T11:00:00Z' })
  app.proxy = true
  const get = (path = '/', headers: Record<string, string> = {}) =>
    request(app.callback())
      .get(path)
      .set({ Host: 'shop.example.com', 'X-Forwarded-For': '192.0.2.1', ...headers })
  return { app, get }
}

test('the page says when to come back', async () => {
  const { get } = await start()
  const { headers, text } = await get('/items').expect(503).expect('Content-Type', /html/)
  expect(headers).toMatchObject({ 'retry-after': '600', 'cache-control': 'no-store' })
  expect(text).toContain('We are back soon')
})

test('HEAD and POST get it as well', async () => {
  const { app } = await start()
  await request(app.callback()).head('/').set('Host', 'shop.example.com').expect(503).expect('Retry-After', '600')
  await request(app.callback()).post('/').set('Host', 'shop.example.com').expect(503)
})

test('the health check, the own network and other hosts get the app', async () => {
  const { get } = await start()
  await get('/health').expect(200, 'app')
  await get('/', { 'X-Forwarded-For': '10.0.0.7' }).expect(200, 'app')
  await get('/', { Host: 'other.example.com' }).expect(200, 'app')
})

test('it ends by itself', async () => {
  const { app, get } = await start()
  app.set_time('2030-01-31T12:00:00Z')
  await get().expect(200, 'app')
})
