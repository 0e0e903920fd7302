import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import supertest from 'supertest'
import { describe, expect, test } from 'vitest'
import type { Dynacode, DynacodeOptions } from '../../lib/index.ts'
import { createApp, everywhere, listen, serveBehind } from '../fixtures/app.ts'
import { encodeDocument } from '../fixtures/cache.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { createInstance, payloadsOf, record } from '../fixtures/instance.ts'
import { type PluginApi, startPluginApi } from '../fixtures/plugin-api.ts'
import { createSigner } from '../fixtures/signing.ts'

/** An address where nobody listens. */
const NOBODY = 'http://127.0.0.1:1/plugins.json'

const versioned = (version: number) => ({
  general: { version },
  ...everywhere([{ name: 'mark', phase: 'rewrite', code: `ctx.set('X-Version', '${version}')` }]),
})
const bytesOf = (document: unknown) => Buffer.from(JSON.stringify(document))

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

/** Starts an instance as after a restart while its API is down, unless one is given; and what it reports while it starts. */
function startOffline(options: DynacodeOptions): { dyna: Dynacode; errors: { section: string; error: unknown }[] } {
  const errors: { section: string; error: unknown }[] = []
  const api = filledBy.get(options.cache_path ?? '')
  if (options.plugin_api_uri === undefined) void api?.close()
  const given = { plugin_api_uri: api?.uri ?? NOBODY, plugin_api_poll_at_init: false, ...options }
  return { dyna: createInstance({ ...given, on_error: (payload) => errors.push(payload) }), errors }
}

/** The version that a request to an app behind this instance sees. */
async function versionBehind(dyna: Dynacode): Promise<string | undefined> {
  const request = await serveBehind(dyna)
  return (await request.get('/').expect(200)).headers['x-version']
}

/** Changes the bytes of a file. */
function damage(path: string, change: (content: Buffer) => Buffer): void {
  writeFileSync(path, change(readFileSync(path)), { mode: 0o600 })
}

const DAMAGES: [string, (content: Buffer) => Buffer][] = [
  ['truncated', (content) => content.subarray(0, content.length - 7)],
  ['empty', () => Buffer.alloc(0)],
  [
    'bit-flipped',
    (content) => Buffer.from(content.map((byte, index) => (index === content.length - 20 ? byte ^ 4 : byte))),
  ],
  ['foreign', () => Buffer.from('#!/bin/sh\necho hello\n')],
  ['zeroed', (content) => Buffer.alloc(content.length)],
]

describe('G04', () => {
  test.each(DAMAGES)(
    'G04 a cache file that is %s is set aside, the generation before it is live at once, an event says so',
    async (_, change) => {
      const cache_path = join(makeFolder(), 'cache')
      await fillCache(cache_path, 2)
      damage(cache_path, change)
      const { dyna, errors } = startOffline({ cache_path })
      expect(dyna.status()).toMatchObject({ loaded: true, from: 'cache', version: 1 })
      expect(await versionBehind(dyna)).toBe('1')
      expect(errors).toEqual([
        expect.objectContaining({ section: 'cache', error: expect.objectContaining({ code: 'ERR_DYNACODE_CACHE' }) }),
      ])
      expect(existsSync(`${cache_path}.damaged`)).toBe(true)
    },
  )

  test.each(DAMAGES)(
    'G04 every generation is %s: the start succeeds, and the next document is live and kept',
    async (_, change) => {
      const cache_path = join(makeFolder(), 'cache')
      const api = await fillCache(cache_path, 2)
      for (const file of [cache_path, `${cache_path}.previous`]) damage(file, change)
      const { dyna, errors } = startOffline({ cache_path, plugin_api_uri: api.uri })
      expect(dyna.status()).toMatchObject({ loaded: false, from: null })
      expect(errors).toHaveLength(2)
      expect(await versionBehind(dyna)).toBeUndefined()
      expect(await dyna.refresh()).toMatchObject({ updated: true, version: 2, from: 'network' })
      // With no body there is no tag either.
      expect(api.requests.at(-1)?.headers).not.toHaveProperty('if-none-match')
      await dyna.close()
      expect(startOffline({ cache_path }).dyna.status()).toMatchObject({ version: 2, from: 'cache' })
    },
  )
})

