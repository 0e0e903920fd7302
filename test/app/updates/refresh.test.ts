import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import type { Dynacode, EventName } from '../../../lib/index.ts'
import { everywhere, plugin, startApp } from '../../fixtures/app.ts'
import { createInstance, createReadyInstance, payloadsOf, record } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

const saying = (word: string) => everywhere([{ name: 'p', phase: 'content', code: `say('${word}')` }])
const namesOf = (seen: readonly { name: EventName }[]) => seen.map(({ name }) => name)

/** An instance whose API has answered once with an empty document. */
async function start(options: Parameters<typeof createInstance>[0] = {}) {
  const api = await startPluginApi()
  const dyna = await createReadyInstance({ plugin_api_uri: api.uri, ...options })
  return { api, dyna, seen: record(dyna) }
}

describe('a refresh that goes live', () => {
  test('tells what came of it, in events and in what it returns', async () => {
    const { api, dyna, seen } = await start()
    api.serve({ general: { version: 7 }, ...saying('hi') })
    const refresh = await dyna.refresh()
    expect(refresh).toEqual({
      updated: true,
      version: 7,
      from: 'network',
      plugins: 1,
      compiled: 1,
      reused: 0,
      removed: 0,
      failed: 0,
      duration_ms: expect.any(Number),
    })
    expect(namesOf(seen)).toEqual(['bg_cache_miss', 'bg_fetch_api_success', 'bg_compile_success', 'bg_updated_plugins'])
    const bytes = JSON.stringify({ general: { version: 7 }, ...saying('hi') }).length
    const at = expect.any(Number)
    const duration_ms = expect.any(Number)
    expect(seen.map(({ payload }) => payload)).toEqual([
      { at },
      { at, duration_ms, status: 200, bytes },
      { at, duration_ms, plugin: { name: 'p', domain: '*', phase: 'content' } },
      { at, ...refresh, updated: undefined, duration_ms },
    ])
    expect(Object.isFrozen(refresh)).toBe(true)
  })

  test('calls the callbacks with the same', async () => {
    const calls: string[] = []
    const on = (name: string) => (payload: { at: number }) => calls.push(`${name} ${typeof payload.at}`)
    const api = await startPluginApi(saying('hi'))
    await createReadyInstance({
      plugin_api_uri: api.uri,
      on_cache_miss: on('on_cache_miss'),
      on_fetch_success: on('on_fetch_success'),
      on_compile_success: on('on_compile_success'),
      on_update: on('on_update'),
    })
    expect(calls).toEqual(
      ['on_cache_miss', 'on_fetch_success', 'on_compile_success', 'on_update'].map((c) => `${c} number`),
    )
  })

  test('goes by the first digits of its bytes’ SHA-1 where it has no version', async () => {
    const { api, dyna } = await start()
    api.serve(saying('hi'))
    const first = await dyna.refresh()
    expect(first).toMatchObject({ version: expect.stringMatching(/^[0-9a-f]{12}$/) })
    expect(dyna.status().version).toBe((first as { version: unknown }).version)
  })

  test('changes the answers at once', async () => {
    const { request, serve } = await startApp({ document: saying('one') })
    await request.get('/').expect(200, 'one\n')
    await serve(saying('two'))
    await request.get('/').expect(200, 'two\n')
    await serve({ domains: [] })
    await request.get('/').expect(200, 'app')
  })

  test('reports the faults of its parts, and takes the others', async () => {
    const { api, dyna, seen } = await start()
    api.serve({
      general: { skip_domains: [5] },
      domains: [
        {
          name: '*',
          plugins: [{ name: 'good', phase: 'log', code: '' }, { name: 'bad', phase: 'log', code: '(' }, { id: 3 }],
        },
        { name: '(', plugins: [] },
      ],
    })
    expect(await dyna.refresh()).toMatchObject({ updated: true, plugins: 1, failed: 4 })
    expect(payloadsOf(seen, 'bg_compile_error')).toEqual([
      {
        at: expect.any(Number),
        plugin: { name: 'bad', domain: '*', phase: 'log' },
        error: expect.objectContaining({ code: 'ERR_DYNACODE_COMPILE', line: 1 }),
        kept_last_good: false,
      },
      {
        at: expect.any(Number),
        plugin: { name: '3', domain: '*', phase: null },
        error: expect.objectContaining({ code: 'ERR_DYNACODE_DOCUMENT', path: 'domains[0].plugins[2]' }),
        kept_last_good: false,
      },
    ])
    expect(payloadsOf(seen, 'on_error')).toEqual(
      ['general.skip_domains[0]', 'domains[1].name'].map((path) => ({
        at: expect.any(Number),
        section: 'document',
        error: expect.objectContaining({ code: 'ERR_DYNACODE_DOCUMENT', path }),
      })),
    )
  })
})

