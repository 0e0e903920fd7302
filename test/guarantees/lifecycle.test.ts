import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readdirSync, statSync } from 'node:fs'
import { type ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Koa from 'koa'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { CALLBACKS } from '../../lib/events/table.ts'
import { type Dynacode, type DynacodeOptions, dynacode, type EventName, type Source } from '../../lib/index.ts'
import { createDeferred, everywhere, startApp } from '../fixtures/app.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { createInstance, createReadyInstance, payloadsOf, record } from '../fixtures/instance.ts'
import { type PluginApi, startPluginApi } from '../fixtures/plugin-api.ts'
import { createSigner } from '../fixtures/signing.ts'

const EVENTS = Object.keys(CALLBACKS) as EventName[]
const NOBODY = 'http://127.0.0.1:1/plugins.json'
const versioned = (version: number) => ({
  general: { version },
  ...everywhere([{ name: 'mark', phase: 'rewrite', code: `ctx.set('X-Version', '${version}')` }]),
})
const bytesOf = (document: unknown) => Buffer.from(JSON.stringify(document))

describe('G36', () => {
  test('G36 ready() means applied: the next request already meets the plugins', async () => {
    const { request } = await startApp({ document: versioned(1) })
    await request.get('/').expect(200).expect('X-Version', '1')
  })

  test('G36 ready() says from where: network, cache or bootstrap', async () => {
    const api = await startPluginApi(versioned(1))
    const cache_path = join(makeFolder(), 'cache')
    const first = createInstance({ plugin_api_uri: api.uri, cache_path })
    expect(await first.ready()).toEqual({ from: 'network' })
    await first.close()
    await api.close()
    expect(await createInstance({ plugin_api_uri: api.uri, cache_path }).ready()).toEqual({ from: 'cache' })
    expect(await createInstance({ plugin_api_uri: NOBODY, bootstrap: versioned(1) }).ready()).toEqual({
      from: 'bootstrap',
    })
  })

  test('G36 it waits through failures, however many ask, and settles for all of them', async () => {
    const api = await startPluginApi()
    api.answer({ status: 500 })
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const asked = Array.from({ length: 100 }, (_, index) => dyna.ready(index % 2 ? 5000 : Number.POSITIVE_INFINITY))
    await api.got(1)
    await dyna.refresh()
    api.serve(versioned(1))
    await dyna.refresh()
    expect(new Set((await Promise.all(asked)).map(({ from }) => from))).toEqual(new Set(['network']))
  })

  test('G36 it settles when its time is over, with what went wrong', async () => {
    const api = await startPluginApi()
    api.answer({ status: 503 })
    const dyna = createInstance({ plugin_api_uri: api.uri })
    await dyna.refresh()
    for (const ms of [0, 20]) {
      const error = { code: 'ERR_DYNACODE_NOT_READY', cause: { status: 503 } }
      await expect(dyna.ready(ms)).rejects.toMatchObject(error)
    }
  })

  test('G36 it settles when close() comes first, before it is asked or after', async () => {
    const api = await startPluginApi()
    api.behave(() => undefined)
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const asked = dyna.ready(Number.POSITIVE_INFINITY).catch((error: unknown) => error)
    await dyna.close()
    expect(await asked).toMatchObject({ code: 'ERR_DYNACODE_CLOSED' })
    await expect(dyna.ready()).rejects.toMatchObject({ code: 'ERR_DYNACODE_CLOSED' })
  })

  test('G36 no later error takes it back, nor does staleness, the kill switch or the end', async () => {
    const { dyna, api, serve } = await startApp({ document: versioned(1), options: { max_stale_seconds: 0.05 } })
    const still = async () => expect(await dyna.ready(0)).toEqual({ from: 'network' })
    for (const answer of [{ status: 500 }, { status: 401 }, { body: 'garbage' }, { body: '{}' }]) {
      api.answer(answer)
      expect(await dyna.refresh()).toMatchObject({ updated: false })
      await still()
    }
    await expect.poll(() => dyna.status().stale).toBe(true)
    await still()
    await serve({ general: { status: 'disabled' }, domains: [] })
    await still()
    await api.close()
    await dyna.refresh()
    await still()
    await dyna.close()
    await still()
  })
})

describe('G37', async () => {
  const signer = await createSigner('ES256')
  const signed = (version: number) =>
    signer.sign({
      ...versioned(version),
      general: { version, expires: new Date(Date.now() + 3_600_000).toISOString() },
    })

  /** Where the requests go that this process has begun, to any API. */
  const begun: string[] = []
  const note = (message: unknown) =>
    begun.push(`http://${(message as { request: ClientRequest }).request.getHeader('host')}`)
  beforeAll(() => subscribe('http.client.request.start', note))
  afterAll(() => unsubscribe('http.client.request.start', note))

  /** Everything that an instance can be seen to do. */
  function watch(dyna: Dynacode, api: PluginApi, folder: string) {
    const { origin } = new URL(api.uri)
    let events = 0
    for (const name of EVENTS) {
      dyna.events.on(name, () => {
        events += 1
      })
    }
    return () => ({
      events,
      requests: begun.filter((to) => to === origin).length,
      files: readdirSync(folder).map((name) => {
        const { mtimeMs, ino, size } = statSync(join(folder, name))
        return [name, mtimeMs, ino, size]
      }),
    })
  }

  test('G37 close() after any number of turns and ticks: no request, write or event comes after it', async () => {
    const STEPS = 80
    const document = await signed(1)
    const ended = { early: 0, late: 0 }
    const one = async (steps: number) => {
      const folder = makeFolder()
      const api = await startPluginApi()
      api.behave((_request, response) => {
        // The answer comes in two parts, so that there are more places to be interrupted in.
        response.write(document.slice(0, 50))
        setImmediate(() => response.end(document.slice(50)))
      })
      const dyna = createInstance({
        plugin_api_uri: api.uri,
        plugin_api_polling_interval: 0.01,
        plugin_api_headers: async () => ({ a: await Promise.resolve('b') }),
        cache_path: join(folder, 'cache'),
        trusted_keys: { keys: [signer.public_key] },
        max_stale_seconds: 0.02,
      })
      const look = watch(dyna, api, folder)
      for (let turn = 0; turn < Math.floor(steps / 4); turn += 1) await new Promise((resolve) => setImmediate(resolve))
      // What goes to the disk before it is live takes a few milliseconds, and a busy machine longer.
      await wait(Math.max(0, steps - STEPS / 2))
      if (steps >= STEPS * 0.75) await dyna.ready()
      for (let tick = 0; tick < (steps % 4) * 3; tick += 1) await undefined
      await dyna.close()
      ended[dyna.status().loaded ? 'late' : 'early'] += 1
      const seen = look()
      return { seen, look }
    }
    // Ten at a time: alone a fetch would take too few turns, and all at once too many.
    for (let from = 0; from < STEPS; from += 10) {
      const closed = await Promise.all(Array.from({ length: 10 }, (_, index) => one(from + index)))
      await wait(60)
      for (const { seen, look } of closed) expect(look()).toEqual(seen)
    }
    expect(Math.min(ended.early, ended.late)).toBeGreaterThan(5)
    expect(begun.length).toBeGreaterThan(ended.late)
  })

  const LISTENED: EventName[] = [
    'bg_cache_miss',
    'bg_fetch_api_success',
    'bg_compile_success',
    'bg_updated_plugins',
    'bg_didnt_update_plugins',
    'bg_fetch_api_status_code_error',
    'bg_fetch_api_generic_error',
    'bg_compile_error',
    'bg_cache_hit',
    'bg_stale',
  ]

  test.each(LISTENED)('G37 close() in a listener of %s: nothing comes after it', async (name) => {
    const folder = makeFolder()
    const api = await startPluginApi(versioned(1))
    const cache_path = join(folder, 'cache')
    const dyna = createInstance({
      plugin_api_uri: api.uri,
      cache_path,
      plugin_api_poll_at_init: false,
      max_stale_seconds: 0.2,
    })
    await dyna.refresh()
    const answers: Partial<Record<EventName, () => void>> = {
      bg_didnt_update_plugins: () => api.answer({ body: 'garbage' }),
      bg_fetch_api_status_code_error: () => api.answer({ status: 500 }),
      bg_fetch_api_generic_error: () => api.behave(({ socket }) => socket.destroy()),
      bg_compile_error: () =>
        api.serve(everywhere([{ name: 'mark', phase: 'rewrite', code: 'this is no JavaScript' }])),
    }
    const behave = answers[name] ?? (() => api.serve(versioned(2)))
    behave()
    const closed = createDeferred<ReturnType<ReturnType<typeof watch>>>()
    const look = watch(dyna, api, folder)
    let fired = false
    dyna.events.on(name, () => {
      if (fired) return
      fired = true
      void dyna.close().then(() => closed.resolve(look()))
    })
    if (name === 'bg_cache_hit') {
      // That is for polls: another process has fetched what this one is to poll for.
      const polling = createInstance({ plugin_api_uri: api.uri, cache_path, plugin_api_polling_interval: 600 })
      const looking = watch(polling, api, folder)
      polling.events.on(name, () => void polling.close().then(() => closed.resolve(looking())))
      const seen = await closed.promise
      await wait(50)
      return expect(looking()).toEqual(seen)
    }
    if (name !== 'bg_stale') await dyna.refresh()
    const seen = await closed.promise
    await wait(50)
    expect(look()).toEqual(seen)
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'closed' })
  })

  test('G37 close() ends what stands still: headers that never come, the API, a redirect, a renewal, another process’s turn', async () => {
    const folder = makeFolder()
    const api = await startPluginApi()
    let reached = createDeferred()
    const hang = () => {
      reached.resolve()
      return new Promise<never>(() => undefined)
    }
    const hanging = await startPluginApi()
    hanging.behave(() => reached.resolve())
    const holder = createInstance({
      plugin_api_uri: hanging.uri,
      cache_path: join(folder, 'cache'),
      plugin_api_timeout: 600,
    })
    await reached.promise
    const STAGES: [string, Partial<DynacodeOptions>, () => void][] = [
      ['headers', { plugin_api_headers: hang }, () => undefined],
      ['the answer', { plugin_api_uri: hanging.uri }, () => undefined],
      ['the body', {}, () => api.behave((_request, response) => response.write('{', () => reached.resolve()))],
      ['the renewal', { plugin_api_headers: ({ renew }) => (renew ? hang() : {}) }, () => api.answer({ status: 401 })],
      [
        'the redirect',
        { plugin_api_redirects: 1 },
        () => api.answer({ status: 302, headers: { Location: hanging.uri } }),
      ],
      ['the source', { source: { fetch: hang } }, () => undefined],
      [
        'the turn',
        { cache_path: join(folder, 'cache'), on_cache_miss: () => expect.unreachable() },
        () => setTimeout(reached.resolve, 120),
      ],
    ]
    for (const [stage, options, behave] of STAGES) {
      reached = createDeferred()
      behave()
      const given = 'source' in options ? options : { plugin_api_uri: api.uri, ...options }
      const dyna = createInstance({ plugin_api_timeout: 600, ...given })
      const asked = dyna.refresh()
      await reached.promise
      const seen: string[] = []
      for (const name of EVENTS) dyna.events.on(name, () => seen.push(name))
      await dyna.close()
      expect([stage, await asked]).toMatchObject([stage, { updated: false, reason: 'closed' }])
      expect([stage, seen]).toEqual([stage, []])
    }
    await holder.close()
    await Promise.all(hanging.requests.map(({ closed }) => closed))
  })

  test('G37 no timer is left: not of polls, deadlines, staleness, expiry, ready() or plugins', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const plugins = [
      { name: 'expiring', phase: 'rewrite', code: '', expires_at: new Date(Date.now() + 60_000).toISOString() },
      {
        name: 'waiting',
        phase: 'rewrite',
        code: `setTimeout(() => log('late'), 60_000); setInterval(() => log('again'), 60_000)`,
      },
    ] as const
    const document = { general: { expires: new Date(Date.now() + 60_000).toISOString() }, ...everywhere(plugins) }
    let hanging = false
    const source: Source = {
      fetch: async () => (hanging ? new Promise<never>(() => undefined) : { bytes: bytesOf(document) }),
    }
    const dyna = dynacode({ source, max_stale_seconds: 60, plugin_api_timeout: 60 })
    await dyna.ready()
    const request = Object.assign(new IncomingMessage(new Socket()), { url: '/', headers: { host: 'a.test' } })
    const response = new ServerResponse(request)
    const app = new Koa().use(dyna)
    await app.callback()(request, response)
    response.emit('finish')
    await new Promise((resolve) => setImmediate(resolve))
    hanging = true
    const asked = dyna.refresh()
    const other = dynacode({ source, plugin_api_poll_at_init: false })
    const never = other.ready().catch((error: { code: string }) => error.code)
    expect(vi.getTimerCount()).toBeGreaterThan(5)
    await Promise.all([dyna.close(), other.close()])
    expect(await asked).toMatchObject({ reason: 'closed' })
    expect(await never).toBe('ERR_DYNACODE_CLOSED')
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('G38', () => {
  const BAD: [string, () => unknown][] = [
    [
      'throws an error',
      () => {
        throw new Error('bad listener')
      },
    ],
    [
      'throws nothing at all',
      () => {
        throw undefined
      },
    ],
    [
      'throws what cannot be looked at',
      () => {
        throw new Proxy(
          {},
          {
            get: () => {
              throw new Error('no')
            },
            getPrototypeOf: () => {
              throw new Error('no')
            },
          },
        )
      },
    ],
    ['rejects', () => Promise.reject(new Error('bad listener'))],
    [
      'rejects later',
      async () => {
        await wait(1)
        throw new Error('bad listener')
      },
    ],
    ['never settles', () => new Promise(() => undefined)],
    [
      'is a thenable that throws',
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: that is what is tested
        then() {
          throw new Error('bad thenable')
        },
      }),
    ],
  ]

  test.each(BAD)('G38 every callback and listener %s: documents, requests and the process go on', async (_, bad) => {
    const callbacks = Object.fromEntries(Object.values(CALLBACKS).map((name) => [name, bad]))
    const plugins = [
      { name: 'good', phase: 'rewrite', code: `ctx.set('X-Good', 'yes')` },
      { name: 'bad', phase: 'access', code: 'throw new Error(1)' },
      { name: 'shadow', phase: 'access', code: 'exit(403)', mode: 'shadow' },
    ] as const
    const app = await startApp({ document: everywhere(plugins), options: { ...callbacks, breaker_failures: 2 } })
    for (const name of EVENTS) {
      app.dyna.events.on(name, bad as never)
      app.dyna.events.prependListener(name, bad as never)
    }
    const seen = record(app.dyna, EVENTS)
    for (let times = 0; times < 4; times += 1) await app.request.get('/').expect(200, 'app').expect('X-Good', 'yes')
    app.api.answer({ status: 500 })
    await app.dyna.refresh()
    app.api.answer({ body: 'garbage' })
    await app.dyna.refresh()
    await app.serve(everywhere([...plugins, { name: 'broken', phase: 'log', code: 'this is no JavaScript' }]))
    await app.serve({ general: { status: 'disabled' }, domains: [] })
    await app.request.get('/').expect(200, 'app')
    expect(app.dyna.status()).toMatchObject({ enabled: false, last_error: null })
    // Whoever listened behind the bad ones missed nothing.
    for (const name of [
      'rt_plugins_done',
      'rt_plugins_error',
      'rt_breaker_opened',
      'bg_compile_error',
      'bg_updated_plugins',
      'rt_plugins_disabled',
    ] as const) {
      expect([name, payloadsOf(seen, name).length > 0]).toEqual([name, true])
    }
    // Long enough for what rejects later; the test runner fails on what nobody handles.
    await wait(20)
  })

  test('G38 what a listener throws is told by on_error', async () => {
    const { dyna } = await startApp()
    const told: unknown[] = []
    dyna.events.on('on_error', (payload) => told.push(payload))
    dyna.events.on('bg_didnt_update_plugins', () => {
      throw new Error('first')
    })
    dyna.events.on('bg_didnt_update_plugins', async () => {
      throw new Error('second')
    })
    await dyna.refresh()
    await expect
      .poll(() => told)
      .toMatchObject(['first', 'second'].map((message) => ({ section: 'listener', error: { message } })))
  })

  test('G38 callbacks that ask for more of the same come to an end', async () => {
    const api = await startPluginApi(versioned(1))
    let asked = 0
    const dyna: Dynacode = createInstance({
      plugin_api_uri: api.uri,
      on_update: () => void dyna.refresh(),
      on_no_update: () => {
        asked += 1
        if (asked < 5) void dyna.refresh()
      },
    })
    await dyna.ready()
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({ version: 1, last_error: null })
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('no headers')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no headers'))],
    ['returns nonsense', () => 42],
    ['never settles', () => new Promise(() => undefined)],
  ])('G38 a plugin_api_headers that %s is a failed fetch, and the next one may do', async (_, bad) => {
    const api = await startPluginApi(versioned(1))
    let failing = true
    const dyna = createInstance({
      plugin_api_uri: api.uri,
      // The fetch that does has to be over by then, on a busy machine, too.
      plugin_api_timeout: 1,
      plugin_api_headers: (() => (failing ? bad() : {})) as never,
    })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'fetch' })
    failing = false
    expect(await dyna.refresh()).toMatchObject({ updated: true })
  })
})

