import { once } from 'node:events'
import { Agent, request as send } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import Koa from 'koa'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Dynacode, DynacodeOptions, EventName } from '../../lib/index.ts'
import {
  createDeferred,
  everywhere,
  listen,
  type PluginFields,
  plugin,
  startApp,
  type TestApp,
} from '../fixtures/app.ts'
import { createInstance, createReadyInstance, payloadsOf, record } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'
import { tries } from '../fixtures/tries.ts'

/** A document whose one plugin writes the version into a header. */
const versioned = (version: number, fields: object = {}) => ({
  general: { version },
  ...everywhere([{ name: 'mark', phase: 'rewrite', code: `ctx.set('X-Version', '${version}')`, ...fields }]),
})

/** The version that a request sees. */
async function seenVersion({ request }: TestApp): Promise<number | undefined> {
  const seen: string | undefined = (await request.get('/').expect(200)).headers['x-version']
  return seen === undefined ? undefined : Number(seen)
}

const BAD_BODIES: [string, object][] = [
  ['no JSON', { body: 'not found' }],
  ['half of a document', { body: JSON.stringify(versioned(2)).slice(0, -9) }],
  ['a document without domains', { body: { general: { version: 2 } } }],
  ['a document that is too large', { body: versioned(2, { code: ' '.repeat(10_000) }) }],
  ['no UTF-8', { body: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]) }],
  ['a broken encoding', { body: versioned(2), headers: { 'Content-Encoding': 'gzip' } }],
  ['a page of HTML', { body: '<html>', headers: { 'Content-Type': 'text/html' } }],
  ['an error status', { body: versioned(2), status: 500 }],
]

test.each(BAD_BODIES)('G10 %s with an ETag, and then a good document with the same ETag: applied', async (_, bad) => {
  const api = await startPluginApi()
  api.serve(versioned(1), { etag: '"first"' })
  const dyna = await createReadyInstance({ plugin_api_uri: api.uri, plugin_api_max_bytes: 5000 })

  api.answer({ ...bad, etag: '"second"' })
  expect(await dyna.refresh()).toMatchObject({ updated: false })
  api.serve(versioned(3), { etag: '"second"' })
  expect(await dyna.refresh()).toMatchObject({ updated: true, version: 3 })
  expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
  // Only what went live is ever named to the API.
  expect(api.requests.map(({ headers }) => headers['if-none-match'])).toEqual([
    undefined,
    '"first"',
    '"first"',
    '"second"',
  ])
})

describe('G11', () => {
  test('G11 a 304 changes nothing, and clears an earlier error from the status', async () => {
    const api = await startPluginApi()
    api.serve(versioned(1), { etag: '"first"' })
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
    const before = dyna.status()
    api.answer({ status: 500 })
    await dyna.refresh()
    expect(dyna.status().last_error).toMatchObject({ code: 'ERR_DYNACODE_FETCH_STATUS' })

    const seen = record(dyna)
    api.serve(versioned(1), { etag: '"first"' })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    expect(seen.map(({ name }) => name)).toEqual(['bg_cache_miss', 'bg_fetch_api_success', 'bg_didnt_update_plugins'])
    expect(payloadsOf(seen, 'bg_fetch_api_success')).toMatchObject([{ status: 304, bytes: 0 }])
    const { validated_at, ...after } = dyna.status()
    expect({ ...after, next_poll_at: null, validated_at: null }).toEqual({
      ...before,
      next_poll_at: null,
      validated_at: null,
    })
    expect(validated_at).toBeGreaterThan(before.validated_at as number)
  })

  test('G11 a 304 to a process that has nothing is an error, and the next request is a full GET', async () => {
    const api = await startPluginApi()
    api.answer({ status: 304, headers: { ETag: '"first"' } })
    const dyna = createInstance({ plugin_api_uri: api.uri })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'fetch' })
    expect(dyna.status()).toMatchObject({ loaded: false, last_error: { code: 'ERR_DYNACODE_FETCH_STATUS' } })
    api.serve(versioned(1), { etag: '"first"' })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 1 })
    expect(api.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, undefined])
  })

  test('G11 a 304 that was not asked for is an error, the live document stays, and the next request is a full GET', async () => {
    const api = await startPluginApi(versioned(1))
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
    api.answer({ status: 304 })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'fetch' })
    expect(dyna.status().version).toBe(1)
    api.serve(versioned(2))
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 2 })
    expect(api.requests.every(({ headers }) => headers['if-none-match'] === undefined)).toBe(true)
  })

  test('G11 a source of the app that says `unchanged` before anything is live is not believed', async () => {
    const tags: unknown[] = []
    const bytes = Buffer.from(JSON.stringify(versioned(1)))
    const dyna = createInstance({
      source: {
        fetch: async (_signal, last) => {
          tags.push(last)
          return tags.length === 1 ? { unchanged: true } : { bytes }
        },
      },
    })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'fetch' })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 1 })
    expect(tags).toEqual([undefined, undefined])
  })
})

