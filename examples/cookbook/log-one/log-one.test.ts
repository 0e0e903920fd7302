import { plugin_app, stream_body } from 'dynacode/testing'
import request from 'supertest'
import { expect, test, vi } from 'vitest'

async function start() {
  const written: Record<string, unknown>[] = []
  vi.spyOn(console, 'log').mockImplementation((line: string) => void written.push(JSON.parse(line)))
  const app = await plugin_app(import.meta.dirname, { now: '2030-01-31T11:00:00Z', app: stream_body(['a', 'b']) })
  app.proxy = true
  const listener = app.callback()
  async function get(path: string, headers: Record<string, string> = {}) {
    const all = { Host: 'shop.example.com', 'X-Forwarded-For': '198.51.100.1', 'User-Agent': 'test', ...headers }
    await request(listener).get(path).set(all).expect(200, 'ab')
    await app.settled()
    return written.splice(0)
  }
  return { app, get }
}

test.each([
  ['address', '/a', { 'X-Forwarded-For': '192.0.2.7' }],
  ['user agent', '/a', { 'User-Agent': 'HealthChecker/2.1' }],
  ['token', '/a?trace=ticket-4711', {}],
  ['cookie', '/a', { Cookie: 'support=ticket-4711' }],
])('requests of one %s are logged', async (watched, path, headers) => {
  const { get } = await start()
  expect(await get(path, headers)).toMatchObject([{ watched, method: 'GET', path: '/a', status: 200, finished: true }])
})

test('others are not', async () => {
  const { get } = await start()
  expect(await get('/a?trace=ticket-1', { Cookie: 'support=no', 'User-Agent': 'HealthChecker/1' })).toEqual([])
  expect(await get('/a', { Host: 'other.example.com', 'X-Forwarded-For': '192.0.2.7' })).toEqual([])
})

test('no line has a query, a cookie or another header', async () => {
  const { get } = await start()
  const secret = { Cookie: 'sid=s3cret', Authorization: 'Bearer s3cret', 'X-Forwarded-For': '192.0.2.7' }
  const lines = await get('/a?password=s3cret', secret)
  expect(lines).toHaveLength(1)
  expect(JSON.stringify(lines)).not.toContain('s3cret')
})

test('a user agent cannot make lines of its own, nor long ones', async () => {
  const { get } = await start()
  const [line] = await get('/a', { 'X-Forwarded-For': '192.0.2.7', 'User-Agent': `"}\t{"${'x'.repeat(5000)}` })
  expect(line?.user_agent).toHaveLength(200)
})

test('it ends by itself', async () => {
  const { app, get } = await start()
  app.set_time('2030-01-31T12:00:00Z')
  expect(await get('/a', { 'X-Forwarded-For': '192.0.2.7' })).toEqual([])
})