describe('G40', () => {
  const INTERVAL_MS = 30
  const options = { plugin_api_polling_interval: INTERVAL_MS / 1000, plugin_api_timeout: 0.05 }

  test('G40 polling carries on within its interval when the source hangs, breaks off or says the same again', async () => {
    let [asked, good] = [0, false]
    const WAYS: (() => ReturnType<Source['fetch']>)[] = [
      () => new Promise(() => undefined),
      () => Promise.reject(new Error('half open')),
      async () => ({ unchanged: true }),
      async () => ({ bytes: bytesOf(versioned(1)), tag: 'same' }),
    ]
    const source: Source = {
      fetch: () => {
        asked += 1
        return good
          ? Promise.resolve({ bytes: bytesOf(versioned(2)) })
          : (WAYS[asked % WAYS.length] as (typeof WAYS)[0])()
      },
    }
    const dyna = createInstance({ source, ...options })
    await expect.poll(() => asked, { timeout: 8000 }).toBeGreaterThan(12)
    good = true
    await expect.poll(() => dyna.status().version).toBe(2)
  })

  test('G40 a change that was missed is found by the next poll, in full', async () => {
    const api = await startPluginApi()
    api.serve(versioned(1), { etag: '"1"' })
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri, ...options })
    await api.got(3)
    // Nobody says so: it is there, under another tag.
    api.serve(versioned(2), { etag: '"2"' })
    await expect.poll(() => dyna.status().version).toBe(2)
  })
})