describe('a refresh that changes nothing', () => {
  const unchanged = { updated: false, reason: 'unchanged', error: undefined }

  test('since the API says 304', async () => {
    const { api, dyna, seen } = await start()
    api.serve(saying('hi'), { etag: '"one"' })
    await dyna.refresh()
    seen.length = 0
    expect(await dyna.refresh()).toEqual(unchanged)
    expect(api.requests.at(-1)?.headers['if-none-match']).toBe('"one"')
    expect(namesOf(seen)).toEqual(['bg_cache_miss', 'bg_fetch_api_success', 'bg_didnt_update_plugins'])
    expect(seen[1]?.payload).toMatchObject({ status: 304, bytes: 0 })
    expect(seen[2]?.payload).toEqual({ at: expect.any(Number), reason: 'unchanged', error: undefined })
  })

  test('since the API sends the bytes that are live', async () => {
    const { api, dyna, seen } = await start()
    api.serve(saying('hi'))
    await dyna.refresh()
    seen.length = 0
    expect(await dyna.refresh()).toEqual(unchanged)
    expect(seen[1]?.payload).toMatchObject({ status: 200 })
    expect(namesOf(seen)).not.toContain('bg_compile_success')
  })

  test('and compiles nothing of 500 plugins that stayed the same', async () => {
    const plugins = Array.from({ length: 500 }, (_, at) => ({ name: `p${at}`, phase: 'log', code: `${at}` }))
    const { api, dyna } = await start()
    api.serve(everywhere(plugins as never))
    expect(await dyna.refresh()).toMatchObject({ compiled: 500, reused: 0 })
    api.serve(everywhere([...plugins.slice(1), { name: 'new', phase: 'log', code: 'new Date()' }] as never))
    expect(await dyna.refresh()).toMatchObject({ compiled: 1, reused: 499, removed: 1 })
  })
})

describe('the ETag that is sent', () => {
  const sent = (api: { requests: readonly { headers: Record<string, unknown> }[] }) =>
    api.requests.map(({ headers }) => headers['if-none-match'])

  test('is that of the document that is live: a bad body under the same tag changes nothing', async () => {
    const { api, dyna } = await start()
    api.serve('{"domains":', { etag: '"x"' })
    expect(await dyna.refresh()).toMatchObject({ reason: 'invalid' })
    api.serve(saying('repaired'), { etag: '"x"' })
    expect(await dyna.refresh()).toMatchObject({ updated: true, plugins: 1 })
    expect(await dyna.refresh()).toMatchObject({ reason: 'unchanged' })
    expect(sent(api)).toEqual([undefined, undefined, undefined, '"x"'])
  })

  test('is that of the document that is live, after a newer one was refused', async () => {
    const { api, dyna } = await start()
    api.serve(saying('one'), { etag: '"1"' })
    await dyna.refresh()
    api.serve({ no: 'domains' }, { etag: '"2"' })
    await dyna.refresh()
    api.serve(saying('one'), { etag: '"1"' })
    expect(await dyna.refresh()).toMatchObject({ reason: 'unchanged' })
    expect(sent(api).slice(2)).toEqual(['"1"', '"1"'])
  })

  test('follows the API when it names the same bytes anew, or not at all', async () => {
    const { api, dyna } = await start()
    for (const etag of ['"1"', '"2"', undefined]) {
      api.serve(saying('one'), etag === undefined ? {} : { etag })
      await dyna.refresh()
    }
    await dyna.refresh()
    expect(sent(api)).toEqual([undefined, undefined, '"1"', '"2"', undefined])
  })

  test('is none where the API sent none: 304 all the same is an error, and a full GET follows', async () => {
    const { api, dyna } = await start()
    api.answer({ status: 304 })
    expect(await dyna.refresh()).toMatchObject({ reason: 'fetch', error: { code: 'ERR_DYNACODE_FETCH_STATUS' } })
    api.serve(saying('hi'))
    expect(await dyna.refresh()).toMatchObject({ updated: true })
  })
})

