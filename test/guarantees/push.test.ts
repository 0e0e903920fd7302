import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Dynacode, Source } from '../../lib/index.ts'
import { createInstance, createReadyInstance } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'
import { startWaitingApi } from '../fixtures/waiting-api.ts'

const INTERVAL_S = 0.05
const versioned = (version: number) => ({ general: { version }, domains: [] })
const liveOf = (dyna: Dynacode) => dyna.status().version

/** A source in memory that can be watched; the test gives its notices. */
function createSource() {
  const silent: () => void = () => undefined
  const state = { version: 1, down: false, asked: [] as number[], notify: silent }
  const source: Source = {
    async fetch() {
      state.asked.push(performance.now())
      if (state.down) throw new Error('gone')
      return { bytes: Buffer.from(JSON.stringify(versioned(state.version))), tag: String(state.version) }
    },
    watch(changed) {
      state.notify = changed
      return () => undefined
    },
  }
  return { source, state }
}

describe('G40 a push channel', () => {
  test('G40 that is dead: polling carries on within its interval', async () => {
    const { source, state } = createSource()
    const dyna = await createReadyInstance({ source, plugin_api_polling_interval: INTERVAL_S })
    const begun = state.asked[0] as number
    state.version = 2
    await expect.poll(() => liveOf(dyna)).toBe(2)
    expect(state.asked.length).toBeLessThan((performance.now() - begun) / 1000 / INTERVAL_S + 2)
  })

  test('G40 that is half open: the answer that never comes is given up, polls go on, and the channel is opened anew', async () => {
    const api = await startPluginApi()
    api.serve(versioned(1), { etag: '"1"' })
    const held: (() => void)[] = []
    const options = { plugin_api_wait: 1, plugin_api_timeout: 0.2, plugin_api_polling_interval: INTERVAL_S }
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri, ...options })
    let version = 1
    api.behave((request, response) => {
      if (request.headers.prefer !== undefined) return void held.push(() => response.destroy())
      const etag = `"${version}"`
      response.setHeader('ETag', etag)
      if (request.headers['if-none-match'] === etag) return void response.writeHead(304).end()
      response.end(JSON.stringify(versioned(version)))
    })
    await expect.poll(() => held.length, { timeout: 5000 }).toBe(1)
    version = 2
    await expect.poll(() => liveOf(dyna)).toBe(2)
    await expect.poll(() => held.length, { timeout: 5000 }).toBe(2)
    for (const cut of held) cut()
  })

  test('G40 that repeats itself: the fetches stay few, and nothing is applied twice', async () => {
    const { source, state } = createSource()
    const updates = vi.fn()
    const dyna = createInstance({ source, plugin_api_polling_interval: 3600, on_update: updates })
    await dyna.ready()
    state.version = 2
    const begun = performance.now()
    while (performance.now() < begun + 1000) {
      for (let count = 0; count < 100; count += 1) state.notify()
      await new Promise(setImmediate)
    }
    await expect.poll(() => liveOf(dyna)).toBe(2)
    expect(state.asked.length).toBeGreaterThan(10)
    // Ten at once, and ten a second.
    expect(state.asked.length).toBeLessThan(10 + ((performance.now() - begun) / 1000) * 10 + 5)
    expect(updates).toHaveBeenCalledTimes(2)
  })

  test('G40 that was away: what was missed is fetched in full when it is back', async () => {
    const api = await startWaitingApi(versioned(1))
    const options = { plugin_api_wait: 30, plugin_api_polling_interval: 3600 }
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri, ...options })
    await expect.poll(api.waiting).toBe(1)
    api.publish(versioned(2))
    await expect.poll(() => liveOf(dyna)).toBe(2)
    await expect.poll(api.waiting).toBe(1)
    api.cut()
    api.publish(versioned(3))
    await expect.poll(() => liveOf(dyna), { timeout: 5000 }).toBe(3)
  })

  test('G40 whose notice cannot be followed: it is tried again, at moments that chance spreads', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const fleet = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { source, state } = createSource()
        const dyna = createInstance({ source, plugin_api_polling_interval: 3600 })
        await dyna.ready()
        state.down = true
        state.version = 2
        state.notify()
        return { state, dyna }
      }),
    )
    /** Lets time pass, and lets threads that know nothing of it come to their ends, until all are there. */
    const passUntil = async (isThere: (each: (typeof fleet)[number]) => boolean) => {
      while (!fleet.every(isThere)) {
        await vi.advanceTimersByTimeAsync(5)
        await new Promise(setImmediate)
      }
    }
    // The first try comes after the shortest wait there is, the second after up to 0.2 s and the third after up to 0.4.
    await passUntil(({ state }) => state.asked.length > 4)
    const waits = fleet.map(({ state }) => (state.asked[4] as number) - (state.asked[3] as number))
    for (const { state } of fleet) state.down = false
    await passUntil(({ dyna }) => liveOf(dyna) === 2)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(100)
    expect(new Set(waits).size).toBeGreaterThan(2)
  })
})
