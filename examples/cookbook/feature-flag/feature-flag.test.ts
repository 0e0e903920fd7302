import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

const DEFAULTS = Object.freeze({ new_checkout: false, page_size: 20 })

async function start() {
  const app = await plugin_app(import.meta.dirname, {
    app: (ctx) => {
      ctx.body = { ...DEFAULTS, ...ctx.state.flags }
    },
  })
  const listener = app.callback()
  const get = (cookie = '', host = 'shop.example.com') => request(listener).get('/').set({ Host: host, Cookie: cookie })
  return { app, get }
}

test('a share of the visitors has the flags', async () => {
  const { app, get } = await start()
  const visitor = app.rollout_key('new checkout')
  await get(`visitor=${visitor}`).expect(200, { new_checkout: true, page_size: 50 })
})

test('the others have the defaults, and so has who is no visitor', async () => {
  const { app, get } = await start()
  const other = app.rollout_key('new checkout', { inside: false })
  await get(`visitor=${other}`).expect(200, { ...DEFAULTS })
  await get().expect(200, { ...DEFAULTS })
})

test('testers have one of them; both add up', async () => {
  const { app, get } = await start()
  await get('tester=1').expect(200, { new_checkout: true, page_size: 20 })
  const visitor = app.rollout_key('new checkout')
  await get(`tester=1; visitor=${visitor}`).expect(200, { new_checkout: true, page_size: 50 })
})

test('nothing of it is left for the next request, nor for other hosts', async () => {
  const { app, get } = await start()
  const visitor = app.rollout_key('new checkout')
  await get(`visitor=${visitor}`).expect(200, { new_checkout: true, page_size: 50 })
  await get().expect(200, { ...DEFAULTS })
  await get(`visitor=${visitor}`, 'other.example.com').expect(200, { ...DEFAULTS })
  expect(app.events_of('rt_plugins_error')).toEqual([])
})
