import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

const FRIEND = 'https://app.example.com'
const STRANGER = 'https://evil.example.net'

const start = async (options: Parameters<typeof plugin_app>[1] = {}) => {
  const app = await plugin_app(import.meta.dirname, options)
  return request(app.callback())
}
const from = (origin: string) => ({ Host: 'shop.example.com', Origin: origin })

test('a page of a friend may read the answer', async () => {
  const client = await start()
  const { headers } = await client.get('/').set(from(FRIEND)).expect(200, 'app')
  expect(headers).toMatchObject({ 'access-control-allow-origin': FRIEND, vary: 'Origin' })
})

test('errors of the app as well', async () => {
  const client = await start({ app: new Error('oops') })
  await client.get('/').set(from(FRIEND)).expect(500).expect('Access-Control-Allow-Origin', FRIEND)
})

test.each([STRANGER, 'https://app.example.com.evil.example.net', 'http://app.example.com', 'null'])(
  'a page of %s may not',
  async (origin) => {
    const client = await start()
    const { headers } = await client.get('/').set(from(origin)).expect(200, 'app')
    expect(headers).not.toHaveProperty('access-control-allow-origin')
    expect(headers).toMatchObject({ vary: 'Origin' })
  },
)

test('the question before the request is answered without the app', async () => {
  const client = await start({ app: new Error('not to be reached') })
  const { headers } = await client
    .options('/items')
    .set({ ...from(FRIEND), 'Access-Control-Request-Method': 'DELETE' })
    .expect(204)
  expect(headers).toMatchObject({
    'access-control-allow-origin': FRIEND,
    'access-control-allow-methods': 'GET, POST, DELETE',
    'access-control-allow-headers': 'Content-Type, X-Token',
    'access-control-max-age': '600',
  })
})

test('a stranger who asks is not told that they may', async () => {
  const client = await start()
  const asking = { ...from(STRANGER), 'Access-Control-Request-Method': 'DELETE' }
  const { headers } = await client.options('/').set(asking).expect(204)
  expect(headers).not.toHaveProperty('access-control-allow-origin')
})

test('an OPTIONS that is no such question is for the app', async () => {
  const client = await start()
  await client.options('/').set(from(FRIEND)).expect(200, 'app')
})

test('requests without an origin and other hosts are as ever', async () => {
  const client = await start()
  const { headers } = await client.get('/').set('Host', 'shop.example.com').expect(200)
  expect(headers).not.toHaveProperty('access-control-allow-origin')
  const other = await client.get('/').set({ Host: 'other.example.com', Origin: FRIEND }).expect(200)
  expect(other.headers).not.toHaveProperty('vary')
})