describe('G41', () => {
  test('G41 the status names the attempted and the active version, and why they differ', async () => {
    const { dyna, api } = await startApp({ document: versioned(1), options: { max_removed_ratio: 0.5 } })
    expect(dyna.status()).toMatchObject({ version: 1, attempted_version: 1, last_error: null })

    const REFUSED: [unknown, number | RegExp, string][] = [
      [{ ...versioned(2), general: { version: 2 }, domains: [] }, 2, 'ERR_DYNACODE_HELD'],
      ['garbage', /^[0-9a-f]{12}$/, 'ERR_DYNACODE_DOCUMENT'],
      [{ general: { version: 3 } }, /^[0-9a-f]{12}$/, 'ERR_DYNACODE_DOCUMENT'],
    ]
    for (const [body, attempted, code] of REFUSED) {
      api.answer({ body })
      await dyna.refresh()
      const { version, attempted_version, last_error } = dyna.status()
      expect([version, last_error?.code]).toEqual([1, code])
      expect(last_error?.message).not.toBe('')
      if (typeof attempted === 'number') expect(attempted_version).toBe(attempted)
      else expect(attempted_version).toMatch(attempted)
    }
    // Once the API has the live one again there is nothing to explain.
    api.serve(versioned(1))
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({ version: 1, attempted_version: 1, last_error: null })
  })

  test('G41 of a signed document, too, whatever it was refused for', async () => {
    const signer = await createSigner('ES256')
    const expires = new Date(Date.now() + 3_600_000).toISOString()
    const sign = (version: number) => signer.sign({ ...versioned(version), general: { version, expires } })
    const api = await startPluginApi()
    // Before the instance begins: a refresh joins the first fetch.
    api.answer({ body: await sign(5) })
    const dyna = createInstance({ plugin_api_uri: api.uri, trusted_keys: { keys: [signer.public_key] } })
    await dyna.refresh()
    api.answer({ body: await sign(4) })
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({
      version: 5,
      attempted_version: 4,
      last_error: { code: 'ERR_DYNACODE_VERSION' },
    })
    // What an unverified document calls itself is not believed; its bytes are what is known of it.
    api.answer({
      body: await (await createSigner('ES256')).sign({ ...versioned(6), general: { version: 6, expires } }),
    })
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({
      version: 5,
      attempted_version: expect.stringMatching(/^[0-9a-f]{12}$/),
      last_error: { code: 'ERR_DYNACODE_SIGNATURE' },
    })
  })

  test('G41 and of each plugin whether it is as the document has it, and why not', async () => {
    const { dyna, serve } = await startApp({ document: versioned(1) })
    const broken = (name: string) => ({ name, phase: 'rewrite' as const, code: 'this is no JavaScript' })
    await serve({ general: { version: 2 }, ...everywhere([broken('mark'), broken('new')]) })
    expect(dyna.status()).toMatchObject({
      version: 2,
      attempted_version: 2,
      plugins: [
        { name: 'mark', state: 'last_good', error: expect.stringContaining('mark') },
        { name: 'new', state: 'refused', error: expect.stringContaining('new') },
      ],
    })
    expect(Object.isFrozen(dyna.status())).toBe(true)
    expect(JSON.parse(JSON.stringify(dyna.status()))).toEqual(dyna.status())
  })

  test('G41 before anything is live, of what was tried', async () => {
    const api = await startPluginApi()
    api.answer({ body: 'garbage' })
    const dyna = createInstance({ plugin_api_uri: api.uri })
    expect(dyna.status()).toMatchObject({ version: null, attempted_version: null })
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({
      version: null,
      attempted_version: expect.stringMatching(/^[0-9a-f]{12}$/),
      last_error: { code: 'ERR_DYNACODE_DOCUMENT' },
    })
  })
})