describe('G05', () => {
  const refresh_all = async (dyna: Dynacode, api: PluginApi, from: number, to: number) => {
    for (let version = from; version <= to; version += 1) {
      api.serve(versioned(version), { etag: `"${version}"` })
      expect(await dyna.refresh()).toMatchObject({ updated: true, version, from: 'network' })
      expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    }
  }

  test('G05 a disk that takes nothing: serving and polling go on, and that is told once, not once per poll', async () => {
    const folder = makeFolder()
    // Where a folder should be there is a file: nobody can write below it, whoever they are.
    writeFileSync(join(folder, 'occupied'), '')
    const api = await startPluginApi()
    const { dyna, errors } = startOffline({ plugin_api_uri: api.uri, cache_path: join(folder, 'occupied', 'cache') })
    await refresh_all(dyna, api, 1, 20)
    expect(await versionBehind(dyna)).toBe('20')
    const messages = errors.map(({ error }) => (error as Error).message)
    expect(messages.length).toBeGreaterThan(0)
    expect(new Set(messages).size).toBe(messages.length)
    expect(messages.length).toBeLessThan(10)
  })

  test('G05 a disk that refuses for a while: told when it begins, and again when it begins again', async () => {
    const folder = join(makeFolder(), 'kept')
    const cache_path = join(folder, 'cache')
    const api = await startPluginApi()
    const { dyna, errors } = startOffline({ plugin_api_uri: api.uri, cache_path })
    await refresh_all(dyna, api, 1, 3)
    expect(errors).toEqual([])
    for (const first of [4, 14]) {
      rmSync(folder, { recursive: true })
      writeFileSync(folder, '')
      const before = errors.length
      await refresh_all(dyna, api, first, first + 4)
      const during = errors.length - before
      expect(during).toBeGreaterThan(0)
      await refresh_all(dyna, api, first + 5, first + 7)
      expect(errors.length - before).toBe(during)
      rmSync(folder)
      mkdirSync(folder, { mode: 0o700 })
      await refresh_all(dyna, api, first + 8, first + 9)
    }
    await dyna.close()
    await api.close()
    const again = startOffline({ plugin_api_uri: api.uri, cache_path }).dyna
    expect(again.status()).toMatchObject({ version: 23, from: 'cache' })
  })
})

describe('G07', () => {
  test('G07 the cache holds the exact bytes that were received', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const text = ' {\n\t"domains" : [ ] ,\r\n "zero": 1.0e0, "note": "\\u00e9 é \\/ \u2028" }\n\n'
    const api = await startPluginApi()
    api.answer({ body: text })
    const dyna = createInstance({ plugin_api_uri: api.uri, cache_path })
    await dyna.ready()
    await dyna.close()
    const content = readFileSync(cache_path)
    expect(content.subarray(content.indexOf('\n') + 1)).toEqual(Buffer.from(text))
  })

  const entryOf = (bytes: Buffer) => encodeDocument({ bytes, tag: undefined, version: 9 })
  /** What is wrong with the newest generation, though its file is as it should be. */
  const UNFIT: [string, Buffer, Partial<DynacodeOptions>, string][] = [
    [
      'larger than what is allowed now',
      bytesOf({ ...versioned(9), x: ' '.repeat(100_000) }),
      { plugin_api_max_bytes: 10_000 },
      'ERR_DYNACODE_CACHE',
    ],
    [
      'of more plugins than what is allowed now',
      bytesOf(everywhere(Array.from({ length: 5 }, (_, index) => ({ name: `${index}`, phase: 'log', code: '' })))),
      { max_plugins: 2 },
      'ERR_DYNACODE_DOCUMENT',
    ],
    ['no document', bytesOf({ domains: 'none' }), {}, 'ERR_DYNACODE_DOCUMENT'],
    ['no JSON', Buffer.from('domains'), {}, 'ERR_DYNACODE_DOCUMENT'],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), {}, 'ERR_DYNACODE_DOCUMENT'],
  ]

  test.each(UNFIT)('G07 a cached document that is %s is refused when it is loaded', async (_, bytes, options, code) => {
    const cache_path = join(makeFolder(), 'cache')
    await fillCache(cache_path, 1)
    copyFileSync(cache_path, `${cache_path}.previous`)
    writeFileSync(cache_path, entryOf(bytes))
    const { dyna, errors } = startOffline({ cache_path, ...options })
    expect(dyna.status()).toMatchObject({ from: 'cache', version: 1 })
    expect(errors).toEqual([expect.objectContaining({ section: 'cache', error: expect.objectContaining({ code }) })])
  })

  test('G07 a cached document that no key of ours signed is refused when it is loaded', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const signer = await createSigner('ES256')
    const trusted_keys = { keys: [signer.public_key] }
    await fillCache(cache_path, 1)
    const { dyna, errors } = startOffline({ cache_path, trusted_keys })
    await expect.poll(() => errors.length).toBe(1)
    expect(errors).toEqual([
      expect.objectContaining({ section: 'cache', error: expect.objectContaining({ code: 'ERR_DYNACODE_SIGNATURE' }) }),
    ])
    expect(dyna.status().loaded).toBe(false)
  })
})