describe('a refresh that fails leaves everything as it was', () => {
  test.each([
    ['the status is 500', { status: 500 }, 'fetch', 'ERR_DYNACODE_FETCH_STATUS', /answered 500, expected 200 or 304$/],
    [
      'the status is 301',
      { status: 301, headers: { Location: '/' } },
      'fetch',
      'ERR_DYNACODE_FETCH_STATUS',
      /answered 301/,
    ],
    [
      'the page is HTML',
      { body: '<html>', headers: { 'Content-Type': 'text/html' } },
      'fetch',
      'ERR_DYNACODE_FETCH_CONTENT',
      /HTML/,
    ],
    ['the body is HTML', { body: '<!doctype html>' }, 'invalid', 'ERR_DYNACODE_DOCUMENT', /^the document is not JSON/],
    ['the body is empty', { body: '' }, 'invalid', 'ERR_DYNACODE_DOCUMENT', /^the document is not JSON/],
    [
      'the body is not UTF-8',
      { body: Buffer.from('{"domains":[],"x":"\xe9"}', 'latin1') },
      'invalid',
      'ERR_DYNACODE_DOCUMENT',
      /^the document is not UTF-8$/,
    ],
    [
      'the body is UTF-16',
      { body: Buffer.from('\ufeff{"domains":[]}', 'utf16le') },
      'invalid',
      'ERR_DYNACODE_DOCUMENT',
      /^the document is not UTF-8$/,
    ],
    [
      'the body is no gzip',
      { body: 'x', headers: { 'Content-Encoding': 'gzip' } },
      'fetch',
      'ERR_DYNACODE_FETCH_CONTENT',
      /no valid gzip/,
    ],
    [
      'the frame is at fault',
      { body: { domains: [{ plugins: [] }] } },
      'invalid',
      'ERR_DYNACODE_DOCUMENT',
      /^domains\[0\]\.name: /,
    ],
    [
      'the body is a bomb',
      { body: gzipSync(Buffer.alloc(1e6)), headers: { 'Content-Encoding': 'gzip' } },
      'fetch',
      'ERR_DYNACODE_FETCH_TOO_LARGE',
      /more than 50000 bytes/,
    ],
  ])('when %s', async (_, answer, reason, code, message) => {
    const app = await startApp({ document: saying('good'), options: { plugin_api_max_bytes: 50_000 } })
    const before = app.dyna.status()
    const seen = record(app.dyna)
    app.api.answer(answer)
    const refresh = await app.dyna.refresh()
    const error = expect.objectContaining({ code, message: expect.stringMatching(message) })
    expect(refresh).toEqual({ updated: false, reason, error })
    expect(payloadsOf(seen, 'bg_didnt_update_plugins')).toEqual([{ at: expect.any(Number), reason, error }])
    expect(app.dyna.status()).toMatchObject({
      version: before.version,
      since: before.since,
      loaded: true,
      last_error: { code, message: expect.stringMatching(message) },
    })
    await app.request.get('/').expect(200, 'good\n')
    app.api.serve(saying('better'))
    expect(await app.dyna.refresh()).toMatchObject({ updated: true })
    expect(app.dyna.status().last_error).toBeNull()
    await app.request.get('/').expect(200, 'better\n')
  })

  test('and 304 clears the error from the status', async () => {
    const { api, dyna } = await start()
    api.serve(saying('one'), { etag: '"1"' })
    await dyna.refresh()
    api.answer({ status: 500 })
    await dyna.refresh()
    expect(dyna.status().last_error).toMatchObject({ code: 'ERR_DYNACODE_FETCH_STATUS' })
    api.serve(saying('one'), { etag: '"1"' })
    await dyna.refresh()
    expect(dyna.status().last_error).toBeNull()
  })

  test('tells of statuses and of other faults by different events', async () => {
    const { api, dyna, seen } = await start()
    api.answer({ status: 503 })
    await dyna.refresh()
    await api.close()
    await dyna.refresh()
    expect(payloadsOf(seen, 'bg_fetch_api_status_code_error')).toEqual([
      {
        at: expect.any(Number),
        status: 503,
        duration_ms: expect.any(Number),
        error: expect.objectContaining({ code: 'ERR_DYNACODE_FETCH_STATUS' }),
      },
    ])
    const [payload, ...rest] = payloadsOf(seen, 'bg_fetch_api_generic_error')
    expect(rest).toEqual([])
    expect(payload).toEqual({ at: expect.any(Number), duration_ms: expect.any(Number), error: expect.any(Error) })
    expect(payload?.error).toMatchObject({
      code: 'ERR_DYNACODE_FETCH',
      message: expect.stringMatching(/^the plugin API cannot be reached: ./),
      cause: expect.any(Error),
    })
  })
})