describe('G12', () => {
  const PHASES = ['rewrite', 'access', 'content', 'balancer', 'header_filter'] as const
  const ENCODERS = { identity: (text: Buffer) => text, gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }

  /** A document with a plugin in each of these phases, each of which adds the version to a header. */
  const documentOf = (version: number) => ({
    general: { status: 'enabled', version },
    domains: [
      { name: '*', plugins: [{ id: 1 }, { id: 2 }, ...PHASES.slice(2).map((phase) => markIn(phase, version))] },
      { name: 'other.test', plugins: [markIn('log', version)] },
    ],
    plugins: PHASES.slice(0, 2).map((phase, index) => ({ id: index + 1, ...markIn(phase, version) })),
  })
  const markIn = (phase: string, version: number) => ({
    name: `mark-${phase}`,
    phase,
    code: `ctx.append('X-Seen', '${phase} ${version}')`,
    priority: 0,
    params: { limit: 5 },
  })

  /** A server that answers every request with the same bytes; what they mean is the client's to find out. */
  async function startRawApi() {
    const state = { answer: Buffer.alloc(0), keep: false }
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
      socket.on('data', (data) => {
        if (!data.includes('\r\n\r\n')) return
        if (state.keep) socket.write(state.answer)
        else socket.end(state.answer)
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    return { state, uri: `http://127.0.0.1:${(server.address() as { port: number }).port}/` }
  }

  interface Case {
    readonly raw: Buffer
    readonly keep: boolean
    /** The version that must be live after it; undefined where that is for the comparison to tell. */
    readonly version?: number
    /** Whether nothing may change. */
    readonly refused?: boolean
  }

  let made = 0
  const header = (name: string, value: string) => `${name}: ${value}\r\n`
  const respond = (status: string, headers: string, body: Buffer) =>
    Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${headers}\r\n`, 'latin1'), body])

  const value = fc.stringMatching(/^[\x20-\x7e]{0,20}$/)
  const tag = fc.oneof(
    fc.constant(''),
    value.map((text) => header('ETag', `"${text}"`)),
    value.map((text) => header('ETag', text)),
    fc.constant(header('ETag', '"caf\u00e9"')),
  )
  const encoding = fc.constantFrom(...(Object.keys(ENCODERS) as (keyof typeof ENCODERS)[]))
  const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
  const junk = fc.oneof(
    fc.constant(''),
    fc
      .tuple(fc.constantFrom('Retry-After', 'Location', 'Content-Type', 'Vary', 'Date', 'Set-Cookie'), value)
      .map(([name, text]) => header(name, text)),
    fc.constantFrom('A: b\r\n'.repeat(500), 'X-Empty:\r\n', 'Content-Type: text/html\r\n'),
  )
  /** Status lines: mostly one that lets the body be looked at. */
  const status = fc.oneof(
    { arbitrary: fc.constant('200 OK'), weight: 6 },
    { arbitrary: fc.integer({ min: 100, max: 999 }).map((code) => `${code} x`), weight: 3 },
    { arbitrary: fc.constantFrom('304 x', '204 x', '206 x', '301 x', '401 x', '000 x', '99999 x', 'abc'), weight: 1 },
  )

  /** A document as it should come: must be live afterwards. */
  const good = fc
    .record({ tag, encoding, keep: fc.boolean(), junk: fc.constantFrom('', 'Vary: a\r\n') })
    .map((given): Case => {
      made += 1
      const body = ENCODERS[given.encoding](Buffer.from(JSON.stringify(documentOf(made))))
      const headers = `${given.tag}${given.junk}${header('Content-Encoding', given.encoding)}${header('Content-Length', String(body.length))}`
      return { raw: respond('200 OK', headers, body), keep: given.keep, version: made }
    })

  /** What no client can take for a document: nothing may change. */
  const cut = fc
    .record({ encoding, at: fc.double({ min: 0, max: 0.999, noNaN: true }), honest: fc.boolean() })
    .map((given): Case => {
      made += 1
      const whole = ENCODERS[given.encoding](Buffer.from(JSON.stringify(documentOf(made))))
      const body = whole.subarray(0, Math.floor(whole.length * given.at))
      const length = header('Content-Length', String(given.honest ? body.length : whole.length))
      const headers = `${header('Content-Encoding', given.encoding)}${length}`
      return { raw: respond('200 OK', headers, body), keep: false, refused: true }
    })

  /** A document with something changed in its bytes: whatever that makes of it. */
  const bent = fc
    .array(fc.tuple(fc.nat({ max: 5000 }), fc.constantFrom('flip', 'cut', 'add'), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 4,
    })
    .map((changes): Case => {
      made += 1
      const body = [...Buffer.from(JSON.stringify(documentOf(made)))]
      for (const [at, how, byte] of changes) {
        const index = at % body.length
        if (how === 'flip') body[index] = byte
        else if (how === 'cut') body.splice(index, 1 + (byte % 40))
        else body.splice(index, 0, byte)
      }
      return { raw: respond('200 OK', header('Content-Length', String(body.length)), Buffer.from(body)), keep: false }
    })

  /** A document with a part of it replaced by any JSON at all. */
  const grafted = fc
    .record({
      path: fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 6 }),
      graft: fc.jsonValue({ maxDepth: 3 }),
      tag,
    })
    .map(({ path, graft, tag: etag }): Case => {
      made += 1
      const document: unknown = documentOf(made)
      let at = document as Record<string, unknown>
      for (const [index, step] of path.entries()) {
        const keys = Object.keys(at)
        const key = keys[step % keys.length]
        if (key === undefined) break
        if (index < path.length - 1 && typeof at[key] === 'object' && at[key] !== null) at = at[key] as typeof at
        else {
          at[key] = graft
          break
        }
      }
      const body = Buffer.from(JSON.stringify(document))
      return { raw: respond('200 OK', `${etag}${header('Content-Length', String(body.length))}`, body), keep: false }
    })

  /** A well-formed answer of any status, headers and body. */
  const odd = fc
    .record({
      status,
      tag,
      junk,
      junk2: junk,
      encoding: fc.oneof(encoding, value),
      body: fc.oneof(
        bytes,
        fc.json().map((text) => Buffer.from(text)),
      ),
      length: fc.oneof(fc.constant(undefined), fc.integer({ min: -1, max: 400 })),
    })
    .map((given): Case => {
      const length = given.length === undefined ? '' : header('Content-Length', String(given.length))
      const headers = `${given.tag}${given.junk}${given.junk2}${header('Content-Encoding', given.encoding)}${length}`
      return { raw: respond(given.status, headers, given.body), keep: false }
    })

  /** Whatever bytes a socket can bring. */
  const noise = fc
    .oneof(
      bytes,
      value.map((text) => Buffer.from(`HTTP/1.1 ${text}\r\n\r\n`)),
      fc.constant(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n{')),
    )
    .map((raw): Case => ({ raw, keep: false }))

  const anything = fc.oneof(
    { arbitrary: good, weight: 3 },
    { arbitrary: cut, weight: 2 },
    { arbitrary: bent, weight: 4 },
    { arbitrary: grafted, weight: 4 },
    { arbitrary: odd, weight: 4 },
    { arbitrary: noise, weight: 2 },
  )

  const { numRuns: cases } = tries(200)

  test('G12 after any answer of the API, the live program is the old one or wholly the new one', async () => {
    const raw = await startRawApi()
    raw.state.answer = respond('200 OK', '', Buffer.from(JSON.stringify(documentOf(0))))
    // Neither a deadline nor a breaker: code that was bent may throw, and a busy machine may be slow.
    const options: DynacodeOptions = {
      plugin_api_uri: raw.uri,
      plugin_api_max_bytes: 20_000,
      plugin_api_timeout: 60,
      breaker_failures: 0,
    }
    const dyna = await createReadyInstance(options)
    const app = new Koa().use(dyna).use((ctx) => {
      ctx.body = 'app'
    })
    app.silent = true
    const { createServer: createHttpServer } = await import('node:http')
    const port = await listen(createHttpServer(app.callback()))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const counts = { updated: 0, refused: 0, mixed: 0 }

    const live = () => {
      const { version, from, since, plugins } = dyna.status()
      return { version, from, since, plugins }
    }
    /** What each plugin adds to the header of a response. */
    const ask = async (): Promise<readonly string[]> => {
      const response = await new Promise<{ headers: NodeJS.Dict<string | string[]> }>((resolve, reject) => {
        send({ port, host: '127.0.0.1', agent }, (answer) => answer.resume().on('end', () => resolve(answer)))
          .on('error', reject)
          .end()
      })
      return String(response.headers['x-seen'] ?? '').split(', ')
    }

    let answered = await ask()
    async function check({ raw: answer, keep, version, refused }: Case): Promise<void> {
      const before = live()
      Object.assign(raw.state, { answer, keep })
      const refresh = await dyna.refresh()
      if (version !== undefined) expect(refresh).toMatchObject({ updated: true, version })
      if (refused === true) expect(refresh.updated).toBe(false)
      if (!refresh.updated) {
        counts.refused += 1
        expect(live()).toEqual(before)
        expect(await ask()).toEqual(answered)
        return
      }
      counts.updated += 1
      answered = await ask()
      if (version !== undefined) {
        expect(answered).toEqual(PHASES.map((phase) => `${phase} ${version}`))
        expect(live().plugins.map(({ state }) => state)).toEqual(Array(6).fill('live'))
        return
      }
      // Who starts with this document gets its plugins and no others; only what is refused may live on as it was.
      const fresh = createInstance(options)
      await fresh.refresh()
      const keyOf = ({ domain, name, phase }: (typeof before.plugins)[number]) => JSON.stringify([domain, name, phase])
      const running = (instance: Dynacode) => instance.status().plugins.filter(({ sha1 }) => sha1 !== null)
      const expected = new Map(running(fresh).map((one) => [keyOf(one), one]))
      expect(fresh.status()).toMatchObject({ loaded: true, version: refresh.version })
      for (const one of running(dyna)) {
        const wanted = expected.get(keyOf(one))
        if (wanted !== undefined && one.state !== 'last_good') {
          expect(one).toEqual(wanted)
          expected.delete(keyOf(one))
          continue
        }
        counts.mixed += 1
        expect(one).toMatchObject({ state: 'last_good', error: expect.any(String) })
        const earlier = before.plugins.find(({ sha1, domain }) => sha1 === one.sha1 && domain === one.domain)
        expect(earlier).toBeDefined()
      }
      expect([...expected.keys()]).toEqual([])
      await fresh.close()
    }

    const legible = anything.map((one) => ({
      ...one,
      [fc.toStringMethod]: () => JSON.stringify(one.raw.toString('latin1')),
    }))
    await fc.assert(fc.asyncProperty(legible, check), tries(200))
    // The cases did what they are for.
    expect(counts.updated).toBeGreaterThan(cases / 6)
    expect(counts.refused).toBeGreaterThan(cases / 6)
    expect(counts.mixed).toBeGreaterThan(cases / 100)
  })
})

test('G13 2 000 requests in flight over many swaps each see one version in all their phases', async () => {
  const phases = ['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'] as const
  const passed: number[][] = []
  const stopped = createDeferred()
  const reached = { count: 0 }
  const all = createDeferred()
  const stop = (where: string, path: string) => {
    if (path !== `/${where}`) return undefined
    reached.count += 1
    if (reached.count === 2000) all.resolve()
    return stopped.promise
  }
  const documentOf = (version: number) =>
    everywhere(
      phases.map((phase) => {
        const note = `(ctx.state.versions ??= []).push(${version});`
        const end = phase === 'log' ? 'done(ctx.state.versions)' : `await stop('${phase}', ctx.path)`
        return { name: phase, phase, code: note + end }
      }),
    )
  const globals = { stop, done: (versions: number[]) => void passed.push(versions) }
  const { port, serve, errors } = await startApp({
    document: documentOf(0),
    options: { globals, timeout_ms: 60_000 },
    inner: async (ctx) => {
      await stop('app', ctx.path)
      ctx.body = 'app'
    },
  })
  const agent = new Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  const ask = (path: string) =>
    new Promise<number>((resolve, reject) => {
      send({ port, host: '127.0.0.1', agent, path }, (response) =>
        response.resume().on('end', () => resolve(response.statusCode ?? 0)),
      )
        .on('error', reject)
        .end()
    })

  const places = ['rewrite', 'access', 'content', 'balancer', 'app', 'header_filter', 'body_filter']
  const asked = Array.from({ length: 2000 }, (_, index) => ask(`/${places[index % places.length]}`))
  await all.promise
  for (let version = 1; version <= 20; version += 1) await serve(documentOf(version))
  await ask('/')
  stopped.resolve()
  expect(new Set(await Promise.all(asked))).toEqual(new Set([200]))
  await expect.poll(() => passed.length).toBe(2001)

  expect(errors).toEqual([])
  expect(passed.filter((versions) => versions.join() === '0,0,0,0,0,0,0')).toHaveLength(2000)
  expect(passed.filter((versions) => versions.join() === '20,20,20,20,20,20,20')).toHaveLength(1)
})

describe('G14', () => {
  const named = (name: string, code: string): PluginFields => ({ name, phase: 'rewrite', code })
  const mark = (name: string, version: number) => named(name, `ctx.append('X-Seen', '${name}${version}')`)
  const seenBy = async ({ request }: TestApp) => (await request.get('/').expect(200)).headers['x-seen']

  test('G14 one of many plugins does not compile: it keeps its last good code, the others update', async () => {
    const app = await startApp({ plugins: [mark('a', 1), mark('b', 1), mark('c', 1)] })
    const seen = record(app.dyna)
    await app.serve(everywhere([mark('a', 2), named('b', 'this is no JavaScript'), mark('c', 2), mark('d', 2)]))
    expect(await seenBy(app)).toBe('a2, b1, c2, d2')
    expect(payloadsOf(seen, 'bg_compile_error')).toMatchObject([{ plugin: { name: 'b' }, kept_last_good: true }])
    expect(app.dyna.status().plugins).toMatchObject([
      { name: 'a', state: 'live', error: null },
      { name: 'b', state: 'last_good', error: expect.stringContaining('b') },
      { name: 'c', state: 'live', error: null },
      { name: 'd', state: 'live', error: null },
    ])
    // Nor does it lose it to the next document that has the same fault, or another one.
    await app.serve(everywhere([named('b', 'nor is this'), mark('a', 3)]))
    expect(await seenBy(app)).toBe('b1, a3')
    await app.serve(everywhere([mark('b', 4)]))
    expect(await seenBy(app)).toBe('b4')
  })

  test('G14 a removed plugin really goes, and a last good one with it', async () => {
    const app = await startApp({ plugins: [mark('a', 1), mark('b', 1)] })
    await app.serve(everywhere([mark('a', 1), named('b', 'this is no JavaScript')]))
    expect(await seenBy(app)).toBe('a1, b1')
    await app.serve(everywhere([mark('a', 1)]))
    expect(await seenBy(app)).toBe('a1')
    expect(app.dyna.status().plugins).toMatchObject([{ name: 'a' }])
    // What comes back under its name is new: there is nothing to fall back to.
    await app.serve(everywhere([mark('a', 1), named('b', 'this is no JavaScript')]))
    expect(await seenBy(app)).toBe('a1')
    await app.serve({ domains: [] })
    expect(await seenBy(app)).toBeUndefined()
    expect(app.dyna.status().plugins).toEqual([])
  })
})

describe('G15', () => {
  const many = (count: number, general: object = {}) => ({
    general,
    ...everywhere(
      Array.from({ length: count }, (_, index) => ({ name: `p${index}`, phase: 'access' as const, code: '' })),
    ),
  })

  test('G15 a document that drops more than the given share of the plugins is held and reported', async () => {
    const { dyna, api, serve } = await startApp({ document: many(10), options: { max_removed_ratio: 0.5 } })
    const seen = record(dyna)
    const error = expect.objectContaining({
      code: 'ERR_DYNACODE_HELD',
      message: expect.stringMatching(/drops 6 of 10 plugins.*max_removed_ratio/),
    })
    api.serve(many(4, { version: 7 }), { etag: '"few"' })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'held', error })
    expect(payloadsOf(seen, 'bg_didnt_update_plugins')).toMatchObject([{ reason: 'held', error }])
    expect(dyna.status()).toMatchObject({ attempted_version: 7, last_error: { code: 'ERR_DYNACODE_HELD' } })
    expect(dyna.status().plugins).toHaveLength(10)

    // Nor does it get in little by little, or by asking again.
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'held' })
    await serve(many(5))
    expect(dyna.status().plugins).toHaveLength(5)
  })

  test('G15 the document may say that it means it', async () => {
    const { dyna, api, serve } = await startApp({ document: many(10), options: { max_removed_ratio: 0 } })
    api.serve({ domains: [] })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'held' })
    await serve({ general: { allow_removal: true }, domains: [] })
    expect(dyna.status()).toMatchObject({ plugins: [], last_error: null })
  })

  test('G15 what only stands in for a plugin that never compiled is none of those that are live', async () => {
    const broken = { name: 'broken', phase: 'access' as const, code: 'this is no JavaScript', on_failure: 'closed' }
    const document = everywhere([{ name: 'good', phase: 'access', code: '' }, broken])
    const { dyna, api } = await startApp({ document, options: { max_removed_ratio: 0.5 } })
    api.serve(everywhere([broken]))
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'held' })
    expect(dyna.status().plugins).toMatchObject([{ name: 'good', state: 'live' }, { state: 'guarded' }])
  })

  test('G15 without the option, any document may drop all of them', async () => {
    const { dyna, serve } = await startApp({ document: many(10) })
    await serve({ domains: [] })
    expect(dyna.status().plugins).toEqual([])
  })
})

describe('G16', () => {
  const PROTOTYPES = [Object, Array, Function, String, Number, Boolean, Promise, Error, RegExp, Map, Set].map(
    ({ prototype }) => prototype as object,
  )
  /** What every built-in prototype holds: keys, values, accessors. */
  const snapshot = () =>
    PROTOTYPES.flatMap((prototype) =>
      Reflect.ownKeys(prototype).flatMap((key) => {
        const { value, get, set } = Reflect.getOwnPropertyDescriptor(prototype, key) ?? {}
        return [key, value, get, set]
      }),
    )
  const expectSame = (now: readonly unknown[], before: readonly unknown[]) => {
    expect(now).toHaveLength(before.length)
    expect(now.filter((part, index) => !Object.is(part, before[index]))).toEqual([])
  }
  const nest = (depth: number, open: string, close: string) => `${open.repeat(depth)}1${close.repeat(depth)}`
  const withPlugin = (fields: string) =>
    `{"domains":[{"name":"*","plugins":[{"name":"next","phase":"rewrite","code":"ctx.set('X-Version','2')",${fields}}]}]}`

  const HOSTILE: [string, string][] = [
    ['__proto__ as the document’s key', '{"__proto__":{"polluted":1},"domains":[]}'],
    ['__proto__ as a plugin’s key', withPlugin('"__proto__":{"polluted":1}')],
    ['__proto__ inside params', withPlugin('"params":{"a":{"__proto__":{"polluted":1}}}')],
    ['__proto__ behind an escape', withPlugin('"params":{"\\u005f_proto__":{"polluted":1}}')],
    ['constructor.prototype', withPlugin('"constructor":{"prototype":{"polluted":1}}')],
    ['constructor.prototype inside params', withPlugin('"params":{"constructor":{"prototype":{"polluted":1}}}')],
    [
      'prototype names as names',
      '{"domains":[{"name":"__proto__","plugins":[]},{"name":"constructor","plugins":[{"name":"toString","phase":"rewrite","code":""}]}]}',
    ],
    ['prototype names as phases', withPlugin('"phase":"__proto__"').replace('"phase":"rewrite",', '')],
    [
      'prototype names as ids',
      '{"domains":[{"name":"*","plugins":["__proto__",{"id":"constructor"}]}],"plugins":[{"id":"hasOwnProperty","name":"x","phase":"rewrite","code":""}]}',
    ],
    ['the same key twice', '{"domains":1,"domains":[],"general":null,"general":{"status":"enabled"}}'],
    [
      'the same plugin twice',
      '{"domains":[{"name":"*","plugins":[{"name":"a","phase":"log","code":""},{"name":"a","phase":"log","code":""}]}]}',
    ],
    ['the same domain twice', '{"domains":[{"name":"*","plugins":[]},{"name":"*","plugins":[]}]}'],
    ['arrays 10 000 deep', `{"domains":[],"x":${nest(10_000, '[', ']')}}`],
    ['objects 10 000 deep', `{"domains":[],"x":${nest(10_000, '{"a":', '}')}}`],
    ['params 10 000 deep', withPlugin(`"params":{"a":${nest(10_000, '[', ']')}}`)],
    ['a condition 10 000 deep', withPlugin(`"when":${nest(10_000, '{"not":', '}')}`)],
    ['nothing but brackets', nest(10_000, '[', ']')],
    ['a name of 2 MB', withPlugin('"id":1').replace('"next"', `"${'n'.repeat(2_000_000)}"`)],
    ['a domain name of 2 MB', `{"domains":[{"name":"${'(a+)+'.repeat(400_000)}","plugins":[]}]}`],
    ['numbers out of range', withPlugin('"priority":1e999,"budget_ms":-1,"timeout_ms":1e308')],
    ['null', 'null'],
    ['a number', '42'],
    ['a string', '"domains"'],
    ['an empty array', '[]'],
    ['half a surrogate pair', withPlugin('"id":"\\ud800"')],
    ['NUL', withPlugin('"id":"\\u0000"')],
  ]

  test.each(HOSTILE)('G16 %s: rejected or ignored by rule, and no prototype changes', async (_, text) => {
    const app = await startApp({ document: versioned(1) })
    const before = snapshot()
    const seen = record(app.dyna)
    app.api.answer({ body: text })
    const refresh = await app.dyna.refresh()
    expectSame(snapshot(), before)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    if (!refresh.updated) {
      expect(refresh).toMatchObject({ reason: 'invalid', error: { code: 'ERR_DYNACODE_DOCUMENT' } })
      expect(await seenVersion(app)).toBe(1)
      return
    }
    // Whatever of it is not used has been named.
    expect(refresh.failed).toBe([...payloadsOf(seen, 'bg_compile_error'), ...payloadsOf(seen, 'on_error')].length)
    await app.request.get('/').expect(200)
    await app.request.get('/').set('Host', '__proto__').expect(200)
    await app.request.get('/').set('Host', 'constructor').expect(200)
    expectSame(snapshot(), before)
    await app.serve(versioned(3))
    expect(await seenVersion(app)).toBe(3)
  })

  const WHOLE = {
    general: {
      status: 'enabled',
      skip_domains: ['skipped.test'],
      version: 2,
      expires: '2999-01-01T00:00:00Z',
      allow_removal: false,
    },
    domains: [
      { name: '*', plugins: [{ id: 1, params: { a: 1 } }, 1] },
      {
        name: 'a.test',
        plugins: [
          {
            id: 2,
            name: 'whole',
            phase: 'rewrite',
            code: `ctx.set('X-Version', '2')`,
            enabled: true,
            mode: 'live',
            shadow_allows: ['store'],
            when: { method: 'GET' },
            rollout: { percent: 100 },
            starts_at: '2000-01-01T00:00:00Z',
            expires_at: '2999-01-01T00:00:00Z',
            params: { a: { b: 1 } },
            priority: 1,
            on_failure: 'open',
            guard: 'on',
            budget_ms: 50,
            timeout_ms: 50,
          },
        ],
      },
    ],
    plugins: [{ id: 1, name: 'shared', phase: 'access', variants: [{ name: 'x', code: '', percent: 100 }] }],
  }

  /** Every place of a value: the path to it. */
  function* pathsOf(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
    yield path
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) yield* pathsOf(inner, [...path, key])
  }

  function replaceAt(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
    if (key === undefined) return by
    const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>
    copy[key] = replaceAt(copy[key], rest, by)
    return copy
  }

  const hostile: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')
  const REPLACEMENTS: unknown[] = [null, 0, -1, 1.5, '', '__proto__', true, [], {}, [null], hostile]

  test('G16 null, numbers, strings and lists in every place of a document: rejected or ignored by rule', async () => {
    const app = await startApp({ document: versioned(1) })
    const before = snapshot()
    let [updated, refused] = [0, 0]
    for (const path of pathsOf(WHOLE)) {
      for (const by of REPLACEMENTS) {
        app.api.serve(replaceAt(WHOLE, path, by))
        const refresh = await app.dyna.refresh()
        if (refresh.updated) updated += 1
        else {
          refused += 1
          // Some replacements leave the document as it is live already.
          if (refresh.reason !== 'unchanged') expect(refresh.error).toMatchObject({ code: 'ERR_DYNACODE_DOCUMENT' })
        }
      }
      await app.request.get('/').set('Host', 'a.test').expect(200)
    }
    expectSame(snapshot(), before)
    expect(updated).toBeGreaterThan(300)
    expect(refused).toBeGreaterThan(20)
    await app.serve(versioned(3))
    expect(await seenVersion(app)).toBe(3)
  })
})

describe('G17', () => {
  const domains = (count: number) => ({
    domains: Array.from({ length: count }, (_, index) => ({ name: `${index}.test`, plugins: [] as unknown[] })),
  })
  const code = (bytes: number) => everywhere([plugin('rewrite', `/*${'é'.repeat((bytes - 4) / 2)}*/`)])
  const plugins = (count: number) => everywhere(Array.from({ length: count }, () => plugin('rewrite', '')))
  const sized = (bytes: number) => {
    const bare = JSON.stringify({ domains: [], x: '' })
    return { domains: [], x: ' '.repeat(bytes - bare.length) }
  }
  const alike = (count: number) => ({
    domains: Array.from({ length: count }, (_, index) => ({ name: `^[a-z]{${index + 1}}\\.test$`, plugins: [] })),
  })
  const refused = 'ERR_DYNACODE_DOCUMENT'

  const CAPS: [string, number, (size: number) => object, string, string][] = [
    ['plugin_api_max_bytes', 4000, sized, 'ERR_DYNACODE_FETCH_TOO_LARGE', 'fetch'],
    ['max_domains', 5, domains, refused, 'invalid'],
    ['max_alike_expressions', 10, alike, refused, 'invalid'],
    ['max_plugins', 5, plugins, refused, 'invalid'],
    ['max_code_bytes', 100, (bytes) => code(bytes + (bytes % 2)), refused, 'invalid'],
  ]

  test.each(CAPS)(
    'G17 up to %s a document goes live; over it it is refused by that name',
    async (name, cap, make, error_code, reason) => {
      const app = await startApp({ document: versioned(1), options: { [name]: cap } })
      app.api.serve(make(cap + 1))
      const error = expect.objectContaining({ code: error_code, message: expect.stringContaining(`${cap}`) })
      const refresh = await app.dyna.refresh()
      expect(refresh).toMatchObject({ updated: false, reason, error })
      expect((refresh as { error: Error }).error.message).toContain(name)
      expect(app.dyna.status().last_error?.message).toContain(name)
      expect(await seenVersion(app)).toBe(1)
      app.api.serve(make(cap))
      expect(await app.dyna.refresh()).toMatchObject({ updated: true, failed: 0 })
    },
  )

  test('G17 shared plugins count, and so does each domain’s use of one', async () => {
    const app = await startApp({ document: versioned(1), options: { max_plugins: 5 } })
    const shared = [{ id: 1, name: 'shared', phase: 'rewrite', code: '' }]
    const using = (count: number) => ({ domains: [{ name: '*', plugins: Array(count).fill(1) }], plugins: shared })
    app.api.serve(using(5))
    expect(await app.dyna.refresh()).toMatchObject({ updated: false, reason: 'invalid' })
    app.api.serve(using(4))
    expect(await app.dyna.refresh()).toMatchObject({ updated: true })
  })
})

describe('G18', () => {
  const OPTIONAL = [
    'id',
    'params',
    'priority',
    'on_failure',
    'guard',
    'budget_ms',
    'timeout_ms',
    'enabled',
    'mode',
    'when',
    'rollout',
    'starts_at',
    'expires_at',
    'shadow_allows',
    'variants',
  ]
  const nulls = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, null]))
  const inEveryPhase = (fields: object) =>
    (['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'] as const).map((phase) => ({
      name: phase,
      phase,
      code: phase === 'body_filter' ? '' : `ctx.append('X-Seen', '${phase}')`,
      ...fields,
    }))
  const REQUEST_EVENTS = [
    'rt_plugins_not_loaded',
    'rt_plugins_disabled',
    'rt_plugins_starting',
    'rt_plugins_done',
    'rt_plugins_error',
    'rt_plugins_shadow',
    'on_error',
  ] as const satisfies EventName[]
  const all = 'rewrite, access, content, balancer, header_filter'

  const everyPhase = (fields: object = {}) => [{ name: '*', plugins: inEveryPhase(fields) }]
  const general = nulls(['status', 'skip_domains', 'version', 'expires', 'allow_removal'])
  const shared = inEveryPhase(nulls(OPTIONAL)).map((fields, id) => ({ ...fields, id }))
  const references = shared.map(({ id }) => ({ ...nulls(OPTIONAL), id }))

  /** Each with the header that its requests get, and how much of it is refused. */
  const DOCUMENTS: [string, object, object, number][] = [
    [
      'every optional field null',
      { general, domains: everyPhase(nulls(OPTIONAL)), plugins: null },
      { 'x-seen': all },
      0,
    ],
    ['every optional field missing', { domains: everyPhase() }, { 'x-seen': all }, 0],
    ['general null', { general: null, domains: everyPhase() }, { 'x-seen': all }, 0],
    ['references', { domains: [{ name: '*', plugins: references }], plugins: shared }, { 'x-seen': all }, 0],
    ['the kill switch', { general: { status: 'disabled' }, domains: everyPhase() }, {}, 0],
    ['the kill switch and nothing else', { general: { status: 'disabled' }, domains: [] }, {}, 0],
    ['an unknown status', { general: { status: { a: 1 } }, domains: everyPhase() }, {}, 0],
    ['a host skipped', { general: { skip_domains: ['127.0.0.1', null, 7, '('] }, domains: everyPhase() }, {}, 3],
    ['a domain without plugins', { domains: [{ name: '*', plugins: null }] }, { 'x-version': '1' }, 1],
    ['a domain without a matching host', { domains: [{ ...everyPhase()[0], name: 'other.test' }] }, {}, 0],
  ]

  test.each(DOCUMENTS)(
    'G18 %s: no crash in any code path, reporting included',
    async (_, document, headers, failed) => {
      const reported: unknown[] = []
      const app = await startApp({
        document: versioned(1),
        options: { on_success: (payload) => reported.push(payload) },
      })
      const seen = record(app.dyna, REQUEST_EVENTS)
      app.api.serve(document)
      expect(await app.dyna.refresh()).toMatchObject({ updated: true, failed })
      for (const path of ['/', '/?q=1']) {
        const response = await app.request.get(path).expect(200, 'app')
        expect(Object.entries(response.headers).filter(([name]) => /^x-/.test(name))).toEqual(Object.entries(headers))
      }
      await app.request.head('/').expect(200)
      await app.request.post('/').send({}).expect(200)
      expect(() => JSON.stringify(app.dyna.status())).not.toThrow()
      expect(payloadsOf(seen, 'rt_plugins_error')).toEqual([])
      expect(payloadsOf(seen, 'on_error').filter(({ section }) => section !== 'document')).toEqual([])
      expect(reported.length > 0).toBe(Object.keys(headers).length > 0)
      expect(app.errors).toEqual([])
      // And it is left again as it was entered.
      await app.serve(versioned(2))
      expect(await seenVersion(app)).toBe(2)
    },
  )
})
