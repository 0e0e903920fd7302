import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { inspect } from 'node:util'
import createDebug from 'debug'
import supertest from 'supertest'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CALLBACKS } from '../../lib/events/table.ts'
import type { Dynacode, DynacodeOptions } from '../../lib/index.ts'
import { createApp, everywhere, listen } from '../fixtures/app.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { createInstance } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'
import { startReceiver } from '../fixtures/receiver.ts'
import { createSigner } from '../fixtures/signing.ts'

const NOBODY = 'http://127.0.0.1:1/plugins.json'
const HOUR = 3_600_000
const signer = await createSigner('ES256', 'ours')
const trusted_keys = { keys: [signer.public_key] }

const inTime = (ms: number) => new Date(Date.now() + ms).toISOString()
const mark = (text: string) => everywhere([{ name: 'mark', phase: 'rewrite', code: `ctx.set('X-Mark', '${text}')` }])
/** A signed document that marks requests with its version, or with what is given. */
const signed = (version: number, { expires = inTime(HOUR), text = `${version}` } = {}) =>
  signer.sign({ ...mark(text), general: { version, expires } })

/** An instance that asks only when told to. */
const start = (options: DynacodeOptions) => createInstance({ plugin_api_poll_at_init: false, trusted_keys, ...options })

/** What the requests to an app behind this instance get: a mark, or a status. */
async function answerBehind(dyna: Dynacode): Promise<string | number> {
  const app = createApp([
    dyna,
    (ctx) => {
      ctx.body = 'app'
    },
  ]).app
  const server = createServer(app.callback())
  await listen(server)
  const response = await supertest(server).get('/')
  return response.status === 200 ? (response.headers['x-mark'] ?? 'none') : response.status
}

/** A folder for a cache, an API, and a document that went through both. */
async function setUp(version: number) {
  const cache_path = join(makeFolder(), 'cache')
  const api = await startPluginApi()
  const options = { plugin_api_uri: api.uri, cache_path }
  const dyna = start(options)
  api.answer({ body: await signed(version) })
  expect(await dyna.refresh()).toMatchObject({ updated: true, version })
  return { api, dyna, cache_path, options }
}

const refusedFor = (code: string) => ({ updated: false, reason: 'untrusted', error: { code } })

