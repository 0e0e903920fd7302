import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import type { Dynacode, EventName } from '../../../lib/index.ts'
import { everywhere, plugin, startApp } from '../../fixtures/app.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { createInstance, createReadyInstance, record } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

const DOCUMENT = everywhere([plugin('content', `say('live')`), plugin('log', '(')])
const CLOSED = { updated: false, reason: 'closed', error: expect.objectContaining({ code: 'ERR_DYNACODE_CLOSED' }) }
const failing = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

/** Closes, and fails if anything is heard or asked for afterwards. */
async function closeForGood(dyna: Dynacode, api: { requests: readonly unknown[] }): Promise<void> {
  const seen = record(dyna)
  const before = api.requests.length
  await dyna.close()
  await wait(30)
  expect(seen).toEqual([])
  expect(api.requests).toHaveLength(before)
}

describe('closing in the middle', () => {
  test.each([
    ['a fetch', () => undefined],
    [
      'a body',
      (response: import('node:http').ServerResponse) => {
        response.write('{"domains":')
      },
    ],
  ])('of %s ends it, and what waits for it', async (_, begin) => {
    const api = await startPluginApi()
    let finish = () => undefined as unknown
    api.behave((_request, response) => {
      begin(response)
      finish = () => response.end('[]}')
    })
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const refreshing = dyna.refresh()
    const readying = failing(dyna.ready())
    const request = await api.got(1)
    await wait(5)
    await closeForGood(dyna, api)
    finish()
    expect(await refreshing).toEqual(CLOSED)
    expect(await readying).toMatchObject({ code: 'ERR_DYNACODE_CLOSED' })
    await request.closed
    expect(dyna.status()).toMatchObject({ closed: true, loaded: false, next_poll_at: null, last_error: null })
  })

  test('of waiting for headers ends that', async () => {
    const api = await startPluginApi()
    let resolve: (headers: Record<string, string>) => void = () => undefined
    const plugin_api_headers = () =>
      new Promise<Record<string, string>>((done) => {
        resolve = done
      })
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_headers })
    const refreshing = dyna.refresh()
    await wait(5)
    await dyna.close()
    expect(await refreshing).toEqual(CLOSED)
    resolve({})
    await wait(20)
    expect(api.requests).toHaveLength(0)
  })

  test('of a source that ignores its signal does not wait for it', async () => {
    let resolve: (value: never) => void = () => undefined
    const dyna = createInstance({
      source: {
        fetch: () =>
          new Promise((done) => {
            resolve = done
          }),
      },
    })
    const refreshing = dyna.refresh()
    await wait(1)
    await dyna.close()
    expect(await refreshing).toEqual(CLOSED)
    resolve({ bytes: Buffer.from(JSON.stringify(DOCUMENT)) } as never)
    await wait(5)
    expect(dyna.status().loaded).toBe(false)
  })

  test('of the first tick means that nothing is ever asked for', async () => {
    const api = await startPluginApi()
    const dyna = createInstance({ plugin_api_uri: api.uri })
    await closeForGood(dyna, api)
    expect(api.requests).toHaveLength(0)
  })

  test.each<EventName>([
    'bg_cache_miss',
    'bg_fetch_api_success',
    'bg_compile_success',
    'bg_compile_error',
    'bg_updated_plugins',
  ])('of an event (%s) means that no other is heard', async (name) => {
    const api = await startPluginApi(DOCUMENT)
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const heard: EventName[] = []
    for (const each of [
      'bg_cache_miss',
      'bg_fetch_api_success',
      'bg_compile_success',
      'bg_compile_error',
      'bg_updated_plugins',
      'bg_didnt_update_plugins',
      'on_error',
    ] as const) {
      dyna.events.on(each, () => {
        heard.push(each)
        if (each === name) void dyna.close()
      })
    }
    await dyna.refresh()
    await wait(10)
    expect(heard.at(-1)).toBe(name)
    expect(dyna.status().loaded).toBe(!['bg_cache_miss', 'bg_fetch_api_success'].includes(name))
  })

  test('of putting a large document on the disk leaves nothing there, and writes nothing later', async () => {
    const folder = makeFolder()
    const large = { ...DOCUMENT, padding: 'x'.repeat(8_000_000) }
    const source = { fetch: async () => ({ bytes: Buffer.from(JSON.stringify(large)) }) }
    const dyna = createInstance({ source, plugin_api_poll_at_init: false, cache_path: join(folder, 'cache') })
    const isWriting = () => readdirSync(folder).some((name) => name.endsWith('.tmp'))
    const refreshed = dyna.refresh()
    while (!isWriting()) await new Promise(setImmediate)
    // It is live by then.
    expect(dyna.status().loaded).toBe(true)
    await dyna.close()
    expect(readdirSync(folder)).toEqual([])
    await refreshed
    await wait(30)
    expect(readdirSync(folder)).toEqual([])
  })

  test('of an event means that no source is asked any more', async () => {
    const fetch = vi.fn(async () => ({ bytes: Buffer.from('{"domains":[]}') }))
    const dyna = createInstance({ source: { fetch }, on_cache_miss: () => dyna.close() })
    expect(await dyna.refresh()).toEqual(CLOSED)
    expect(fetch).not.toHaveBeenCalled()
  })

  test('of asking the source does not wait for it', async () => {
    const dyna: Dynacode = createInstance({
      source: {
        fetch() {
          void dyna.close()
          return new Promise(() => undefined)
        },
      },
    })
    expect(await dyna.refresh()).toEqual(CLOSED)
  })

  test('of polling leaves no poll behind', async () => {
    const api = await startPluginApi(DOCUMENT)
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_polling_interval: 0.005, workers_max_jitter: 0 })
    await api.got(3)
    await closeForGood(dyna, api)
  })
})

