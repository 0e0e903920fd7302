import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { afterEach, expect, test } from 'vitest'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** The recipe, for every request in place of a tenth. */
function everyone(fields: object = {}) {
  const read = (file: string) => readFileSync(join(import.meta.dirname, file), 'utf8')
  const { domains } = JSON.parse(read('dynacode.json'))
  const [{ file, ...plugin }] = domains[0].plugins
  return {
    domains: [{ ...domains[0], plugins: [{ ...plugin, code: read(file), rollout: { percent: 100 }, ...fields }] }],
  }
}

async function start(listener: RequestListener = (_request, response) => response.end(), fields: object = {}) {
  const seen: IncomingMessage[] = []
  const mirror = createServer((incoming, response) => {
    seen.push(incoming)
    listener(incoming, response)
  }).listen(0, '127.0.0.1')
  await once(mirror, 'listening')
  closing.push(() => {
    mirror.closeAllConnections()
    mirror.close()
  })
  const upstreams = { mirror: `http://127.0.0.1:${(mirror.address() as AddressInfo).port}` }
  const app = await plugin_app(everyone(fields), { globals: { upstreams } })
  const client = request(app.callback())
  return { app, client, seen, get: (path: string) => client.get(path).set('Host', 'shop.example.com') }
}

test('the folder goes live as it is', async () => {
  const app = await plugin_app(import.meta.dirname)
  expect(app.events_of('bg_compile_success')).toHaveLength(1)
})

test('the request is sent once more, with path and query, and without secrets', async () => {
  const { app, get, seen } = await start()
  await get('/items?page=2').set({ Cookie: 'sid=s3cret', Authorization: 'Bearer s3cret' }).expect(200, 'app')
  await app.settled()
  expect(seen.map(({ method, url }) => [method, url])).toEqual([['GET', '/items?page=2']])
  expect(seen[0]?.headers).toMatchObject({ 'x-mirrored': '1' })
  expect(JSON.stringify(seen[0]?.rawHeaders)).not.toContain('s3cret')
})

test('what the mirror answers, or whether it does, does not matter', async () => {
  const failing = await start((_request, response) => response.writeHead(500).end('oops'))
  await failing.get('/').expect(200, 'app')
  const moving = await start((_request, response) => response.writeHead(302, { Location: '/elsewhere' }).end())
  await moving.get('/').expect(200, 'app')
  await moving.app.settled()
  expect(moving.seen).toHaveLength(1)
  const gone = await start((incoming) => incoming.destroy())
  await gone.get('/').expect(200, 'app')
  await gone.app.settled()
  expect(gone.app.events_of('rt_plugins_error')).toMatchObject([{ outcome: 'open' }])
})

test('a mirror that hangs is given up, and holds no more than so many requests', async () => {
  const { app, get, seen } = await start(() => undefined, { timeout_ms: 200, params: { at_most: 2 } })
  await Promise.all(Array.from({ length: 6 }, () => get('/').expect(200, 'app')))
  await app.settled()
  expect(seen).toHaveLength(2)
  await get('/').expect(200)
  await app.settled()
  expect(seen).toHaveLength(3)
})

test.each(['//evil.example.net/', '/@evil.example.net/', '/.evil.example.net/'])(
  '%s is sent to no other host than the mirror',
  async (path) => {
    const { app, get, seen } = await start()
    await get(path).expect(200, 'app')
    await app.settled()
    expect(seen.map(({ url }) => url)).toEqual([path])
  },
)

test('what has a body, what comes from a mirror, and other hosts are not sent', async () => {
  const { app, client, get, seen } = await start()
  await client.post('/').set('Host', 'shop.example.com').send('data').expect(200, 'app')
  await get('/').set('X-Mirrored', '1').expect(200, 'app')
  await client.get('/').set('Host', 'other.example.com').expect(200, 'app')
  await app.settled()
  expect(seen).toEqual([])
})