describe('G30', () => {
  test('G30 a validly signed but older document is refused, and what was live stays', async () => {
    const { api, dyna } = await setUp(5)
    api.answer({ body: await signed(4) })
    expect(await dyna.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_VERSION'))
    expect(await answerBehind(dyna)).toBe('5')
    expect(dyna.status()).toMatchObject({
      version: 5,
      attempted_version: 4,
      last_error: { code: 'ERR_DYNACODE_VERSION' },
    })
  })

  test('G30 it is refused after a restart, too, and another one', async () => {
    const { api, dyna, options } = await setUp(5)
    await dyna.close()
    api.answer({ body: await signed(4) })
    for (let restart = 0; restart < 2; restart += 1) {
      const again = start(options)
      expect(await again.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_VERSION'))
      expect(again.status()).toMatchObject({ version: 5, from: 'cache' })
      await again.close()
    }
  })

  test('G30 it is refused after a restart that finds none of the documents any more', async () => {
    const { api, dyna, options, cache_path } = await setUp(5)
    await dyna.close()
    rmSync(cache_path)
    api.answer({ body: await signed(4) })
    const again = start(options)
    expect(await again.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_VERSION'))
    expect(again.status().loaded).toBe(false)
    api.answer({ body: await signed(5) })
    expect(await again.refresh()).toMatchObject({ updated: true, version: 5 })
  })

  test('G30 it is refused by another process of the machine that has not seen the newer one itself', async () => {
    const { api, options } = await setUp(5)
    const other = start({ ...options, bootstrap: mark('bootstrap') })
    api.answer({ body: await signed(4) })
    expect(await other.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_VERSION'))
  })

  test('G30 a version that was refused, for being expired or of a stranger, is not the highest ever seen', async () => {
    const { api, dyna } = await setUp(5)
    const stranger = await createSigner('ES256', 'ours')
    const forged = { ...mark('forged'), general: { version: 1000, expires: inTime(HOUR) } }
    api.answer({ body: await stranger.sign(forged) })
    expect(await dyna.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_SIGNATURE'))
    api.answer({ body: await signed(1000, { expires: inTime(-1) }) })
    expect(await dyna.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_EXPIRED'))
    api.answer({ body: await signer.sign({ general: { version: 1000, expires: inTime(HOUR) }, domains: 'none' }) })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'invalid' })
    api.answer({ body: await signed(6) })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 6 })
  })

  test('G30 what goes live is on the disk by then, and so is its version', async () => {
    const { api, dyna, cache_path } = await setUp(5)
    const found: unknown[] = []
    const look = () => {
      const [line = ''] = readFileSync(cache_path, 'utf8').split('\n', 1)
      found.push([dyna.status().version, JSON.parse(line).version, readdirSync(join(cache_path, '..')).sort()])
    }
    dyna.events.on('bg_updated_plugins', look)
    api.answer({ body: await signed(6) })
    await dyna.refresh()
    expect(found).toEqual([[6, 6, ['cache', 'cache.lock', 'cache.previous', 'cache.version-6']]])
  })
})

describe('G31', () => {
  test('G31 the same version with other content is refused and reported', async () => {
    const { api, dyna } = await setUp(5)
    const reported: unknown[] = []
    dyna.events.on('bg_didnt_update_plugins', (payload) => reported.push(payload))
    api.answer({ body: await signed(5, { text: 'other' }) })
    expect(await dyna.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_VERSION'))
    expect(reported).toMatchObject([refusedFor('ERR_DYNACODE_VERSION')].map(({ reason, error }) => ({ reason, error })))
    expect(await answerBehind(dyna)).toBe('5')
  })

  test('G31 so it is after a restart', async () => {
    const { api, dyna, options } = await setUp(5)
    await dyna.close()
    api.answer({ body: await signed(5, { text: 'other' }) })
    const again = start(options)
    expect(await again.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_VERSION'))
    expect(await answerBehind(again)).toBe('5')
  })

  test('G31 the same content signed anew is no other content', async () => {
    const { api, dyna } = await setUp(5)
    const document = { ...mark('5'), general: { version: 6, expires: inTime(HOUR) } }
    api.answer({ body: await signer.sign(document) })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 6 })
    const [one, other] = [await signer.sign(document), await signer.sign(document)]
    // ECDSA never gives the same signature twice.
    expect(one).not.toBe(other)
    for (const body of [one, other]) {
      api.answer({ body })
      await dyna.refresh()
      expect(dyna.status()).toMatchObject({ version: 6, last_error: null })
    }
  })
})

describe('G32', () => {
  test('G32 an expired document is never accepted as new', async () => {
    const { api, dyna } = await setUp(5)
    api.answer({ body: await signed(6, { expires: inTime(-1) }) })
    expect(await dyna.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_EXPIRED'))
    expect(await answerBehind(dyna)).toBe('5')
    const fresh = start({ plugin_api_uri: api.uri })
    expect(await fresh.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_EXPIRED'))
    expect(fresh.status().loaded).toBe(false)
  })

  test.each([
    ['serve', '6'],
    ['closed', 503],
  ] as const)(
    'G32 one that expires while it is live is reported as stale, and with when_stale %j answered with %j',
    async (when_stale, answer) => {
      const api = await startPluginApi()
      const told: unknown[] = []
      const cache_path = join(makeFolder(), 'cache')
      const options = { plugin_api_uri: api.uri, cache_path, when_stale }
      const dyna = start({ ...options, on_stale: ({ reason }) => told.push(reason) })
      api.answer({ body: await signed(6, { expires: inTime(400) }) })
      expect(await dyna.refresh()).toMatchObject({ updated: true })
      expect(await answerBehind(dyna)).toBe('6')
      await expect.poll(() => told).toEqual(['expired'])
      expect(dyna.status()).toMatchObject({ version: 6, stale: true })
      expect(await answerBehind(dyna)).toBe(answer)
      // The API still has it; that makes it no younger.
      expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
      expect(dyna.status().stale).toBe(true)
      await dyna.close()

      // After a restart it is the best there is, and as stale as before.
      const again = start(options)
      expect(await again.ready()).toEqual({ from: 'cache' })
      expect(again.status()).toMatchObject({ version: 6, stale: true })
      expect(await answerBehind(again)).toBe(answer)
      await again.close()

      const last = start(options)
      await last.ready()
      api.answer({ body: await signed(7) })
      expect(await last.refresh()).toMatchObject({ updated: true, version: 7 })
      expect(last.status().stale).toBe(false)
      expect(await answerBehind(last)).toBe('7')
    },
  )
})

describe('G34', () => {
  test('G34 a version that was replaced is not fallen back to when its successor is damaged', async () => {
    const { api, dyna, options, cache_path } = await setUp(5)
    api.answer({ body: await signed(6, { text: 'revoked 5' }) })
    await dyna.refresh()
    await dyna.close()
    expect(readFileSync(`${cache_path}.previous`).includes(JSON.parse(await signed(5)).protected)).toBe(true)
    writeFileSync(cache_path, readFileSync(cache_path).subarray(0, -5))

    const errors: unknown[] = []
    const bootstrap = join(makeFolder(), 'bootstrap.json')
    writeFileSync(bootstrap, await signed(5))
    const again = start({ ...options, bootstrap, on_error: ({ section, error }) => errors.push([section, error]) })
    await expect.poll(() => errors.length).toBe(3)
    expect(errors).toMatchObject([
      ['cache', { code: 'ERR_DYNACODE_CACHE' }],
      ['cache', { code: 'ERR_DYNACODE_VERSION' }],
      ['bootstrap', { code: 'ERR_DYNACODE_VERSION' }],
    ])
    expect(again.status().loaded).toBe(false)
    api.answer({ body: await signed(5) })
    expect(await again.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_VERSION'))
    api.answer({ body: await signed(6, { text: 'revoked 5' }) })
    expect(await again.refresh()).toMatchObject({ updated: true, version: 6 })
  })

  test('G34 nor when the process that fetched its successor was killed before it had taken note of the version', async () => {
    const { api, dyna, options, cache_path } = await setUp(5)
    api.answer({ body: await signed(6) })
    await dyna.refresh()
    await dyna.close()
    renameSync(`${cache_path}.version-6`, `${cache_path}.version-5`)
    const next = start(options)
    await next.ready()
    expect(next.status().version).toBe(6)
    await next.close()
    writeFileSync(cache_path, readFileSync(cache_path).subarray(0, -5))
    api.answer({ body: await signed(5) })
    const last = start(options)
    expect(await last.refresh()).toMatchObject(refusedFor('ERR_DYNACODE_VERSION'))
    expect(last.status().loaded).toBe(false)
  })

  test('G34 nor at a start while another process replaces it, nor is the bootstrap document taken then', async () => {
    const { api, dyna, options, cache_path } = await setUp(5)
    await dyna.close()
    const elsewhere = join(makeFolder(), 'cache')
    api.answer({ body: await signed(6) })
    const other = start({ ...options, cache_path: elsewhere })
    expect(await other.refresh()).toMatchObject({ version: 6 })
    await other.close()

    // It has read version 5, and verifies it.
    const again = start({ ...options, bootstrap: mark('bootstrap') })
    renameSync(elsewhere, cache_path)
    renameSync(`${elsewhere}.version-6`, `${cache_path}.version-6`)
    expect(await again.ready()).toEqual({ from: 'cache' })
    expect(again.status().version).toBe(6)
    expect(await answerBehind(again)).toBe('6')
  })

  test('G34 nor when its successor is refused for what is in it', async () => {
    const { api, dyna, options } = await setUp(5)
    api.answer({ body: await signed(6) })
    await dyna.refresh()
    api.answer({ body: await signer.sign({ general: { version: 7, expires: inTime(HOUR) }, domains: 'none' }) })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'invalid' })
    expect(dyna.status().version).toBe(6)
    await dyna.close()
    const again = start(options)
    await again.ready()
    expect(again.status().version).toBe(6)
  })
})

describe('G35', () => {
  const SECRET = 'hunter2'
  /** Everything that is to be seen of a value, hidden properties and causes included. */
  const show = (value: unknown) =>
    inspect(value, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null })

  /** Where something stands in a text, with some of what is around it. */
  const findIn = (text: string, what: string) => {
    const at = text.indexOf(what)
    return at === -1 ? undefined : text.slice(Math.max(at - 100, 0), at + 50)
  }

  test('G35 secrets appear in no log, event, error, status, report or cache file, whatever goes wrong', async () => {
    const seen: string[] = []
    const { log } = createDebug
    createDebug.log = (...message: unknown[]) => void seen.push(message.map(show).join(' '))
    createDebug.enable('dynacode:*')
    onTestFinished(() => {
      createDebug.disable()
      createDebug.log = log
    })
    const logged: string[] = []
    const note = (fields: object, message: string) => void logged.push(show(fields), message)
    const receiver = await startReceiver()
    const folder = makeFolder()
    const api = await startPluginApi()
    const url = new URL(`${api.uri}?token=${SECRET}`)
    const private_key = signer.private_key.d
    let headers: () => unknown = () => ({
      authorization: `Bearer ${SECRET}`,
      cookie: `a=${SECRET}`,
      'x-api-key': SECRET,
    })
    const dyna = start({
      plugin_api_uri: url.href,
      plugin_api_headers: (() => headers()) as never,
      plugin_api_timeout: 0.3,
      plugin_api_redirects: 1,
      plugin_api_max_bytes: 10_000,
      cache_path: join(folder, 'cache'),
      logger: { debug: note, info: note, warn: note, error: note },
      report_uri: `${receiver.uri}?token=${SECRET}`,
      report_headers: (() => headers()) as never,
      report_interval: 0.01,
      report_timeout: 0.1,
    })
    for (const name of Object.keys(CALLBACKS)) dyna.events.on(name as 'on_error', (payload) => seen.push(show(payload)))

    const good = await signed(1)
    const behaviours: [string, () => void][] = [
      ['a good document', () => api.answer({ body: good, headers: { ETag: '"1"' } })],
      ['unchanged', () => api.serve(JSON.parse(good), { etag: '"1"' })],
      ['401', () => api.answer({ status: 401, headers: { 'WWW-Authenticate': 'Bearer' } })],
      [
        '500 with what was asked',
        () => api.behave(({ headers: asked }, response) => response.writeHead(500).end(JSON.stringify(asked))),
      ],
      [
        'a redirect with the query',
        () =>
          api.behave(({ url: asked }, response) =>
            response.writeHead(302, { Location: `ftp://elsewhere${asked}` }).end(),
          ),
      ],
      [
        'a redirect to nowhere',
        () => api.behave(({ url: asked }, response) => response.writeHead(302, { Location: `http://[${asked}` }).end()),
      ],
      [
        'a redirect to a closed port',
        () =>
          api.behave(({ url: asked }, response) =>
            response.writeHead(302, { Location: `http://127.0.0.1:1${asked}` }).end(),
          ),
      ],
      ['HTML', () => api.answer({ body: '<html>', headers: { 'Content-Type': 'text/html' } })],
      ['no JSON', () => api.answer({ body: 'not found' })],
      ['an unsigned document', () => api.answer({ body: mark('x') })],
      ['another version', async () => api.answer({ body: await signed(0) })],
      ['too much', () => api.answer({ body: ' '.repeat(20_000) })],
      ['a reset', () => api.behave(({ socket }) => socket.destroy())],
      [
        'half an answer',
        () =>
          api.behave(
            (_request, response) =>
              void response.writeHead(200, { 'Content-Length': 100 }).write('{', () => response.destroy()),
          ),
      ],
      ['no answer', () => api.behave(() => undefined)],
      [
        'headers that cannot be sent',
        () => {
          headers = () => ({ authorization: `Bearer ${SECRET}\n`, 'x-ok': SECRET })
        },
      ],
      [
        'headers that are none',
        () => {
          headers = () => `Bearer ${SECRET}`
        },
      ],
    ]
    for (const [what, behave] of behaviours) {
      await behave()
      seen.push(show(await dyna.refresh()), show(dyna.status()), JSON.stringify(dyna.status()))
      const count = receiver.reports.length
      // What makes headers fail keeps reports from being sent.
      if (!what.startsWith('headers')) await receiver.got(count + 2)
    }
    expect(receiver.requests.every(({ headers: sent }) => sent['x-api-key'] === SECRET)).toBe(true)
    receiver.answer((response, { url: asked }) =>
      response.writeHead(302, { Location: `http://127.0.0.1:1${asked}` }).end(),
    )
    await api.close()
    headers = () => ({ authorization: SECRET })
    seen.push(show(await dyna.refresh()), show(await dyna.ready().catch((error: unknown) => error)))
    await expect.poll(() => logged.some((line) => line.includes("section: 'report'"))).toBe(true)
    await dyna.close()
    seen.push(...receiver.bodies)
    expect(seen.length).toBeGreaterThan(behaviours.length * 3)
    expect(logged.length).toBeGreaterThan(behaviours.length)
    seen.push(...logged)
    for (const file of readdirSync(folder)) seen.push(file, readFileSync(join(folder, file), 'latin1'))
    expect(seen.flatMap((text) => findIn(text, SECRET) ?? findIn(text, private_key) ?? [])).toEqual([])
  })

  test('G35 secrets appear in no error of the options', () => {
    const WRONG: object[] = [
      { plugin_api_uri: `ftp://user:${SECRET}@api.test/` },
      { plugin_api_uri: `http://user:${SECRET}@api.test/` },
      { plugin_api_uri: `//api.test/?token=${SECRET}` },
      { plugin_api_uri: NOBODY, plugin_api_headers: { authorization: `${SECRET}\r\n` } },
      { plugin_api_uri: NOBODY, plugin_api_headers: { authorization: [SECRET] } },
      { plugin_api_uri: NOBODY, plugin_api_headers: `Bearer ${SECRET}` },
      { plugin_api_uri: NOBODY, trusted_keys: { keys: [{ ...signer.public_key, d: SECRET }] } },
      { plugin_api_uri: NOBODY, trusted_keys: SECRET },
      { plugin_api_uri: NOBODY, report_uri: `http://user:${SECRET}@api.test/` },
      { plugin_api_uri: NOBODY, report_uri: `//api.test/?token=${SECRET}` },
      { plugin_api_uri: NOBODY, report_headers: { authorization: `${SECRET}\r\n` } },
      { plugin_api_uri: NOBODY, trusted_keys: { keys: [{ kty: 'oct', k: SECRET, alg: 'HS256' }] } },
    ]
    for (const options of WRONG) {
      let thrown: unknown
      try {
        start(options as DynacodeOptions)
      } catch (error) {
        thrown = error
      }
      expect(thrown).toMatchObject({ code: 'ERR_DYNACODE_OPTION' })
      expect(show(thrown)).not.toContain(SECRET)
    }
  })

  test('G35 a plugin’s own code and parameters are in no event, log or status', async () => {
    const api = await startPluginApi()
    const code = `const secret = '${SECRET}'; ctx.set('X-Mark', 'ran')`
    const plugins = [{ name: 'a', phase: 'rewrite', code, params: { token: SECRET } }]
    api.answer({
      body: await signer.sign({ ...everywhere(plugins as never), general: { version: 1, expires: inTime(HOUR) } }),
    })
    const seen: string[] = []
    const note = (fields: object) => void seen.push(show(fields))
    const dyna = start({ plugin_api_uri: api.uri, logger: { debug: note, info: note, warn: note, error: note } })
    for (const name of Object.keys(CALLBACKS)) dyna.events.on(name as 'on_error', (payload) => seen.push(show(payload)))
    await dyna.refresh()
    expect(await answerBehind(dyna)).toBe('ran')
    await wait(10)
    expect(seen.length).toBeGreaterThan(8)
    expect([...seen, show(dyna.status())].flatMap((text) => findIn(text, SECRET) ?? [])).toEqual([])
  })
})
