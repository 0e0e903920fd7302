import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

async function start(server: string) {
  const app = await plugin_app(import.meta.dirname, { globals: { server } })
  const listener = app.callback()
  return {
    app,
    get: (path: string) => request(listener).get(path).set('Host', 'shop.example.com'),
    post: (path: string) => request(listener).post(path).set('Host', 'shop.example.com'),
  }
}

test('visitors of the server are sent to the other place, with path and query', async () => {
  const { get } = await start('web-3')
  const { headers } = await get('/items/7?page=2').expect(302)
  expect(headers).toMatchObject({ location: 'https://other.example.com/items/7?page=2', 'cache-control': 'no-store' })
})

test('its health check fails', async () => {
  const { get } = await start('web-3')
  await get('/health').expect(503, 'draining\n')
})

test('what a client has begun to send is still taken', async () => {
  const { post } = await start('web-3')
  await post('/orders').send('data').expect(200, 'app')
})

test('no path leads to another host than that', async () => {
  const { get } = await start('web-3')
  for (const path of ['//evil.example.net/', '/@evil.example.net', '/.evil.example.net', '/%2f%2fevil.example.net']) {
    const { headers } = await get(path).expect(302)
    expect(new URL(headers.location as string).origin).toBe('https://other.example.com')
  }
})

test('other servers, and other hosts of this one, are as ever', async () => {
  const { get } = await start('web-2')
  await get('/').expect(200, 'app')
  await get('/health').expect(200, 'app')
  const { app } = await start('web-3')
  await request(app.callback()).get('/').set('Host', 'other.example.com').expect(200, 'app')
})

test('a server that has no name goes on', async () => {
  const app = await plugin_app(import.meta.dirname)
  await request(app.callback()).get('/health').set('Host', 'shop.example.com').expect(200, 'app')
  expect(app.events_of('rt_plugins_error')).toMatchObject([{ outcome: 'open' }])
})
