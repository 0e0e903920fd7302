import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Dynacode, DynacodeOptions } from '../../../lib/index.ts'
import { createInstance, payloadsOf, record } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'
import { startWaitingApi } from '../../fixtures/waiting-api.ts'

/** So long that within a test there is no second poll. */
const HOURS = 7200

const numbered = (version: number) => ({ general: { version }, domains: [] })

async function start(api: { uri: string }, options: DynacodeOptions = {}) {
  const dyna = createInstance({
    plugin_api_uri: api.uri,
    plugin_api_polling_interval: HOURS,
    plugin_api_wait: 30,
    ...options,
  })
  await dyna.ready()
  return dyna
}

async function startWaiting(options: DynacodeOptions = {}) {
  const api = await startWaitingApi(numbered(1))
  const dyna = await start(api, options)
  await expect.poll(api.waiting).toBe(1)
  return { api, dyna }
}

const versionOf = (dyna: Dynacode) => dyna.status().version

describe('with plugin_api_wait', () => {
  test('a change is live as soon as the API has it, with one request that waited for it', async () => {
    const { api, dyna } = await startWaiting()
    for (let version = 2; version <= 5; version += 1) {
      api.publish(numbered(version))
      await expect.poll(() => versionOf(dyna), { interval: 2 }).toBe(version)
      await expect.poll(api.waiting).toBe(1)
    }
    // The first fetch, then one that waits for each version, and for the next.
    expect(api.requests.map(({ headers }) => [headers.prefer, headers['if-none-match']])).toEqual([
      [undefined, undefined],
      ...[1, 2, 3, 4, 5].map((version) => ['wait=30', `"${version}"`]),
    ])
  })

  test('what is refused changes nothing, is asked for once, and makes room for what comes next', async () => {
    const { api, dyna } = await startWaiting()
    const seen = record(dyna, ['bg_didnt_update_plugins'])
    api.publish({ domains: 'none' })
    await expect.poll(() => payloadsOf(seen, 'bg_didnt_update_plugins')).toMatchObject([{ reason: 'invalid' }])
    await expect.poll(api.waiting).toBe(1)
    await sleep(50)
    expect(api.requests).toHaveLength(3)
    api.publish(numbered(3))
    await expect.poll(() => versionOf(dyna)).toBe(3)
  })

  test('an answer that was on its way while refresh() brought what came after it changes nothing', async () => {
    let version = 1
    const held: ServerResponse[] = []
    const answer = (response: ServerResponse, of: number) =>
      response.setHeader('ETag', `"${of}"`).end(JSON.stringify(numbered(of)))
    const api = await startPluginApi()
    api.behave((request, response) => {
      if (request.headers.prefer === undefined) answer(response, version)
      else held.push(response)
    })
    const dyna = await start(api)
    await expect.poll(() => held.length).toBe(1)
    version = 3
    expect(await dyna.refresh()).toMatchObject({ updated: true })
    answer(held.shift() as ServerResponse, 2)
    // It is asked for what comes after the newest, and that is all.
    await expect.poll(() => held.length).toBe(1)
    expect(api.requests.at(-1)?.headers['if-none-match']).toBe('"3"')
    expect(versionOf(dyna)).toBe(3)
  })

  test('refresh() does not wait for the API to have something new', async () => {
    const { dyna } = await startWaiting()
    expect(await dyna.refresh()).toMatchObject({ reason: 'unchanged' })
  })

  test('close() ends the request that waits', async () => {
    const { api, dyna } = await startWaiting()
    await dyna.close()
    await expect.poll(api.waiting).toBe(0)
    await sleep(30)
    expect(api.requests).toHaveLength(2)
  })

  test('an API that goes away and comes back is waited for again, and what it has by then is live', async () => {
    const { api, dyna } = await startWaiting({ plugin_api_polling_interval: 1, plugin_api_backoff_max: 0.2 })
    api.publish(numbered(2))
    await expect.poll(() => versionOf(dyna)).toBe(2)
    await expect.poll(api.waiting).toBe(1)
    api.cut()
    api.publish(numbered(3))
    await expect.poll(() => versionOf(dyna), { timeout: 5000 }).toBe(3)
    await expect.poll(api.waiting, { timeout: 5000 }).toBe(1)
  })

  test('an API that does not know of waiting is polled as ever', async () => {
    const api = await startPluginApi()
    api.serve(numbered(1), { etag: '"1"' })
    const dyna = await start(api)
    await api.got(2)
    await sleep(100)
    expect(api.requests.map(({ headers }) => headers.prefer)).toEqual([undefined, 'wait=30'])
    expect(versionOf(dyna)).toBe(1)
  })

  test('an API without ETags is polled as ever', async () => {
    const api = await startPluginApi(numbered(1))
    await start(api)
    await sleep(1200)
    expect(api.requests.length).toBeLessThanOrEqual(2)
  })

  test('an API that has something new at every moment is not asked in a storm', async () => {
    const api = await startPluginApi()
    let version = 0
    api.behave((_, response) => {
      version += 1
      response.setHeader('ETag', `"${version}"`).end(JSON.stringify(numbered(version)))
    })
    const begun = performance.now()
    const dyna = await start(api)
    await api.got(40)
    // Twenty at once, and ten a second.
    expect(api.requests.length).toBeLessThan(20 + ((performance.now() - begun) / 1000) * 10 + 5)
    await expect.poll(() => versionOf(dyna)).toBeGreaterThan(5)
  })

  test('an API that fails at once is not asked in a storm', async () => {
    const { api } = await startWaiting()
    api.answer({ status: 503 })
    const begun = performance.now()
    api.cut()
    await sleep(1000)
    expect(api.requests.length).toBeLessThan(10 + (performance.now() - begun - 1000) / 100)
  })

  test('an answer that never comes is given up, and asked for anew', async () => {
    const api = await startPluginApi()
    api.serve(numbered(1), { etag: '"1"' })
    const dyna = await start(api, { plugin_api_wait: 1, plugin_api_timeout: 0.2 })
    api.behave(() => undefined)
    const before = api.requests.length
    await api.got(before + 1)
    await api.got(before + 2)
    expect(versionOf(dyna)).toBe(1)
  })
})