describe('G07', () => {
  test('G07 what the cache holds of another API is never served, and an error says so', async () => {
    const cache_path = join(makeFolder(), 'cache')
    await fillCache(cache_path, 2)
    const own = await startPluginApi(versioned(9))
    const { dyna, errors } = startOffline({ plugin_api_uri: own.uri, cache_path })
    expect(dyna.status()).toMatchObject({ loaded: false })
    expect(errors).toMatchObject([
      {
        section: 'cache',
        error: { code: 'ERR_DYNACODE_CACHE', message: expect.stringContaining('another plugin_api_uri') },
      },
      { section: 'cache', error: { code: 'ERR_DYNACODE_CACHE' } },
    ])
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 9, from: 'network' })
    await dyna.close()
    await own.close()
    const again = startOffline({ plugin_api_uri: own.uri, cache_path }).dyna
    expect(again.status()).toMatchObject({ version: 9, from: 'cache' })
  })
})

describe('G08', () => {
  test('G08 after a restart the tag of the document that is live is sent, and a 304 confirms it', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const api = await fillCache(cache_path, 2)
    const { dyna } = startOffline({ cache_path, plugin_api_uri: api.uri })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    expect(api.requests.at(-1)?.headers['if-none-match']).toBe('"2"')
    expect(dyna.status()).toMatchObject({ version: 2, from: 'cache', last_error: null })
  })

  test('G08 where the newest body is lost its tag is, too: that of the one before is sent', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const api = await fillCache(cache_path, 2)
    damage(cache_path, (content) => content.subarray(0, content.indexOf('\n') + 1))
    const { dyna } = startOffline({ cache_path, plugin_api_uri: api.uri })
    expect(dyna.status().version).toBe(1)
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 2 })
    expect(api.requests.at(-1)?.headers['if-none-match']).toBe('"1"')
  })

  test('G08 a body that is there but cannot be used takes its tag with it: a full GET', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const api = await fillCache(cache_path, 2)
    rmSync(`${cache_path}.previous`)
    const bytes = bytesOf({ domains: 'none' })
    writeFileSync(cache_path, encodeDocument({ bytes, tag: '"2"', version: 2 }))
    const { dyna } = startOffline({ cache_path, plugin_api_uri: api.uri })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 2 })
    expect(api.requests.at(-1)?.headers).not.toHaveProperty('if-none-match')
  })

  test('G08 a new tag for the same bytes is kept with them', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const api = await fillCache(cache_path, 1)
    api.serve(versioned(1), { etag: '"anew"' })
    const first = startOffline({ cache_path, plugin_api_uri: api.uri }).dyna
    expect(await first.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    await first.close()
    const second = startOffline({ cache_path, plugin_api_uri: api.uri }).dyna
    await second.refresh()
    expect(api.requests.at(-1)?.headers['if-none-match']).toBe('"anew"')
  })
})

