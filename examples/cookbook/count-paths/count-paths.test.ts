import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

async function start() {
  const app = await plugin_app(import.meta.dirname)
  app.proxy = true
  const listener = app.callback()
  const get = (path: string, headers: Record<string, string> = {}) =>
    request(listener)
      .get(path)
      .set({ Host: 'shop.example.com', 'X-Forwarded-For': '192.0.2.1', ...headers })
  async function counts() {
    await app.settled()
    const { body, headers } = await get('/counts', { 'X-Forwarded-For': '10.0.0.1' }).expect(200)
    expect(headers['cache-control']).toBe('no-store')
    return body
  }
  return { app, get, counts, listener }
}

test('responses are counted by their path', async () => {
  const { get, counts } = await start()
  expect(await counts()).toEqual({ '/': 0, '/cart': 0, '/checkout': 0, other: 0 })
  await get('/').expect(200, 'app')
  await get('/cart?item=7').expect(200, 'app')
  await get('/cart').expect(200, 'app')
  expect(await counts()).toEqual({ '/': 1, '/cart': 2, '/checkout': 0, other: 0 })
})

test('paths that a client makes up are one', async () => {
  const { get, counts } = await start()
  for (const path of ['/a', '/b', '/CART', '/__proto__', '/constructor']) await get(path)
  expect(await counts()).toMatchObject({ '/cart': 0, other: 5 })
})

test('errors of the app and HEAD count, other hosts do not', async () => {
  const { get, counts, listener } = await start()
  await request(listener).head('/').set('Host', 'shop.example.com').expect(200)
  await get('/', { Host: 'other.example.com' }).expect(200, 'app')
  expect(await counts()).toMatchObject({ '/': 1 })
  const app = await plugin_app(import.meta.dirname, { app: new Error('oops') })
  await request(app.callback()).get('/').set('Host', 'shop.example.com').expect(500)
  await app.settled()
  expect(app.events_of('rt_plugins_done')).toMatchObject([{ plugin: { name: 'count' } }])
})

test('the counts are for the own network alone', async () => {
  const { get } = await start()
  await get('/counts').expect(200, 'app')
})

test('a count that is lost harms no response', async () => {
  const { app, get } = await start()
  await app.document({ phase: 'content', code: `store.set('count-paths /', 'broken'); say('done')` })
  await get('/').expect(200, 'done\n')
  await app.document(import.meta.dirname)
  await get('/').expect(200, 'app')
  await app.settled()
  expect(app.events_of('rt_plugins_error')).toMatchObject([{ plugin: { name: 'count' }, outcome: 'open' }])
})
