import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

async function start() {
  const app = await plugin_app(import.meta.dirname, {
    app: (ctx) => {
      ctx.body = ctx.state.checkout ?? 'the usual one'
    },
  })
  const listener = app.callback()
  const get = (path = '/checkout', cookie = '', host = 'shop.example.com') =>
    request(listener).get(path).set({ Host: host, Cookie: cookie })
  return { app, get }
}

test.each(['one page', 'three steps'])('%s is for its own half of the visitors', async (variant) => {
  const { app, get } = await start()
  const visitor = app.rollout_key(`checkout/${variant}`)
  const { headers } = await get('/checkout', `visitor=${visitor}`).expect(200, variant)
  expect(headers).toMatchObject({ vary: 'Cookie' })
  expect(headers).not.toHaveProperty('set-cookie')
})

test('a new visitor is in one of them at once, and stays there', async () => {
  const { get } = await start()
  for (let visitor = 0; visitor < 20; visitor += 1) {
    const { text, headers } = await get('/checkout', 'theme=dark').expect(200)
    expect(['one page', 'three steps']).toContain(text)
    const [cookie = ''] = headers['set-cookie'] ?? []
    expect(cookie).toMatch(/^visitor=[\w-]{36}; path=\/; expires=.*; samesite=lax; httponly$/)
    const [pair = ''] = cookie.split(';')
    await get('/checkout', `theme=dark; ${pair}`).expect(200, text)
  }
})

test('events tell which one it was', async () => {
  const { app, get } = await start()
  const { text } = await get().expect(200)
  expect(app.events_of('rt_plugins_done').map(({ plugin }) => plugin.name)).toEqual(['visitor', `checkout/${text}`])
})

test('other paths and hosts are the usual ones, and set no cookie', async () => {
  const { get } = await start()
  for (const response of [await get('/'), await get('/checkout', '', 'other.example.com')]) {
    expect(response.text).toBe('the usual one')
    expect(response.headers).not.toHaveProperty('set-cookie')
  }
})
