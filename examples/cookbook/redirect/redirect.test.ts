import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

async function start() {
  const app = await plugin_app(import.meta.dirname)
  return (path: string, host = 'shop.example.com') => request(app.callback()).get(path).set('Host', host)
}

test.each([
  ['/old', '/new'],
  ['/old/', '/new/'],
  ['/OLD/page', '/new/page'],
  ['/old/page?a=1&b=%20', '/new/page?a=1&b=%20'],
  ['/old/%C3%A9', '/new/%C3%A9'],
])('%s leads to %s', async (path, location) => {
  const get = await start()
  await get(path).expect(308).expect('Location', location)
})

test.each(['/', '/older', '/new', '/shop/old'])('%s stays', async (path) => {
  const get = await start()
  await get(path).expect(200, 'app')
})

test('other hosts stay', async () => {
  const get = await start()
  await get('/old', 'other.example.com').expect(200, 'app')
})

test.each(['/old//evil.example.net', '/old/\\evil.example.net', '/old///evil.example.net/x'])(
  '%s leads to no other host, even where all of the site has moved to its root',
  async (path) => {
    const code = readFileSync(join(import.meta.dirname, 'redirect.js'), 'utf8')
    for (const to of ['/new', '/', '']) {
      const app = await plugin_app({ phase: 'rewrite', code, params: { from: '/old', to } })
      const { headers } = await request(app.callback()).get(path).set('Host', 'shop.example.com').expect(308)
      expect(new URL(headers.location as string, 'https://shop.example.com').host).toBe('shop.example.com')
    }
  },
)

test('a form that is sent keeps its method: 308', async () => {
  const app = await plugin_app(import.meta.dirname)
  await request(app.callback()).post('/old/form').set('Host', 'shop.example.com').expect(308)
})
