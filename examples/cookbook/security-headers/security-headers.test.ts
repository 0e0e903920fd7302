import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

const start = async (app?: Parameters<typeof plugin_app>[1]) => {
  const server = await plugin_app(import.meta.dirname, app)
  server.proxy = true
  return request(server.callback())
}
const plain = { Host: 'shop.example.com' }
const over_tls = { ...plain, 'X-Forwarded-Proto': 'https' }
const EXPECTED = {
  'content-security-policy': "default-src 'self'; frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'strict-origin-when-cross-origin',
}

test('every response has them', async () => {
  const client = await start()
  expect((await client.get('/').set(over_tls).expect(200, 'app')).headers).toMatchObject({
    ...EXPECTED,
    'strict-transport-security': 'max-age=31536000',
  })
  expect((await client.head('/').set(plain).expect(200)).headers).toMatchObject(EXPECTED)
})

test('those for errors of the app, and for what is missing, too', async () => {
  const failing = await start({ app: new Error('oops') })
  expect((await failing.get('/').set(plain).expect(500)).headers).toMatchObject(EXPECTED)
  const missing = await start({ app: null })
  expect((await missing.get('/').set(plain).expect(404)).headers).toMatchObject(EXPECTED)
})

test('HSTS is for TLS alone', async () => {
  const client = await start()
  expect((await client.get('/').set(plain)).headers).not.toHaveProperty('strict-transport-security')
})

test('what the app has set stays', async () => {
  const client = await start({
    app: (ctx) => {
      ctx.set({ 'X-Frame-Options': 'SAMEORIGIN', 'Strict-Transport-Security': 'max-age=0' })
      ctx.body = 'framed'
    },
  })
  const { headers } = await client.get('/').set(over_tls).expect(200, 'framed')
  expect(headers).toMatchObject({
    ...EXPECTED,
    'x-frame-options': 'SAMEORIGIN',
    'strict-transport-security': 'max-age=0',
  })
})

test('other hosts have none', async () => {
  const client = await start()
  const { headers } = await client.get('/').set('Host', 'other.example.com').expect(200)
  expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['x-frame-options']))
})