describe('the deadline', () => {
  test.each([
    ['nothing comes', () => undefined],
    [
      'the body comes in drips',
      (response: import('node:http').ServerResponse) => {
        response.writeHead(200, { 'Content-Length': 1000 })
        const drip = setInterval(() => response.write(' '), 10)
        response.on('close', () => clearInterval(drip))
      },
    ],
    [
      'the headers come in drips',
      (response: import('node:http').ServerResponse) => {
        const { socket } = response
        socket?.write('HTTP/1.1 200 OK\r\n')
        const drip = setInterval(() => socket?.write('X-More: x\r\n'), 10)
        response.on('close', () => clearInterval(drip))
      },
    ],
  ])('ends a fetch of which %s', async (_, behaviour) => {
    const { api, dyna, seen } = await start({ plugin_api_timeout: 1.5 })
    api.behave((_request, response) => {
      behaviour(response)
    })
    const error = expect.objectContaining({
      code: 'ERR_DYNACODE_FETCH_TIMEOUT',
      message: 'no whole answer within 1.5 s (plugin_api_timeout)',
    })
    expect(await dyna.refresh()).toEqual({ updated: false, reason: 'fetch', error })
    expect(payloadsOf(seen, 'bg_fetch_api_generic_error')).toMatchObject([{ error }])
    await api.requests.at(-1)?.closed
    api.serve(saying('hi'))
    expect(await dyna.refresh()).toMatchObject({ updated: true })
  })

  test.each([
    ['a source', { source: { fetch: () => new Promise<never>(() => undefined) } }],
    [
      'the headers',
      { plugin_api_uri: 'http://127.0.0.1:9/', plugin_api_headers: () => new Promise<never>(() => undefined) },
    ],
  ])('ends a wait for %s that never come, even when nobody else holds on to it', async (_, options) => {
    const dyna = createInstance({ plugin_api_timeout: 0.1, plugin_api_poll_at_init: false, ...options })
    const refreshing = dyna.refresh()
    // A signal that only a forgotten promise knows of could be collected before it aborts.
    const { setFlagsFromString } = await import('node:v8')
    setFlagsFromString('--expose-gc')
    const gc = (await import('node:vm')).runInNewContext('gc') as () => void
    await wait(1)
    gc()
    expect(await refreshing).toMatchObject({ error: { code: 'ERR_DYNACODE_FETCH_TIMEOUT' } })
  })
})

