import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, type Transform } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import zlib from 'node:zlib'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Dynacode, type DynacodeOptions, dynacode } from '../../lib/index.ts'
import { everywhere } from '../fixtures/app.ts'
import { createInstance, createReadyInstance, payloadsOf, record } from '../fixtures/instance.ts'
import { type PluginApi, startPluginApi } from '../fixtures/plugin-api.ts'

const versioned = (version: number) => ({
  general: { version },
  ...everywhere([{ name: 'mark', phase: 'rewrite', code: `ctx.set('X-Version', '${version}')` }]),
})

/** A TCP server that says what it is told to each client that asks for something. */
async function startTcp(answer: (socket: Socket) => void): Promise<{ uri: string; sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => answer(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { uri: `http://127.0.0.1:${(server.address() as { port: number }).port}/`, sockets }
}

/** Lets the clock of this process be set, and timers be run, by hand. I/O goes on as it is. */
function takeClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
}

/** Waits until no poll is under way; returns how long the next one will be waited for, in milliseconds. */
async function untilIdle(dyna: Dynacode): Promise<number> {
  for (;;) {
    const { next_poll_at } = dyna.status()
    if (next_poll_at !== null) return next_poll_at - Date.now()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('G19', () => {
  const MiB = 1024 * 1024
  // 200 MB in the end; each coding leaves some hundred KB of them, or less.
  const inflated = () => {
    const zeros = Buffer.alloc(MiB)
    return Readable.from(
      (function* () {
        for (let count = 0; count < 200; count += 1) yield zeros
      })(),
    )
  }
  const { createZstdCompress } = zlib as { createZstdCompress?: () => Transform }
  const CODINGS: [string, (() => Transform) | undefined][] = [
    ['gzip', () => zlib.createGzip({ level: 1 })],
    ['deflate', () => zlib.createDeflate({ level: 1 })],
    ['br', () => zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })],
    ['zstd', createZstdCompress],
  ]

  test.each(CODINGS)(
    'G19 %s that inflates to 200 MB is given up at the cap, in bounded memory',
    async (coding, compress) => {
      // Node has zstd from 22.15 on; without it nobody can send it to us.
      if (compress === undefined) return
      const bomb = await buffer(inflated().pipe(compress()))
      expect(bomb.length).toBeLessThan(MiB)
      const api = await startPluginApi(versioned(1))
      const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
      const before = process.memoryUsage().rss
      let peak = before
      const watch = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage().rss)
      }, 2)
      api.answer({ body: bomb, headers: { 'Content-Encoding': coding } })
      const refresh = await dyna.refresh()
      clearInterval(watch)
      expect(refresh).toMatchObject({
        updated: false,
        reason: 'fetch',
        error: { code: 'ERR_DYNACODE_FETCH_TOO_LARGE' },
      })
      expect(dyna.status()).toMatchObject({
        version: 1,
        last_error: { message: expect.stringMatching(/plugin_api_max_bytes/) },
      })
      // The cap is 16 MiB; the rest is what streams and a garbage collector that comes late may take.
      expect(peak - before).toBeLessThan(100 * MiB)
      api.serve(versioned(2))
      expect(await dyna.refresh()).toMatchObject({ updated: true, version: 2 })
    },
  )
})

