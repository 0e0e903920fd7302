import { type PluginAppOptions, plugin_app, stream_body } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

async function start(app: PluginAppOptions['app']) {
  const server = await plugin_app(import.meta.dirname, { app })
  const client = request(server.callback())
  return { server, client, get: () => client.get('/').set('Host', 'shop.example.com') }
}

const USER = {
  name: 'ann',
  Email: 'ann@example.com',
  accounts: [{ iban: 'DE00', note: null }],
  password: { hash: 'x' },
}
const REDACTED = { name: 'ann', Email: 'redacted', accounts: [{ iban: 'redacted', note: null }], password: 'redacted' }

test('an object', async () => {
  const { get } = await start(USER)
  await get().expect(200, REDACTED).expect('Content-Type', 'application/json; charset=utf-8')
})

test('a list, a string, a Buffer and problem+json', async () => {
  const list = await start([USER])
  await list.get().expect(200, [REDACTED])
  for (const body of [JSON.stringify(USER), Buffer.from(JSON.stringify(USER))]) {
    const { get } = await start((ctx) => {
      ctx.type = 'application/problem+json'
      ctx.body = body
    })
    const { text, body: parsed } = await get().expect(200)
    expect(text === undefined ? parsed : JSON.parse(text)).toEqual(REDACTED)
  }
})

test('a stream, wherever it is cut', async () => {
  const bytes = Buffer.from(JSON.stringify({ ...USER, name: 'änn 🙂' }))
  let cut = 0
  const { get } = await start((ctx, next) =>
    stream_body([bytes.subarray(0, cut), bytes.subarray(cut)], 'json')(ctx, next),
  )
  for (; cut <= bytes.length; cut += 1) {
    await get().expect(200, { ...REDACTED, name: 'änn 🙂' })
  }
})

test('what is said to be JSON and is none does not get out', async () => {
  const { get, server } = await start((ctx) => {
    ctx.type = 'json'
    ctx.body = '{"password": "s3cret"'
  })
  const { text } = await get().expect(503)
  expect(text).not.toContain('s3cret')
  expect(server.events_of('rt_plugins_error')).toMatchObject([{ outcome: 'closed' }])
})

test('what is too long does not get out', async () => {
  const long = { password: 's3cret', text: 'x'.repeat(1_000_000) }
  const whole = await start(long)
  expect((await whole.get().expect(503)).text).not.toContain('s3cret')
  const streamed = await start(stream_body([JSON.stringify(long), '   '], 'json'))
  expect((await streamed.get().expect(503)).text).not.toContain('s3cret')
})

test('what is no JSON stays, and so does what has no body', async () => {
  const page = await start('password')
  await page.get().expect(200, 'password')
  const empty = await start((ctx) => {
    ctx.status = 204
  })
  await empty.get().expect(204)
  const stream = await start(stream_body(['{"password"', ':1}'], 'text'))
  await stream.get().expect(200, '{"password":1}')
  const nothing = await start(stream_body([], 'json'))
  await nothing.get().expect(200, '')
})

test('HEAD has the length of what GET would send', async () => {
  const { client } = await start(USER)
  const { headers } = await client.head('/').set('Host', 'shop.example.com').expect(200)
  expect(headers['content-length']).toBe(String(JSON.stringify(REDACTED).length))
})

test('other hosts and errors of the app stay', async () => {
  const { client } = await start(USER)
  await client.get('/').set('Host', 'other.example.com').expect(200, USER)
  const failing = await start(new Error('oops'))
  await failing.get().expect(500, 'Internal Server Error')
})
