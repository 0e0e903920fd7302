import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

const read = (file: string) => readFileSync(join(import.meta.dirname, file), 'utf8')
const document = JSON.parse(read('dynacode.json'))
const [domain] = document.domains
const [chaos] = domain.plugins

/** The recipe with one of its variants for everybody. */
function only(name: string, fields: object = {}) {
  const { file } = chaos.variants.find((variant: { name: string }) => variant.name === name)
  const variants = [{ name, percent: 100, code: read(file) }]
  return { domains: [{ ...domain, plugins: [{ ...chaos, variants, ...fields }] }] }
}

async function start(given: Parameters<typeof plugin_app>[0]) {
  let reached = 0
  const app = await plugin_app(given, {
    now: '2030-01-31T11:00:00Z',
    app: (ctx) => {
      reached += 1
      ctx.body = 'app'
    },
  })
  const listener = app.callback()
  const get = (path = '/api/items', host = 'shop.example.com') => request(listener).get(path).set('Host', host)
  return { app, listener, get, reached: () => reached }
}

test('the shares are small, and everything goes live as it is', async () => {
  const { app } = await start(import.meta.dirname)
  expect(app.events_of('bg_compile_success')).toHaveLength(3)
  const percents = chaos.variants.map(({ percent }: { percent: number }) => percent)
  expect(percents.reduce((sum: number, percent: number) => sum + percent)).toBeLessThanOrEqual(5)
})

test('a delay lets the request through, later', async () => {
  const { get, app } = await start(only('delay', { params: { delay_ms: 30 } }))
  await get().expect(200, 'app')
  expect(app.events_of('rt_plugins_done')[0]?.duration_ms).toBeGreaterThan(25)
})

test('a failure does not reach the app', async () => {
  const { get, reached } = await start(only('fail'))
  await get().expect(500, 'chaos\n').expect('Cache-Control', 'no-store')
  expect(reached()).toBe(0)
})

test('an abort cuts the connection, and does not reach the app', async () => {
  const { get, reached, app } = await start(only('abort'))
  await expect(get()).rejects.toThrow('socket hang up')
  expect(reached()).toBe(0)
  expect(app.errors).toEqual([])
  expect(app.events_of('rt_plugins_error')).toEqual([])
})

test('other paths, methods and hosts are left alone', async () => {
  const { get, listener } = await start(only('fail'))
  await get('/checkout').expect(200, 'app')
  await get('/api/items', 'other.example.com').expect(200, 'app')
  await request(listener).post('/api/items').set('Host', 'shop.example.com').expect(200, 'app')
})

test('it ends by itself', async () => {
  const { app, get } = await start(only('fail'))
  app.set_time('2030-01-31T12:00:00Z')
  await get().expect(200, 'app')
})