describe('one fetch at a time', () => {
  test('refreshes that are asked for meanwhile join it', async () => {
    const { api, dyna } = await start()
    let respond = () => undefined as unknown
    api.behave((_request, response) => {
      respond = () => response.end(JSON.stringify(saying('hi')))
    })
    const refreshes = [dyna.refresh(), dyna.refresh()]
    await api.got(2)
    refreshes.push(dyna.refresh())
    respond()
    const results = await Promise.all(refreshes)
    expect(results[0]).toMatchObject({ updated: true })
    expect(new Set(results).size).toBe(1)
    expect(api.requests).toHaveLength(2)
    api.serve(saying('new'))
    expect(await dyna.refresh()).toMatchObject({ updated: true })
    expect(api.requests).toHaveLength(3)
  })

  test('so does one that a listener asks for', async () => {
    const { api, dyna } = await start()
    const joined: Promise<unknown>[] = []
    dyna.events.on('bg_updated_plugins', () => joined.push(dyna.refresh()))
    api.serve(saying('hi'))
    const refresh = await dyna.refresh()
    expect(await Promise.all(joined)).toEqual([refresh])
  })
})

describe('polling', () => {
  test('begins at once, after the caller has the instance', async () => {
    const api = await startPluginApi(saying('hi'))
    let seen: ReturnType<typeof record> = []
    const on_cache_miss = vi.fn()
    const dyna = createInstance({ plugin_api_uri: api.uri, on_cache_miss })
    expect(on_cache_miss).not.toHaveBeenCalled()
    seen = record(dyna)
    await dyna.ready()
    expect(namesOf(seen)).toEqual(['bg_cache_miss', 'bg_fetch_api_success', 'bg_compile_success', 'bg_updated_plugins'])
  })

  test('waits for the first interval where so asked', async () => {
    const api = await startPluginApi(saying('hi'))
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_poll_at_init: false })
    await wait(50)
    expect(api.requests).toHaveLength(0)
    expect(dyna.status().next_poll_at).toBeGreaterThan(Date.now())
    await dyna.refresh()
    expect(api.requests).toHaveLength(1)
  })

  test('goes on by itself, through errors too', async () => {
    const api = await startPluginApi()
    api.answer({ status: 500 })
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_polling_interval: 0.02, workers_max_jitter: 0 })
    await api.got(3)
    api.serve(saying('hi'))
    expect(await dyna.ready()).toEqual({ from: 'network' })
    const count = api.requests.length
    await api.got(count + 3)
  })
})

describe('ready()', () => {
  test('tells where the document came from, as often as it is asked', async () => {
    const { dyna } = await start()
    expect(await Promise.all([dyna.ready(), dyna.ready(0)])).toEqual([{ from: 'network' }, { from: 'network' }])
  })

  test('is not taken back by a later error', async () => {
    const { api, dyna } = await start()
    await api.close()
    expect(await dyna.refresh()).toMatchObject({ reason: 'fetch' })
    expect(await dyna.ready(0)).toEqual({ from: 'network' })
  })

  test('gives up with what went wrong last', async () => {
    const api = await startPluginApi('<html>')
    const dyna = createInstance({ plugin_api_uri: api.uri })
    await dyna.refresh()
    await expect(dyna.ready(20)).rejects.toMatchObject({
      code: 'ERR_DYNACODE_NOT_READY',
      message: expect.stringMatching(/^no document is live after 20 ms: the document is not JSON/),
      cause: { code: 'ERR_DYNACODE_DOCUMENT' },
    })
  })

  test('comes when a document is live, however late', async () => {
    const api = await startPluginApi('<html>')
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const ready = dyna.ready()
    await dyna.refresh()
    api.serve(saying('hi'))
    await dyna.refresh()
    expect(await ready).toEqual({ from: 'network' })
  })
})

