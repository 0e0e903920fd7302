import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type AppProcess, bundle, makeFolder, startAppProcess } from '../../fixtures/processes.ts'
import { startWaitingApi, type WaitingApi } from '../../fixtures/waiting-api.ts'

/** Generous: these are real processes, on machines with other work. */
const PATIENCE = { timeout: 60_000, interval: 10 }

const numbered = (version: number) => ({
  general: { version },
  domains: [
    { name: '*', plugins: [{ name: 'v', phase: 'header_filter', code: `ctx.set('X-Version', '${version}')` }] },
  ],
})

let script: string

beforeAll(async () => {
  script = await bundle(new URL('../../fixtures/serving-process.ts', import.meta.url))
})

async function startFour(options: Record<string, unknown> = {}) {
  const api = await startWaitingApi(numbered(1))
  const cache_path = join(makeFolder(), 'cache')
  const all = await Promise.all(
    [1, 2, 3, 4].map(() =>
      startAppProcess(script, {
        plugin_api_uri: api.uri,
        plugin_api_polling_interval: 600,
        plugin_api_wait: 60,
        cache_path,
        ...options,
      }),
    ),
  )
  await expect.poll(() => versionsOf(all), PATIENCE).toEqual(['1', '1', '1', '1'])
  await expect.poll(api.waiting, PATIENCE).toBe(1)
  return { api, all }
}

const versionsOf = (apps: readonly AppProcess[]) =>
  Promise.all(apps.map(async ({ uri }) => (await fetch(uri)).headers.get('x-version')))

describe('processes that share a cache', () => {
  test('have a change at once, all of them, by the one request that waits for it', async () => {
    const { api, all } = await startFour()
    for (let version = 2; version <= 6; version += 1) {
      api.publish(numbered(version))
      await expect.poll(() => versionsOf(all), PATIENCE).toEqual(all.map(() => String(version)))
      await expect.poll(api.waiting, PATIENCE).toBe(1)
    }
    const asked = api.requests.filter(({ headers }) => headers.prefer !== undefined)
    expect(asked.length).toBeLessThanOrEqual(8)
    const { bg_cache_hit = 0 } = await (all[0] as AppProcess).events()
    expect(bg_cache_hit).toBeLessThanOrEqual(6)
  })

  test('have another one wait for changes when the one that did is killed', async () => {
    const { api, all } = await startFour()
    const left = [...all]
    for (let version = 2; version <= 3; version += 1) {
      const leader = waitingOne(api, left) as AppProcess
      left.splice(left.indexOf(leader), 1)
      await leader.kill()
      await expect.poll(() => waitingOne(api, left) !== undefined && api.waiting() === 1, PATIENCE).toBe(true)
      api.publish(numbered(version))
      await expect.poll(() => versionsOf(left), PATIENCE).toEqual(left.map(() => String(version)))
      await expect.poll(api.waiting, PATIENCE).toBe(1)
    }
  })

  test('have nothing of what the one that fetched it refused', async () => {
    const { api, all } = await startFour()
    api.publish({ domains: 'none' })
    api.publish(numbered(3))
    await expect.poll(() => versionsOf(all), PATIENCE).toEqual(['3', '3', '3', '3'])
    for (const app of all) expect(await app.errors()).toEqual([])
  })
})

/** The process whose request waits at the API. */
function waitingOne(api: WaitingApi, apps: readonly AppProcess[]): AppProcess | undefined {
  const pid = api.requests.findLast(({ headers }) => headers.prefer !== undefined)?.headers['x-pid']
  return apps.find((app) => String(app.pid) === pid)
}
