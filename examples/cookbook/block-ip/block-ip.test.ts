import { plugin_app } from 'dynacode/testing'
import request from 'supertest'
import { expect, test } from 'vitest'

async function start() {
  const app = await plugin_app(import.meta.dirname, { now: '2030-01-31T11:59:59Z' })
  app.proxy = true
  const from = (ip: string, host = 'shop.example.com') =>
    request(app.callback()).get('/').set({ Host: host, 'X-Forwarded-For': ip })
  return { app, from }
}

test.each(['192.0.2.7', '::ffff:192.0.2.7', '198.51.100.0', '198.51.100.255', '2001:db8:bad::1'])(
  '%s is blocked',
  async (ip) => {
    const { from } = await start()
    await from(ip).expect(403, 'blocked\n')
  },
)

test.each(['192.0.2.8', '198.51.101.0', '2001:db8:beef::1', '127.0.0.1'])('%s is not', async (ip) => {
  const { from } = await start()
  await from(ip).expect(200, 'app')
})

test('other hosts are open to all', async () => {
  const { from } = await start()
  await from('192.0.2.7', 'other.example.com').expect(200, 'app')
})

test('the block ends by itself', async () => {
  const { app, from } = await start()
  app.advance_seconds(1)
  await from('192.0.2.7').expect(200, 'app')
})

test('who is blocked never reaches the app', async () => {
  let reached = 0
  const app = await plugin_app(import.meta.dirname, {
    now: '2029-01-01T00:00:00Z',
    app: () => {
      reached += 1
    },
  })
  app.proxy = true
  const blocked = { Host: 'shop.example.com', 'X-Forwarded-For': '192.0.2.7' }
  await request(app.callback()).head('/').set(blocked).expect(403)
  await request(app.callback()).post('/').set(blocked).send('data').expect(403)
  expect(reached).toBe(0)
})
