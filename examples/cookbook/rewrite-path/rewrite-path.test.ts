import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { test } from 'vitest'

async function start() {
  const app = await plugin_app(import.meta.dirname, {
    app: (ctx) => {
      ctx.body = `${ctx.method} ${ctx.url}, once ${ctx.originalUrl}`
    },
  })
  return request(app.callback())
}
const at = { Host: 'shop.example.com' }

test.each([
  ['/v1/items/7?page=2', '/api/items/7?page=2'],
  ['/V1/items', '/api/items'],
  ['/v1/%C3%A9', '/api/%C3%A9'],
])('the app sees %s as %s', async (from, to) => {
  const client = await start()
  await client.get(from).set(at).expect(200, `GET ${to}, once ${from}`)
})

test('methods stay what they are', async () => {
  const client = await start()
  await client.delete('/v1/items/7').set(at).expect(200, 'DELETE /api/items/7, once /v1/items/7')
})

test.each(['/', '/v1', '/v2/items', '/shop/v1/items'])('%s stays', async (path) => {
  const client = await start()
  await client.get(path).set(at).expect(200, `GET ${path}, once ${path}`)
})

test('other hosts stay', async () => {
  const client = await start()
  await client.get('/v1/items').set('Host', 'other.example.com').expect(200, 'GET /v1/items, once /v1/items')
})