describe('after closing', () => {
  test('refresh() and ready() say so, as often as they are asked', async () => {
    const api = await startPluginApi(DOCUMENT)
    const dyna = createInstance({ plugin_api_uri: api.uri })
    await dyna.close()
    expect(await dyna.refresh()).toEqual(CLOSED)
    expect(await failing(dyna.ready())).toMatchObject({ code: 'ERR_DYNACODE_CLOSED', message: 'dynacode was closed' })
    expect(await failing(dyna.ready(0))).toMatchObject({ code: 'ERR_DYNACODE_CLOSED' })
    expect(api.requests).toHaveLength(0)
  })

  test('requests pass to the app, and get 503 where a plugin that fails closed would have run', async () => {
    const app = await startApp({
      document: {
        domains: [
          { name: '*', plugins: [plugin('content', `say('live')`)] },
          { name: 'closed.test', plugins: [plugin('log', '', { on_failure: 'closed' })] },
        ],
      },
    })
    await app.request.get('/').expect(200, 'live\n')
    await app.dyna.close()
    const heard = app.seen.length
    await app.request.get('/').expect(200, 'app')
    await app.request.get('/').set('Host', 'closed.test').expect(503)
    expect(app.seen).toHaveLength(heard)
  })

  test('the status still tells what was live', async () => {
    const api = await startPluginApi(DOCUMENT)
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
    const { version } = dyna.status()
    await dyna.close()
    expect(dyna.status()).toMatchObject({ closed: true, loaded: true, version, next_poll_at: null })
  })

  test('requests that waited for a document get 503', async () => {
    const api = await startPluginApi()
    api.behave(() => undefined)
    const { default: Koa } = await import('koa')
    const { default: supertest } = await import('supertest')
    const dyna = createInstance({ plugin_api_uri: api.uri, when_not_loaded: 'wait' })
    const app = new Koa().use(dyna)
    const response = supertest(app.callback()).get('/').expect(503)
    const settled = response.then(() => 'answered')
    await wait(30)
    await dyna.close()
    expect(await settled).toBe('answered')
  })
})

describe('closing twice', () => {
  test('is closing once: each call waits for the end', async () => {
    let release: () => void = () => undefined
    const close = vi.fn(
      () =>
        new Promise<void>((done) => {
          release = done
        }),
    )
    const dyna = createInstance({ source: { fetch: () => new Promise(() => undefined), close } })
    const ended: string[] = []
    const first = dyna.close().then(() => ended.push('first'))
    const second = dyna.close().then(() => ended.push('second'))
    await wait(5)
    expect(ended).toEqual([])
    release()
    await Promise.all([first, second])
    expect(close).toHaveBeenCalledTimes(1)
    await dyna.close()
    expect(close).toHaveBeenCalledTimes(1)
  })
})