describe('G20', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
  const gzipped = zlib.gzipSync(JSON.stringify(versioned(2)))
  const DRIPS: [string, string, string | Uint8Array][] = [
    ['a status line', '', 'HTTP/1.1 200 OK      '.padEnd(1000)],
    ['headers', `${HEAD}X-Long: `, 'x'.repeat(1000)],
    ['a body', `${HEAD}Content-Length: 1000\r\n\r\n`, ' '.repeat(1000)],
    ['a body without length', `${HEAD}Connection: close\r\n\r\n`, ' '.repeat(1000)],
    ['chunks', `${HEAD}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n'.repeat(200)],
    ['a compressed body', `${HEAD}Content-Encoding: gzip\r\nContent-Length: ${gzipped.length}\r\n\r\n`, gzipped],
    ['interim responses', '', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)],
    ['nothing at all', '', ''],
  ]

  test.each(DRIPS)(
    'G20 %s that comes byte by byte for ever is ended by the deadline of the whole fetch',
    async (_, head, rest) => {
      const { uri, sockets } = await startTcp(async (socket) => {
        socket.write(head)
        for (const byte of Buffer.from(rest)) {
          if (socket.destroyed) return
          socket.write(Buffer.from([byte]))
          await wait(20)
        }
      })
      const dyna = createInstance({ plugin_api_uri: uri, plugin_api_timeout: 0.3 })
      expect(await dyna.refresh()).toMatchObject({ updated: false, error: { code: 'ERR_DYNACODE_FETCH_TIMEOUT' } })
      // Nor is the connection kept.
      await expect.poll(() => sockets.every(({ destroyed }) => destroyed)).toBe(true)
    },
  )

  test('G20 an API that hangs does not keep the next poll from coming', async () => {
    const api = await startPluginApi()
    api.behave(() => undefined)
    const dyna = createInstance({
      plugin_api_uri: api.uri,
      plugin_api_timeout: 0.05,
      plugin_api_polling_interval: 0.05,
    })
    await api.got(3)
    api.serve(versioned(1))
    expect(await dyna.ready()).toEqual({ from: 'network' })
  })
})

describe('G21', () => {
  const SECRETS = { authorization: 'Bearer hunter2', cookie: 'session=hunter2', 'x-api-key': 'hunter2' }
  const redirect = (to: string, status = 302) => ({ status, headers: { Location: to } })

  test.each([301, 302, 303, 307, 308])('G21 a redirect with %d is an error unless allowed', async (status) => {
    const [api, elsewhere] = [await startPluginApi(), await startPluginApi(versioned(1))]
    api.answer(redirect(elsewhere.uri, status))
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_headers: SECRETS })
    expect(await dyna.refresh()).toMatchObject({ updated: false, error: { code: 'ERR_DYNACODE_FETCH_STATUS', status } })
    expect(elsewhere.requests).toEqual([])
  })

  test('G21 no more redirects are followed than allowed, nor ones in a circle', async () => {
    const api = await startPluginApi()
    api.answer(redirect(api.uri))
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_redirects: 3 })
    expect(await dyna.refresh()).toMatchObject({ updated: false, error: { code: 'ERR_DYNACODE_FETCH_STATUS' } })
    expect(api.requests).toHaveLength(4)
  })

  test('G21 credentials do not go to another port', async () => {
    const [api, elsewhere] = [await startPluginApi(), await startPluginApi(versioned(1))]
    api.answer(redirect(elsewhere.uri))
    const plugin_api_headers = async () => ({ ...SECRETS, Accept: 'application/vnd.ours+json' })
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_redirects: 1, plugin_api_headers })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 1 })
    expect(api.requests[0]?.headers).toMatchObject(SECRETS)
    expect(JSON.stringify(elsewhere.requests)).not.toContain('hunter2')
    expect(elsewhere.requests[0]?.headers.accept).toBe('application/json')
  })

  test('G21 credentials do not go to another name, even of the same server', async () => {
    const api = await startPluginApi()
    api.behave(({ headers }, response) => {
      if (headers.host?.startsWith('localhost')) response.writeHead(302, { Location: api.uri }).end()
      else response.end(JSON.stringify(versioned(1)))
    })
    const plugin_api_uri = api.uri.replace('127.0.0.1', 'localhost')
    const dyna = createInstance({ plugin_api_uri, plugin_api_redirects: 1, plugin_api_headers: SECRETS })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 1 })
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer hunter2', undefined])
    expect(JSON.stringify(api.requests[1])).not.toContain('hunter2')
  })

  test('G21 nor do they on the way back, except to where they came from', async () => {
    const [api, elsewhere] = [await startPluginApi(), await startPluginApi()]
    api.behave(({ url }, response) => {
      if (url === '/plugins.json') response.writeHead(302, { Location: elsewhere.uri }).end()
      else response.end(JSON.stringify(versioned(1)))
    })
    elsewhere.answer(redirect(new URL('/moved', api.uri).href))
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_redirects: 2, plugin_api_headers: SECRETS })
    expect(await dyna.refresh()).toMatchObject({ updated: true, version: 1 })
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer hunter2', 'Bearer hunter2'])
    expect(JSON.stringify(elsewhere.requests)).not.toContain('hunter2')
  })

  test('G21 within the origin they are kept, wherever a relative redirect leads', async () => {
    const api = await startPluginApi()
    api.behave(({ url }, response) => {
      if (url === '/plugins.json') response.writeHead(307, { Location: '../v2/plugins.json?a=1' }).end()
      else response.end(JSON.stringify(versioned(1)))
    })
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_redirects: 1, plugin_api_headers: SECRETS })
    expect(await dyna.refresh()).toMatchObject({ updated: true })
    expect(api.requests.map(({ url }) => url)).toEqual(['/plugins.json', '/v2/plugins.json?a=1'])
    expect(api.requests[1]?.headers).toMatchObject(SECRETS)
  })

  test.each(['file:///etc/passwd', 'data:application/json,{"domains":[]}', 'http://', 'gopher://a.test/'])(
    'G21 a redirect to %s is not followed, whatever is allowed',
    async (location) => {
      const api = await startPluginApi()
      api.answer(redirect(location))
      const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_redirects: 5 })
      expect(await dyna.refresh()).toMatchObject({ updated: false, error: { code: 'ERR_DYNACODE_FETCH' } })
    },
  )
})

test('G22 after an hour of 401, 403, 404, 410 and 500 the first good answer is applied, without a restart', async () => {
  takeClock()
  const api = await startPluginApi(versioned(1))
  const dyna = dynacode({ plugin_api_uri: api.uri })
  onTestFinished(() => dyna.close())
  await dyna.ready()
  await untilIdle(dyna)

  const STATUSES = [401, 403, 404, 410, 500]
  const started = Date.now()
  const asked = api.requests.length
  while (Date.now() - started < 3_600_000) {
    api.answer({ status: STATUSES[api.requests.length % STATUSES.length] as number })
    await vi.advanceTimersByTimeAsync(await untilIdle(dyna))
  }
  await untilIdle(dyna)
  expect(dyna.status()).toMatchObject({ version: 1, last_error: { code: 'ERR_DYNACODE_FETCH_STATUS' } })
  // It kept asking, and no more often than when all is well.
  expect(api.requests.length - asked).toBeGreaterThan(60)
  expect(api.requests.length - asked).toBeLessThan(240)

  api.serve(versioned(2))
  const left = await untilIdle(dyna)
  expect(left).toBeLessThanOrEqual(60_000)
  await vi.advanceTimersByTimeAsync(left)
  await untilIdle(dyna)
  expect(dyna.status()).toMatchObject({ version: 2, last_error: null })
})

describe('G23', () => {
  const INTERVAL = 10
  const HOUR = 3600
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toUTCString()

  /** Header, and the least and the most seconds that are waited. */
  const HEADERS: [string, string | (() => string), number, number][] = [
    ['seconds', '120', 120, 120],
    ['a date', () => inSeconds(120), 118, 121],
    ['an hour', '3600', HOUR, HOUR],
    ['far too many seconds', '86400', HOUR, HOUR],
    ['more seconds than a number holds', '9'.repeat(400), HOUR, HOUR],
    ['a date far away', 'Fri, 31 Dec 9999 23:59:59 GMT', HOUR, HOUR],
    ['nought', '0', 0, 2 * INTERVAL],
    ['a date long gone', 'Thu, 01 Jan 1970 00:00:00 GMT', 0, 2 * INTERVAL],
    ['a negative number', '-60', 0, 2 * INTERVAL],
    ['nonsense', 'in a while', 0, 2 * INTERVAL],
    ['nothing', '', 0, 2 * INTERVAL],
    ['a fraction', '1e9', 0, 2 * INTERVAL],
  ]

  test.each([429, 503].flatMap((status) => HEADERS.map((row) => [status, ...row] as const)))(
    'G23 %d with Retry-After as %s is honoured, and capped',
    async (status, _, header, least, most) => {
      const api = await startPluginApi()
      const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_polling_interval: INTERVAL })
      api.answer({ status, headers: { 'Retry-After': typeof header === 'string' ? header : header() } })
      const asked = Date.now()
      const left = await untilIdle(dyna)
      const took = Date.now() - asked
      expect(left).toBeGreaterThan(Math.max(least * 1000 - took, 99))
      // Spread over an interval, since everybody was told the same.
      expect(left).toBeLessThanOrEqual((most + INTERVAL) * 1000)
    },
  )

  test('G23 the API is left alone until then, and asked again after it', async () => {
    takeClock()
    const api = await startPluginApi()
    const dyna = createInstance({ plugin_api_uri: api.uri, plugin_api_polling_interval: INTERVAL })
    api.answer({ status: 503, headers: { 'Retry-After': '600' } })
    await untilIdle(dyna)
    api.serve(versioned(1))
    await vi.advanceTimersByTimeAsync(599_000)
    expect(api.requests).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(await untilIdle(dyna))
    expect(await dyna.ready(Number.POSITIVE_INFINITY)).toEqual({ from: 'network' })
    expect(api.requests).toHaveLength(2)
  })
})

describe('G24', () => {
  const PAGE = '<!doctype html><html><body>Please log in to this Wi-Fi</body></html>'
  const TYPES = ['text/html', 'text/html; charset=utf-8', 'TEXT/HTML', 'application/xhtml+xml', 'application/json', '']

  test.each(TYPES)('G24 a page with status 200 and the type %j is refused, and what was live stays', async (type) => {
    const api = await startPluginApi(versioned(1))
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
    api.answer({ body: PAGE, headers: { 'Content-Type': type, ETag: '"portal"' } })
    expect(await dyna.refresh()).toMatchObject({
      updated: false,
      error: { code: expect.stringMatching(/FETCH_CONTENT|DOCUMENT/) },
    })
    expect(dyna.status().version).toBe(1)
  })

  test('G24 a page that calls itself HTML is refused even where it reads as a document', async () => {
    const api = await startPluginApi()
    api.answer({ body: versioned(1), headers: { 'Content-Type': 'text/html' } })
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const error = { code: 'ERR_DYNACODE_FETCH_CONTENT', message: expect.stringMatching(/portal/) }
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'fetch', error })
  })
})

describe('G25', () => {
  /** Lets the API take its time, and counts how many requests it has at once. */
  function countAtOnce(api: PluginApi, ms: number) {
    const count = { now: 0, most: 0 }
    api.behave(async (_request, response) => {
      count.now += 1
      count.most = Math.max(count.most, count.now)
      response.once('close', () => {
        count.now -= 1
      })
      await wait(ms)
      response.end(JSON.stringify(versioned(1)))
    })
    return count
  }

  test('G25 refreshes that are asked for while a fetch is under way join it, and get what came of it', async () => {
    const api = await startPluginApi()
    const count = countAtOnce(api, 50)
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const asked = Array.from({ length: 100 }, () => dyna.refresh())
    await api.got(1)
    asked.push(...Array.from({ length: 100 }, () => dyna.refresh()))
    const refreshes = await Promise.all(asked)
    expect(new Set(refreshes).size).toBe(1)
    expect(refreshes[0]).toMatchObject({ updated: true, version: 1 })
    expect(api.requests).toHaveLength(1)
    expect(count.most).toBe(1)
    // One that is asked for afterwards is a new one.
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'unchanged' })
    expect(api.requests).toHaveLength(2)
  })

  test('G25 an API that is slower than the interval never has two requests at once', async () => {
    const api = await startPluginApi()
    const count = countAtOnce(api, 40)
    createInstance({ plugin_api_uri: api.uri, plugin_api_polling_interval: 0.005 })
    await api.got(10)
    expect(count.most).toBe(1)
  })
})

describe('G26', () => {
  const DURATIONS = [
    'plugin_api_polling_interval',
    'plugin_api_timeout',
    'plugin_api_backoff_max',
    'workers_max_jitter',
    'max_stale_seconds',
    'timeout_ms',
    'budget_ms',
  ] as const
  const IMPOSSIBLE = [-1, -0.001, Number.NaN, Number.NEGATIVE_INFINITY, '30', null, true, [30], {}, 30n]
  /** Nought means something for jitter: none. What is too long for a timer would be no wait at all. */
  const extremes = (name: string) => [
    ...(name === 'workers_max_jitter' ? [] : [0]),
    ...(name === 'max_stale_seconds' ? [] : [Number.POSITIVE_INFINITY, 2 ** 31, Number.MAX_VALUE]),
    ...(name.startsWith('plugin_api') ? [1e-9] : []),
  ]

  test.each(DURATIONS)('G26 an impossible %s is an error at construction', async (name) => {
    const api = await startPluginApi()
    for (const value of [...IMPOSSIBLE, ...extremes(name)]) {
      const create = () => dynacode({ plugin_api_uri: api.uri, [name]: value } as DynacodeOptions)
      expect(create).toThrow(expect.objectContaining({ code: 'ERR_DYNACODE_OPTION', option: name }))
    }
    await wait(20)
    expect(api.requests).toEqual([])
  })

  test('G26 the shortest interval and an API that refuses are no busy loop either', async () => {
    const api = await startPluginApi()
    api.answer({ status: 500 })
    createInstance({
      plugin_api_uri: api.uri,
      plugin_api_polling_interval: 0.001,
      plugin_api_backoff_max: 60,
      workers_max_jitter: 0,
    })
    const started = performance.now()
    await api.got(9)
    // Each failure doubles the time that may pass; what is left of it by chance is at least that, or a tenth of a second.
    expect(performance.now() - started).toBeGreaterThan(200)
  })
})

describe('G28', () => {
  const DAY = 86_400_000
  const JUMPS: [string, number][] = [
    ['forwards', DAY],
    ['backwards', -DAY],
  ]

  /** Lets the wall clock be set by hand, while it goes on from there; timers run as they do. */
  function takeWallClock(): (by: number) => void {
    const started = performance.now()
    let base = Date.now()
    const tick = () => vi.setSystemTime(base + performance.now() - started)
    vi.useFakeTimers({ toFake: ['Date'] })
    const ticking = setInterval(tick, 5)
    onTestFinished(() => {
      clearInterval(ticking)
      vi.useRealTimers()
    })
    return (by) => {
      base += by
      tick()
    }
  }

  const INTERVAL_MS = 50
  const LOOK_MS = 600

  /** Looks for a while, and until polls have come. */
  async function lookAtPolls(api: PluginApi, shortest_ms = INTERVAL_MS): Promise<void> {
    const before = api.requests.length
    const begun = performance.now()
    await Promise.all([wait(LOOK_MS), api.got(before + 3)])
    expect(api.requests.length - before).toBeLessThanOrEqual((performance.now() - begun) / shortest_ms + 1)
  }

  async function check(api: PluginApi, jump: () => void): Promise<void> {
    await api.got(2)
    jump()
    await lookAtPolls(api)
  }

  test.each(JUMPS)('G28 the clock jumps by a day %s: polls come as before', async (_, by) => {
    const jump = takeWallClock()
    const api = await startPluginApi(versioned(1))
    const dyna = createInstance({
      plugin_api_uri: api.uri,
      plugin_api_polling_interval: INTERVAL_MS / 1000,
      max_stale_seconds: 3600,
    })
    await check(api, () => jump(by))
    expect(dyna.status()).toMatchObject({ stale: false, last_error: null })
    api.serve(versioned(2))
    await expect.poll(() => dyna.status().version).toBe(2)
  })

  test.each(JUMPS)('G28 the clock jumps by a day %s while the API is down: it is asked as before', async (_, by) => {
    const jump = takeWallClock()
    const api = await startPluginApi(versioned(1))
    const interval = { plugin_api_polling_interval: INTERVAL_MS / 1000, plugin_api_backoff_max: INTERVAL_MS / 1000 }
    const dyna = createInstance({ plugin_api_uri: api.uri, ...interval })
    await api.got(1)
    api.answer({ status: 503 })
    await api.got(3)
    jump(by)
    // After a failure the wait is random, from half of its cap on where that is short.
    await lookAtPolls(api, INTERVAL_MS / 2)
    api.serve(versioned(2))
    await expect.poll(() => dyna.status().version).toBe(2)
  })

  test.each(JUMPS)(
    'G28 the clock jumps by a day %s: what the machine’s cache holds is neither fresh for a day nor lost',
    async (_, by) => {
      const jump = takeWallClock()
      const folder = mkdtempSync(join(tmpdir(), 'dynacode-'))
      onTestFinished(() => rmSync(folder, { recursive: true }))
      const api = await startPluginApi()
      api.serve(versioned(1), { etag: '"1"' })
      const dyna = createInstance({
        plugin_api_uri: api.uri,
        plugin_api_polling_interval: INTERVAL_MS / 1000,
        cache_path: join(folder, 'cache'),
        max_stale_seconds: 3600,
      })
      const seen = record(dyna)
      await check(api, () => jump(by))
      expect(dyna.status()).toMatchObject({ stale: false, last_error: null })
      expect(payloadsOf(seen, 'on_error')).toEqual([])
      api.serve(versioned(2), { etag: '"2"' })
      await expect.poll(() => dyna.status().version).toBe(2)
    },
  )
})
