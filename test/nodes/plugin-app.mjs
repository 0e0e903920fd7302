// A user's own tests of a plugin, under Node's runner: from the packed tarball, with nothing but Koa beside it. It closes
// nothing, and has to end by itself.
import { deepEqual, equal, match, rejects } from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { plugin_app } from 'dynacode/testing'

/** What supertest does: a server for one request. */
async function get(app) {
  const server = createServer(app.callback()).listen(0)
  await new Promise((resolve) => server.once('listening', resolve))
  const response = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { connection: 'close' } })
  const text = await response.text()
  server.close()
  return { status: response.status, text }
}

test('a plugin refuses', async () => {
  const app = await plugin_app({ phase: 'access', code: "exit(403, 'no')" })
  deepEqual(await get(app), { status: 403, text: 'no' })
})

test('a plugin ends when its time is over', async () => {
  const plugin = { phase: 'access', code: 'exit(403)', expires_at: '2030-01-01T00:00:00Z' }
  const app = await plugin_app(plugin, { now: '2029-12-31T23:59:00Z' })
  equal((await get(app)).status, 403)
  app.advance_seconds(60)
  deepEqual(await get(app), { status: 200, text: 'app' })
  equal(app.events_of('bg_plugin_expired').length, 1)
})

test('a plugin of the phase log is waited for', async () => {
  const app = await plugin_app({
    phase: 'log',
    code: "await new Promise((end) => setTimeout(end, 5)); store.set('a', 1)",
  })
  await get(app)
  await app.settled()
  equal(app.events_of('rt_plugins_done').length, 1)
})

test('a plugin that does not compile is told of', async () => {
  await rejects(
    plugin_app({ name: 'p', phase: 'access', code: '(' }),
    ({ message }) => match(message, /^plugin "p":1/) ?? true,
  )
})