describe('G09', () => {
  test('G09 a cached plugin that no longer compiles never stops the start; the others are live', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const mark = versioned(3).domains[0]?.plugins[0]
    const broken = { name: 'broken', phase: 'access', code: 'this is no JavaScript any more' }
    const bytes = bytesOf({ general: { version: 3 }, domains: [{ name: '*', plugins: [broken, mark] }] })
    writeFileSync(cache_path, encodeDocument({ bytes, tag: '"3"', version: 3 }), { mode: 0o600 })
    const failed: unknown[] = []
    const { dyna, errors } = startOffline({ cache_path, on_compile_fail: ({ plugin }) => failed.push(plugin.name) })
    expect(dyna.status()).toMatchObject({
      loaded: true,
      version: 3,
      plugins: [
        { name: 'mark', state: 'live' },
        { name: 'broken', state: 'refused', error: expect.any(String) },
      ],
    })
    expect(failed).toEqual(['broken'])
    expect(errors).toEqual([])
    expect(await versionBehind(dyna)).toBe('3')
  })

  test('G09 one that guards something lets nobody through until it compiles again', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const broken = { name: 'broken', phase: 'access', code: 'this is no JavaScript any more', on_failure: 'closed' }
    const bytes = bytesOf({ domains: [{ name: '*', plugins: [broken] }] })
    writeFileSync(cache_path, encodeDocument({ bytes, tag: '"3"', version: 3 }), { mode: 0o600 })
    const { dyna } = startOffline({ cache_path })
    const server = createServer(createApp([dyna]).app.callback())
    await listen(server)
    await supertest(server).get('/').expect(503)
  })
})

describe('G36', () => {
  test('G36 a start without network has the document of the cache live before anything else happens', async () => {
    const cache_path = join(makeFolder(), 'cache')
    await fillCache(cache_path, 1)
    const { dyna } = startOffline({ cache_path })
    expect(dyna.status()).toMatchObject({ loaded: true, from: 'cache', version: 1 })
    expect(await dyna.ready(0)).toEqual({ from: 'cache' })
    expect(await versionBehind(dyna)).toBe('1')
  })

  test('G36 a start without network has the bootstrap document where there is no cache, from the app itself or from a file', async () => {
    const folder = makeFolder()
    const file = join(folder, 'bootstrap.json')
    writeFileSync(file, JSON.stringify(versioned(7)))
    for (const bootstrap of [versioned(7), file]) {
      const { dyna } = startOffline({ bootstrap, cache_path: join(folder, 'cache') })
      expect(dyna.status()).toMatchObject({ loaded: true, from: 'bootstrap', version: 7 })
      expect(await versionBehind(dyna)).toBe('7')
      await dyna.close()
    }
    // It is not what the API has: nothing of it is kept.
    expect(existsSync(join(folder, 'cache'))).toBe(false)
  })

  test.each([
    ['is not there', undefined],
    ['is no document', 'hello'],
  ])('G36 a start succeeds though the bootstrap file %s; that is reported', async (_, content) => {
    const file = join(makeFolder(), 'bootstrap.json')
    if (content !== undefined) writeFileSync(file, content)
    const { dyna, errors } = startOffline({ bootstrap: file })
    expect(errors).toMatchObject([{ section: 'bootstrap', error: { code: 'ERR_DYNACODE_DOCUMENT' } }])
    expect(dyna.status().loaded).toBe(false)
  })

  test('G36 a start never has the bootstrap document in place of newer state', async () => {
    const cache_path = join(makeFolder(), 'cache')
    const api = await fillCache(cache_path, 1)
    const bootstrap = versioned(7)
    const cached = startOffline({ cache_path, plugin_api_uri: api.uri, bootstrap }).dyna
    expect(cached.status()).toMatchObject({ from: 'cache', version: 1 })

    // Without a cache it waits for the network, and gives way to it for good.
    const { dyna } = startOffline({ plugin_api_uri: api.uri, bootstrap })
    const seen = record(dyna)
    expect(await dyna.refresh()).toMatchObject({ updated: true, from: 'network', version: 1 })
    api.answer({ status: 500 })
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({ from: 'network', version: 1 })
    expect(payloadsOf(seen, 'bg_updated_plugins')).toHaveLength(1)
    // Nor is the API asked as if the bootstrap document were one of its own.
    expect(api.requests.at(-2)?.headers).not.toHaveProperty('if-none-match')
  })

  test('G45 an app that fails closed and has neither cache nor network lets nobody through', async () => {
    const { dyna } = startOffline({ when_not_loaded: 'closed', cache_path: join(makeFolder(), 'cache') })
    const server = createServer(createApp([dyna]).app.callback())
    await listen(server)
    await supertest(server).get('/').expect(503)
  })
})
