import { join } from 'node:path'
import { beforeAll, expect, it, vi } from 'vitest'
import { startPluginApi } from '../../fixtures/plugin-api.ts'
import { bundle, makeFolder, startAppProcess } from '../../fixtures/processes.ts'

/** Holds up the thread where no check has a place, for a second or more. */
const STUCK = '/(a+)+$/.test("a".repeat(25) + "b")'
let script: string

beforeAll(async () => {
  script = await bundle(new URL('../../fixtures/serving-process.ts', import.meta.url))
})

const documentOf = (version: number, code = '') => {
  const member = (name: string, more = '') => ({
    name,
    phase: 'access',
    unit: 'checkout',
    code: `ctx.set('x-${name}', '${version}'); ${more}`,
  })
  return { domains: [{ name: '*', plugins: [member('a'), member('b', code)] }] }
}
const ONE_THAT_HANGS = documentOf(2, `if (ctx.path === '/hang') ${STUCK}`)

async function setUp() {
  const api = await startPluginApi(documentOf(1))
  const options = {
    plugin_api_uri: api.uri,
    plugin_api_polling_interval: 600,
    breaker_failures: 0,
    watchdog: { quarantine_path: join(makeFolder(), 'quarantine'), limit_ms: 300 },
  }
  const start = async () => {
    const app = await startAppProcess(script, options)
    await expect.poll(async () => (await app.status()).loaded).toBe(true)
    const ask = async (path = '') => {
      const { headers } = await fetch(`${app.uri}${path}`)
      return `${headers.get('x-a') ?? '-'}${headers.get('x-b') ?? '-'}`
    }
    const states = async () => (await app.status()).plugins.map(({ name, state }) => `${name}: ${state}`)
    return { ...app, ask, states }
  }
  return { api, start }
}

it('a unit goes back as a whole when one of its plugins is quarantined, and its code brings it into no other process', async () => {
  const { api, start } = await setUp()
  const app = await start()
  expect(await app.ask()).toBe('11')
  api.serve(ONE_THAT_HANGS)
  await app.refresh()
  expect(await app.ask()).toBe('22')
  await app.ask('hang')
  await vi.waitFor(async () => expect(await app.states()).toEqual(['a: last_good', 'b: last_good']))
  expect(await app.ask()).toBe('11')
  expect(await app.ask('hang')).toBe('11')
  expect(await app.events()).toMatchObject({ bg_unit_reverted: 1 })
  const [, quarantined] = (await app.status()).plugins
  expect(quarantined?.error).toMatch(/the unit "checkout" went back to its earlier version: of "b", it is quarantined/)

  // Another process of the machine has the earlier version, and does not leave it for one that is quarantined.
  api.serve(documentOf(1))
  const other = await start()
  api.serve(ONE_THAT_HANGS)
  await other.refresh()
  expect(await other.ask('hang')).toBe('11')
  expect(await other.states()).toEqual(['a: last_good', 'b: last_good'])

  // One that knows no earlier version runs none of it, and changed code is live again.
  const third = await start()
  expect(await third.ask()).toBe('--')
  expect(await third.states()).toEqual(['a: refused', 'b: quarantined'])
  api.serve(documentOf(3))
  for (const each of [app, other, third]) {
    await each.refresh()
    expect(await each.ask('hang')).toBe('33')
  }
})