describe('a source of the app’s own', () => {
  const bytes = Buffer.from(JSON.stringify(saying('hi')))

  test('takes the place of the API', async () => {
    const fetch = vi.fn(async (_signal: AbortSignal, _last: string | undefined) => ({ bytes, tag: 'one' }))
    const close = vi.fn()
    const dyna = await createReadyInstance({ source: { fetch, close } })
    expect(dyna.status()).toMatchObject({ loaded: true, plugins: [{ name: 'p', state: 'live' }] })
    await dyna.refresh()
    expect(fetch.mock.calls.map(([signal, last]) => [signal instanceof AbortSignal, last])).toEqual([
      [true, undefined],
      [true, 'one'],
    ])
    await dyna.close()
    expect(close).toHaveBeenCalledTimes(1)
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('no disk')
      },
      'the plugin API cannot be reached: no disk',
    ],
    ['rejects with nothing', () => Promise.reject(undefined), 'the plugin API cannot be reached: undefined'],
    ['returns nothing', async () => undefined, 'the source returned no bytes: expected a Uint8Array, got nothing'],
    ['returns text', async () => ({ bytes: '{}' }), 'the source returned no bytes: expected a Uint8Array, got "{}"'],
    [
      'says unchanged of nothing',
      async () => ({ unchanged: true }),
      'the source said `unchanged`, but no document is live yet',
    ],
  ])('that %s fails the refresh', async (_, fetch, message) => {
    const dyna = createInstance({ source: { fetch: fetch as never } })
    expect(await dyna.refresh()).toMatchObject({ reason: 'fetch', error: { code: 'ERR_DYNACODE_FETCH', message } })
    expect(dyna.status().loaded).toBe(false)
  })
})

describe('listeners that fail', () => {
  test('harm neither the refresh nor each other', async () => {
    const fail = () => {
      throw new Error('listener')
    }
    const reject = () => Promise.reject(new Error('callback'))
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    try {
      const api = await startPluginApi({ domains: [{ name: '*', plugins: [plugin('log', ''), plugin('log', '(')] }] })
      const failing: (dyna: Dynacode) => void = ({ events }) => {
        for (const name of [
          'bg_cache_miss',
          'bg_fetch_api_success',
          'bg_compile_success',
          'bg_compile_error',
          'bg_updated_plugins',
          'on_error',
        ] as const)
          events.on(name, fail)
      }
      const dyna = createInstance({
        plugin_api_uri: api.uri,
        on_cache_miss: reject,
        on_fetch_success: reject,
        on_compile_success: reject,
        on_compile_fail: reject,
        on_update: reject,
        on_error: reject,
      })
      failing(dyna)
      const seen = record(dyna)
      expect(await dyna.ready()).toEqual({ from: 'network' })
      await wait(5)
      expect(namesOf(seen).filter((name) => name !== 'on_error')).toEqual([
        'bg_cache_miss',
        'bg_fetch_api_success',
        'bg_compile_success',
        'bg_compile_error',
        'bg_updated_plugins',
      ])
      expect(payloadsOf(seen, 'on_error').filter(({ section }) => section === 'listener')).toHaveLength(10)
      expect(unhandled).not.toHaveBeenCalled()
    } finally {
      process.off('unhandledRejection', unhandled)
    }
  })
})

test('two instances in one process do not know each other', async () => {
  const one = await startApp({
    document: everywhere([plugin('content', `store.set('x', 1); say(typeof who)`)]),
    options: { globals: { who: 1 } },
  })
  const two = await startApp({ document: everywhere([plugin('content', `say(store.get('x')); say(typeof who)`)]) })
  const seen = record(two.dyna)
  await one.request.get('/').expect(200, 'number\n')
  await two.request.get('/').expect(200, '\nundefined\n')
  one.api.serve('broken')
  await one.dyna.refresh()
  await one.dyna.close()
  expect(seen).toEqual([])
  expect(two.dyna.status()).toMatchObject({ closed: false, last_error: null })
  await two.request.get('/').expect(200, '\nundefined\n')
})
