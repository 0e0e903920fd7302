import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { test } from 'vitest'

async function start() {
  const app = await plugin_app(import.meta.dirname)
  app.proxy = true
  const get = (path: string, headers: Record<string, string> = {}) =>
    request(app.callback())
      .get(path)
      .set({ Host: 'shop.example.com', 'X-Forwarded-For': '192.0.2.1', ...headers })
  return { app, get }
}

test.each(['/admin', '/admin/', '/ADMIN', '/admin/users?page=2', '/.git/config', '/.git'])(
  '%s is denied',
  async (path) => {
    const { get } = await start()
    await get(path).expect(403, 'forbidden\n')
  },
)

test.each(['/', '/administrators', '/git', '/shop/admin'])('%s is not', async (path) => {
  const { get } = await start()
  await get(path).expect(200, 'app')
})

test('the own network may go everywhere', async () => {
  const { get } = await start()
  await get('/admin', { 'X-Forwarded-For': '10.1.2.3' }).expect(200, 'app')
})

test.each(['BadBot/1.0', 'Mozilla/5.0 (compatible; EvilScraper)'])('%s is denied', async (agent) => {
  const { get } = await start()
  await get('/', { 'User-Agent': agent }).expect(403)
  await get('/', { 'User-Agent': agent, 'X-Forwarded-For': '10.1.2.3' }).expect(403)
})

test('other user agents, and none, are not', async () => {
  const { get } = await start()
  await get('/', { 'User-Agent': 'Mozilla/5.0 (X11)' }).expect(200, 'app')
  await get('/').unset('User-Agent').expect(200, 'app')
})

test('HEAD and POST are denied as well, other hosts are not', async () => {
  const { app, get } = await start()
  await request(app.callback()).head('/admin').set('Host', 'shop.example.com').expect(403)
  await request(app.callback()).post('/admin').set('Host', 'shop.example.com').expect(403)
  await get('/admin', { Host: 'other.example.com', 'User-Agent': 'BadBot' }).expect(200)
})
