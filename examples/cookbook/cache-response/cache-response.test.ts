import { plugin_app, stream_body } from 'dynacode/testing'
import type { Context } from 'koa'
import request from 'supertest'
import { expect, test } from 'vitest'

async function start(answer: (ctx: Context, turn: number) => unknown) {
  let turn = 0
  const app = await plugin_app(import.meta.dirname, {
    now: '2029-01-01T00:00:00Z',
    app: async (ctx) => {
      turn += 1
      await answer(ctx, turn)
    },
  })
  const client = request(app.callback())
  const get = (path = '/prices', headers: Record<string, string> = {}) =>
    client.get(path).set({ Host: 'shop.example.com', ...headers })
  return { app, client, get, turns: () => turn }
}
const counting = (ctx: Context, turn: number) => {
  ctx.body = { turn }
}

test('the app is asked once a minute', async () => {
  const { app, get } = await start(counting)
  await get().expect(200, { turn: 1 }).expect('X-Cache', 'miss')
  app.advance_seconds(59)
  await get().expect(200, { turn: 1 }).expect('X-Cache', 'hit').expect('Content-Type', /json/)
  app.advance_seconds(2)
  await get().expect(200, { turn: 2 }).expect('X-Cache', 'miss')
})

test.each([
  ['text', 'text/plain; charset=utf-8', 'caf\u00e9'],
  ['a page', 'text/html; charset=utf-8', '<p>hello'],
  ['bytes', 'application/octet-stream', Buffer.from([1, 2, 255])],
])('%s comes back as it was', async (_kind, type, body) => {
  const { get, turns } = await start((ctx) => {
    ctx.set('Content-Type', type)
    ctx.body = body
  })
  const answers = [await get(), await get()].map((answer) => [
    answer.headers['content-type'],
    answer.text ?? answer.body,
  ])
  expect(answers[1]).toEqual(answers[0])
  expect(turns()).toBe(1)
})

test.each<[string, (ctx: Context) => unknown]>([
  ['sets a cookie', (ctx) => ctx.cookies.set('sid', '1')],
  ['is private', (ctx) => ctx.set('Cache-Control', 'private, max-age=60')],
  ['is not to be stored', (ctx) => ctx.set('Cache-Control', 'no-store')],
  ['varies', (ctx) => ctx.vary('Accept-Language')],
  ['is encoded', (ctx) => ctx.set('Content-Encoding', 'x-test')],
  [
    'is an error',
    (ctx) => {
      ctx.status = 404
    },
  ],
  [
    'is too long',
    (ctx) => {
      ctx.body = { text: 'x'.repeat(100_000) }
    },
  ],
  ['is a stream', (ctx) => stream_body(['a', 'b'])(ctx as never, async () => undefined)],
  [
    'is empty',
    (ctx) => {
      ctx.status = 204
    },
  ],
])('an answer that %s is not kept', async (_what, change) => {
  const { get, turns } = await start((ctx, turn) => {
    counting(ctx, turn)
    change(ctx)
  })
  await get()
  await get()
  expect(turns()).toBe(2)
})

test('an error that is thrown is not kept', async () => {
  const { get, turns } = await start((ctx) => ctx.throw(500))
  await get().expect(500)
  await get().expect(500)
  expect(turns()).toBe(2)
})

test('who is known gets an answer of their own, and leaves none', async () => {
  const { get } = await start(counting)
  await get('/prices', { Cookie: 'sid=1' }).expect(200, { turn: 1 })
  await get('/prices', { Authorization: 'Bearer x' }).expect(200, { turn: 2 })
  await get().expect(200, { turn: 3 })
  await get('/prices', { Cookie: 'sid=1' }).expect(200, { turn: 4 })
})

test('other paths, queries, methods and hosts are asked for each time', async () => {
  const { get, client, turns } = await start(counting)
  for (const path of ['/prices?page=2', '/PRICES', '/prices/', '/other']) {
    await get(path)
    await get(path)
  }
  expect(turns()).toBe(8)
  await get()
  await client.post('/prices').set('Host', 'shop.example.com').expect(200, { turn: 10 })
  await client.head('/prices').set('Host', 'shop.example.com').expect(200)
  await client.get('/prices').set('Host', 'other.example.com').expect(200, { turn: 12 })
})
