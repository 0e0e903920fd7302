import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { DynacodeOptions } from '../../../lib/index.ts'
import { everywhere } from '../../fixtures/app.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { type PluginApi, startPluginApi } from '../../fixtures/plugin-api.ts'
import { type AppProcess, bundle, makeFolder, startAppProcess } from '../../fixtures/processes.ts'

let script: string

beforeAll(async () => {
  script = await bundle(new URL('../../fixtures/serving-process.ts', import.meta.url))
})

const versioned = (version: number) => ({
  general: { version },
  ...everywhere([{ name: 'mark', phase: 'rewrite', code: `ctx.set('X-Version', '${version}')` }]),
})

/** The API that filled each cache, by the cache's path: a cache is for one API alone. */
const filledBy = new Map<string, PluginApi>()

/** Lets an instance fetch versions 1 to `last` into a cache, and ends it. */
async function fillCache(cache_path: string, last: number, options: Partial<DynacodeOptions> = {}): Promise<PluginApi> {
  const api = await startPluginApi()
  const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_poll_at_init: false, cache_path, ...options })
  for (let version = 1; version <= last; version += 1) {
    api.serve(versioned(version), { etag: `"${version}"` })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version })
  }
  await dyna.close()
  filledBy.set(cache_path, api)
  return api
}

describe('G03', () => {
  const startEight = (options: object): Promise<AppProcess[]> =>
    Promise.all(Array.from({ length: 8 }, () => startAppProcess(script, { ...options })))
  const versionsOf = async (apps: readonly AppProcess[]) =>
    Promise.all(apps.map(async (app) => (await app.status()).version))

  test('G03 of eight processes that start together one fetches, and the others are served by it', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const api = await startPluginApi()
    api.behave(async (_request, response) => {
      await wait(300)
      response.end(JSON.stringify(versioned(1)))
    })
    const apps = await startEight({ plugin_api_uri: api.uri, cache_path, plugin_api_polling_interval: 600 })
    await expect.poll(() => versionsOf(apps)).toEqual(Array(8).fill(1))
    expect(api.requests).toHaveLength(1)
    const events = await Promise.all(apps.map((app) => app.events()))
    expect(events.filter(({ bg_cache_miss }) => bg_cache_miss === 1)).toHaveLength(1)
    // Some may have started after the fetch was over: those found the document at their start, and then once more.
    expect(events.filter(({ bg_cache_hit }) => bg_cache_hit === 1)).toHaveLength(7)
    for (const app of apps) expect((await fetch(app.uri)).headers.get('x-version')).toBe('1')
  })

  test('G03 eight processes together fetch once an interval, and all of them see every change', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const INTERVAL_MS = 500
    const api = await startPluginApi(versioned(1))
    const options = { plugin_api_polling_interval: INTERVAL_MS / 1000, workers_max_jitter: 0 }
    const apps = await startEight({ plugin_api_uri: api.uri, cache_path, ...options })
    const [from, started] = [api.requests.length, performance.now()]
    for (let version = 2; version <= 4; version += 1) {
      api.serve(versioned(version), { etag: `"${version}"` })
      await expect.poll(() => versionsOf(apps)).toEqual(Array(8).fill(version))
    }
    const intervals = (performance.now() - started) / (INTERVAL_MS * 0.9)
    // Eight of them would each ask once an interval.
    expect(api.requests.length - from).toBeLessThanOrEqual(Math.ceil(intervals) + 1)
  })

  test('G03 the process that fetches is killed half-way: another one fetches for the rest', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const api = await startPluginApi()
    api.behave((_request, response) => {
      response.write('{"domains":')
    })
    // The deadlines are far beyond this test's own: nobody waits for those of the dead.
    const options = { plugin_api_polling_interval: 600, plugin_api_timeout: 600, cache_path }
    const apps = await startEight({ plugin_api_uri: api.uri, ...options })
    const first = Number((await api.got(1)).headers['x-pid'])
    await wait(200)
    expect(api.requests).toHaveLength(1)
    api.serve(versioned(1))
    await apps.find(({ pid }) => pid === first)?.kill()
    const rest = apps.filter(({ pid }) => pid !== first)
    await expect.poll(() => versionsOf(rest)).toEqual(Array(7).fill(1))
    expect(api.requests).toHaveLength(2)
  })
})

describe('G05', () => {
  test.skipIf(process.platform === 'win32')(
    'G05 a folder that may only be read: what is in it is live, polling goes on, told once',
    async () => {
      const folder = makeFolder()
      const cache_path = join(folder, 'cache')
      const api = await fillCache(cache_path, 1)
      // Nothing is forbidden to root; then somebody else starts.
      const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
      if (nobody.uid !== undefined) for (const path of [folder, cache_path]) chownSync(path, nobody.uid, nobody.gid)
      chmodSync(folder, 0o500)
      const options = { plugin_api_uri: api.uri, cache_path, plugin_api_polling_interval: 0.02, workers_max_jitter: 0 }
      const app = await startAppProcess(script, options, { ...nobody, cwd: '/' })
      for (let version = 2; version <= 4; version += 1) {
        api.serve(versioned(version), { etag: `"${version}"` })
        await expect.poll(async () => (await app.status()).version).toBe(version)
        expect((await fetch(app.uri)).headers.get('x-version')).toBe(String(version))
      }
      const polls = api.requests.length
      await api.got(polls + 10)
      const messages = (await app.errors()).map(({ message }) => message)
      expect(messages.length).toBeGreaterThan(0)
      expect(new Set(messages).size).toBe(messages.length)
    },
  )
})
