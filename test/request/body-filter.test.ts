import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { PassThrough, Readable, Stream } from 'node:stream'
import { brotliCompressSync, createGzip, deflateSync, gzipSync } from 'node:zlib'
import type { Context, Middleware } from 'koa'
import { describe, expect, it } from 'vitest'
import { exchange, failures, plugin, startApp, type TestAppSetup } from '../fixtures/app.ts'

const SHOUT = plugin('body_filter', `return Buffer.from(chunk).toString().toUpperCase()`)
const SHOUT_LATER = plugin('body_filter', `await null; return Buffer.from(chunk).toString().toUpperCase()`)

/** An app that answers with what the function makes for each request. */
const answer =
  (make: (ctx: Context) => unknown): Middleware =>
  (ctx) => {
    ctx.body = make(ctx)
  }

function oldStream(...chunks: string[]): Stream {
  const stream = Object.assign(new Stream(), { readable: true, resume() {}, pause() {} })
  setImmediate(() => {
    for (const chunk of chunks) stream.emit('data', Buffer.from(chunk))
    stream.emit('end')
  })
  return stream
}

const webStream = (...chunks: string[]) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk))
      controller.close()
    },
  })

const WHOLE: readonly (readonly [string, () => unknown, string])[] = [
  ['a string', () => 'hello', 'hello'],
  ['an empty string', () => '', ''],
  ['a Buffer', () => Buffer.from('hello'), 'hello'],
  ['JSON', () => ({ a: 'é' }), '{"a":"é"}'],
  ['an array', () => [1, 'a'], '[1,"a"]'],
  ['a number, as JSON', () => 7, '7'],
  ['false, as JSON', () => false, 'false'],
  ['bytes that are no Buffer, as JSON as Koa has it', () => new Uint8Array([1, 2]), '{"0":1,"1":2}'],
]

const STREAMED: readonly (readonly [string, () => unknown])[] = [
  ['a Node stream', () => Readable.from([Buffer.from('he'), Buffer.from('llo')], { objectMode: false })],
  ['a Node stream in object mode', () => Readable.from([Buffer.from('he'), Buffer.from('llo')])],
  ['a Node stream of strings', () => Readable.from(['he', 'llo'])],
  [
    'a Node stream with an encoding',
    () => Readable.from([Buffer.from('hello')], { objectMode: false, encoding: 'utf8' }),
  ],
  ['a pipe', () => Readable.from(['he', 'llo']).pipe(new PassThrough())],
  ['a stream of the old kind', () => oldStream('he', 'llo')],
  ['a web stream', () => webStream('he', 'llo')],
  ['a Blob', () => new Blob(['he', 'llo'])],
  ['a Response', () => new Response('hello')],
  ['a Response of a stream', () => new Response(webStream('he', 'llo'))],
]

describe('a body that is there as a whole', () => {
  it.each(WHOLE)('is given once, as the last chunk: %s', async (_what, make, text) => {
    const seen: unknown[] = []
    const { request } = await startApp({
      plugins: [plugin('body_filter', `seen.push(String(chunk), last)`)],
      options: { globals: { seen } },
      inner: answer(make),
    })
    await request
      .get('/')
      .expect(200)
      .expect('Content-Length', String(Buffer.byteLength(text)))
    expect(seen).toEqual([text, true])
  })

  it.each(WHOLE)('is sent as before when the filter returns nothing: %s', async (_what, make) => {
    const raw = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    const plain = await startApp({ inner: answer(make) })
    const filtered = await startApp({
      plugins: [plugin('body_filter', ''), plugin('body_filter', 'await 0')],
      inner: answer(make),
    })
    const [expected, got] = await Promise.all([exchange(plain.port, raw), exchange(filtered.port, raw)])
    expect(withoutDate(got)).toBe(withoutDate(expected))
  })

  it.each([SHOUT, SHOUT_LATER])('is replaced by what the filter returns, its type kept', async (filter) => {
    const { request } = await startApp({ plugins: [filter], inner: answer(() => ({ a: 'é' })) })
    await request
      .get('/')
      .expect(200, '{"A":"É"}')
      .expect('Content-Length', '10')
      .expect('Content-Type', 'application/json; charset=utf-8')
  })

  it('goes through the filters one after the other', async () => {
    const { request } = await startApp({
      plugins: [
        plugin('body_filter', `return chunk + 'b'`),
        plugin('body_filter', `await null; return chunk + 'c'`),
        plugin('body_filter', ''),
        plugin('body_filter', `return chunk + 'd'`),
      ],
      inner: 'a',
    })
    await request.get('/').expect(200, 'abcd').expect('Content-Length', '4')
  })

  it.each([
    ["''", ''],
    ['null', ''],
    ["'ü'", 'ü'],
    ['Buffer.from([255, 0])', '\u{fffd}\0'],
    ['new TextEncoder().encode("ü")', 'ü'],
    ['new TextEncoder().encode("abc").subarray(1)', 'bc'],
    ['new Uint16Array([0x6261])', 'ab'],
    ['new TextEncoder().encode("ab").buffer', 'ab'],
    ['{ a: [1] }', '{"a":[1]}'],
    ['0', '0'],
    ['false', 'false'],
    ['10n', '10'],
  ])('becomes what is returned: %s', async (code, text) => {
    const running = await startApp({ plugins: [plugin('body_filter', `return ${code}`)] })
    const response = await running.request.get('/').expect(200, text)
    if (!text.startsWith('\u{fffd}')) expect(response.headers['content-length']).toBe(String(Buffer.byteLength(text)))
    expect(response.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(failures(running)).toEqual([])
  })

  it.each([
    ['a function', `() => {}`],
    ['a symbol', `Symbol()`],
    ['a circle', `(() => { const a = {}; a.a = a; return a })()`],
    ['what cannot be JSON', `({ a: 1n })`],
    ['an object whose JSON is nothing', `({ toJSON() {} })`],
    ['an object that throws', `new Proxy({}, { get(_, key) { if (key !== 'then') throw 1 } })`],
  ])('stays as it was, with an event, when %s is returned', async (_what, code) => {
    for (const returned of [`return ${code}`, `await null; return ${code}`]) {
      const running = await startApp({ plugins: [plugin('body_filter', returned), SHOUT] })
      await running.request.get('/').expect(200, 'APP')
      expect(failures(running)).toEqual([expect.objectContaining({ phase: 'body_filter', outcome: 'open' })])
      expect(running.errors).toEqual([])
    }
  })

  it('is withheld when a filter that fails closed returns what cannot be sent', async () => {
    const { request } = await startApp({
      plugins: [plugin('body_filter', 'return () => {}', { on_failure: 'closed' })],
    })
    await request.get('/').expect(503, 'Service Unavailable')
  })

  it('keeps its status, message and other headers', async () => {
    const { port } = await startApp({
      plugins: [SHOUT],
      inner(ctx) {
        ctx.status = 201
        ctx.message = 'Made'
        ctx.set('X-A', 'a')
        ctx.body = 'made'
      },
    })
    const got = await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(got).toMatch(/^HTTP\/1.1 201 Made\r\n/)
    expect(got).toMatch(/\r\nX-A: a\r\n/)
    expect(got).toMatch(/\r\n\r\nMADE$/)
  })

  it('has no type afterwards where the app took its type away', async () => {
    const { request } = await startApp({
      plugins: [SHOUT],
      inner(ctx) {
        ctx.body = 'app'
        ctx.remove('Content-Type')
      },
    })
    const response = await request.get('/').buffer(true)
    expect(response.headers).not.toHaveProperty('content-type')
  })
})

describe('a response without a body', () => {
  it("is filtered where Koa has a text of its own: the app's 404", async () => {
    const { request } = await startApp({ plugins: [SHOUT], inner: () => undefined })
    await request.get('/').expect(404, 'NOT FOUND').expect('Content-Type', 'text/plain; charset=utf-8')
  })

  it('is filtered where only a status was set, and keeps it', async () => {
    const { request } = await startApp({
      plugins: [SHOUT],
      inner(ctx) {
        ctx.status = 402
      },
    })
    await request.get('/').expect(402, 'PAYMENT REQUIRED').expect('Content-Length', '16')
  })

  it.each([
    ['null as its body', 204, { body: null }],
    ['204', 204, { status: 204 }],
    ['205', 205, { status: 205 }],
    ['304', 304, { status: 304 }],
    ['null and a status', 200, { body: null, status: 200 }],
  ])('is left alone: %s', async (_what, status, fields) => {
    const running = await startApp({
      plugins: [plugin('body_filter', `return 'more'`)],
      inner: (ctx) => void Object.assign(ctx, fields),
    })
    const response = await running.request.get('/').expect(status)
    expect(response.text ?? '').toBe('')
    expect(running.seen).toEqual([])
  })
})

describe('a streamed body', () => {
  it.each(STREAMED)('is filtered chunk by chunk: %s', async (_what, make) => {
    for (const filter of [SHOUT, SHOUT_LATER]) {
      const { request, errors } = await startApp({ plugins: [filter], inner: answer(make) })
      const response = await request.get('/').buffer(true).parse(collect).expect(200)
      expect(String(response.body)).toBe('HELLO')
      expect(response.headers).not.toHaveProperty('content-length')
      expect(response.headers['transfer-encoding']).toBe('chunked')
      expect(errors).toEqual([])
    }
  })

  it.each(STREAMED)('is sent byte for byte when the filter returns nothing: %s', async (_what, make) => {
    const { request } = await startApp({ plugins: [plugin('body_filter', '')], inner: answer(make) })
    const response = await request.get('/').buffer(true).parse(collect).expect(200)
    expect(String(response.body)).toBe('hello')
  })

  it.each(STREAMED)('keeps the type that it has without a filter: %s', async (_what, make) => {
    const types = await Promise.all(
      [[], [SHOUT]].map(async (plugins) => {
        const { request } = await startApp({ plugins, inner: answer(make) })
        const response = await request.get('/').buffer(true).parse(collect)
        return response.headers['content-type']
      }),
    )
    expect(types[1]).toBe(types[0])
  })

  it('is given as Buffers, then an empty one as the last, in which more may be sent', async () => {
    const seen: unknown[] = []
    const { request } = await startApp({
      plugins: [
        plugin(
          'body_filter',
          `seen.push([Buffer.isBuffer(chunk), String(chunk), last]); if (last) return '<!-- end -->'`,
        ),
      ],
      options: { globals: { seen } },
      inner: answer(() => Readable.from(['a', Buffer.from('b')])),
    })
    const response = await request.get('/').buffer(true).parse(collect)
    expect(String(response.body)).toBe('ab<!-- end -->')
    expect(seen).toEqual([
      [true, 'a', false],
      [true, 'b', false],
      [true, '', true],
    ])
  })

  it('loses the chunks that a filter drops, and the next filters never see them', async () => {
    const seen: unknown[] = []
    const { request } = await startApp({
      plugins: [
        plugin('body_filter', `if (String(chunk) === 'b') return null; if (String(chunk) === 'c') return ''`),
        plugin('body_filter', `seen.push(String(chunk), last)`),
      ],
      options: { globals: { seen } },
      inner: answer(() => Readable.from(['a', 'b', 'c', 'd'])),
    })
    const response = await request.get('/').buffer(true).parse(collect)
    expect(String(response.body)).toBe('ad')
    expect(seen).toEqual(['a', false, 'd', false, '', true])
  })

  it('may be dropped whole and sent as one at its end', async () => {
    const { request } = await startApp({
      plugins: [
        plugin(
          'body_filter',
          `ctx.state.body = (ctx.state.body ?? '') + chunk; if (!last) return null; return ctx.state.body.replace('hello', 'bye')`,
        ),
      ],
      inner: answer(() => Readable.from(['he', 'llo', ' you'])),
    })
    const response = await request.get('/').buffer(true).parse(collect)
    expect(String(response.body)).toBe('bye you')
  })

  it('goes on unfiltered, with an event each, where the filter fails', async () => {
    const running = await startApp({
      plugins: [plugin('body_filter', `if (String(chunk) === 'b') throw new Error('broken'); return chunk + '!'`)],
      inner: answer(() => Readable.from(['a', 'b', 'c'])),
    })
    const response = await running.request.get('/').buffer(true).parse(collect)
    expect(String(response.body)).toBe('a!bc!!')
    expect(failures(running)).toHaveLength(1)
  })

  it.each([
    ['fails closed', `if (String(chunk) === 'b') throw new Error('broken')`, { on_failure: 'closed' }],
    ['calls exit', `if (String(chunk) === 'b') exit(500)`, {}],
    ['throws an http-error', `await null; if (String(chunk) === 'b') ctx.throw(500)`, {}],
  ])('is broken off, so that nobody takes it for complete, when the filter %s', async (_how, code, fields) => {
    const { uri, errors } = await startApp({
      plugins: [plugin('body_filter', code, fields)],
      inner: answer(() => slowly(['a', 'b', 'c'])),
    })
    const response = await fetch(uri)
    await expect(response.text()).rejects.toThrow()
    expect(new Set(errors).size).toBe(1)
  })

  it('is broken off when its source fails, and the app hears of the very error', async () => {
    const broken = new Error('source')
    for (const make of [
      () => Readable.from(failing(broken)),
      () => Readable.toWeb(Readable.from(failing(broken))) as ReadableStream,
    ]) {
      const { uri, errors } = await startApp({ plugins: [SHOUT], inner: answer(make) })
      const response = await fetch(uri)
      await expect(response.text()).rejects.toThrow()
      // Koa reports it for the body and for the response alike.
      expect(new Set(errors)).toEqual(new Set([broken]))
    }
  })

  it('does not end the process when its source fails before it is sent', async () => {
    const { uri, errors } = await startApp({
      plugins: [SHOUT],
      outer: [
        async (_ctx, next) => {
          await next()
          await new Promise((done) => setTimeout(done, 10))
        },
      ],
      inner: answer(() => Readable.from(failing(new Error('source'), []))),
    })
    await expect(fetch(uri).then((response) => response.text())).rejects.toThrow()
    expect(new Set(errors).size).toBe(1)
  })

  it('is broken off when it holds what is neither text nor bytes', async () => {
    const { uri, errors } = await startApp({
      plugins: [SHOUT],
      inner: answer(() => Readable.from([{ a: 1 }])),
    })
    await expect(fetch(uri).then((response) => response.text())).rejects.toThrow()
    expect(errors[0]).toEqual(expect.objectContaining({ message: expect.stringContaining('object') }))
  })

  it('is sent as it comes: a chunk does not wait for the next', async () => {
    const source = new PassThrough()
    const { uri } = await startApp({ plugins: [SHOUT_LATER], inner: answer(() => source) })
    const head = fetch(uri)
    source.write('a')
    const reader = (await head).body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('A')
    source.write('b')
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('B')
    source.end()
    expect((await reader?.read())?.done).toBe(true)
  })

  it('is filtered, too, when the app sent the head already', async () => {
    const { request } = await startApp({
      plugins: [SHOUT],
      inner(ctx) {
        ctx.status = 200
        ctx.type = 'text/event-stream'
        ctx.flushHeaders()
        ctx.body = Readable.from(['data: a\n\n', 'data: b\n\n'])
      },
    })
    const response = await request
      .get('/')
      .buffer(true)
      .parse(collect)
      .expect('Content-Type', /event-stream/)
    expect(String(response.body)).toBe('DATA: A\n\nDATA: B\n\n')
  })

  it('cannot be filtered when the head with its length is out: an event says so', async () => {
    const inner: Middleware = (ctx) => {
      ctx.status = 200
      ctx.length = 5
      ctx.flushHeaders()
      ctx.body = Readable.from(['he', 'llo'])
    }
    const open = await startApp({ plugins: [SHOUT], inner })
    const response = await open.request.get('/').buffer(true).parse(collect)
    expect(String(response.body)).toBe('hello')
    expect(failures(open)).toEqual([
      expect.objectContaining({ outcome: 'open', error: expect.objectContaining({ code: 'ERR_DYNACODE_BODY' }) }),
    ])

    const closed = await startApp({ plugins: [{ ...SHOUT, on_failure: 'closed' }], inner })
    await expect(fetch(closed.uri).then((answer) => answer.text())).rejects.toThrow()
  })

  it('is filtered as well when the app writes it past Koa', async () => {
    const pasts: Record<string, Middleware> = {
      end: ({ res }) => void res.end('raw'),
      later: (ctx) => {
        ctx.respond = false
        setTimeout(() => {
          ctx.res.writeHead(200, 'Fine', { 'Content-Length': '6', ETag: '"1"', 'X-App': '1' })
          ctx.res.write('raw')
          ctx.res.end(Buffer.from('raw'))
        }, 5)
      },
      piped: (ctx) => {
        ctx.respond = false
        Readable.from(['raw', 'raw']).pipe(ctx.res)
      },
      encoded: ({ res }) => {
        res.writeHead(200, ['Content-Encoding', 'gzip'])
        res.end(gzipSync('raw'))
      },
      part: ({ res }) => void res.write('raw'),
      waiting: async ({ res }) => {
        await new Promise<void>((done) => res.write('raw', () => done()))
        await new Promise<void>((done) => res.end('raw', done))
      },
    }
    const { uri, seen } = await startApp({
      plugins: [plugin('body_filter', `return String(chunk).toUpperCase() + (last ? '!' : '')`)],
      inner(ctx, next) {
        ctx.status = 200
        return pasts[ctx.path.slice(1)]?.(ctx, next)
      },
    })
    const bodies: Record<string, string> = {}
    for (const name of Object.keys(pasts)) {
      const response = await fetch(`${uri}/${name}`)
      for (const gone of ['etag', 'content-length', 'content-encoding']) expect(response.headers.has(gone)).toBe(false)
      bodies[name] = await response.text()
    }
    expect(bodies).toEqual({
      end: 'RAW!',
      later: 'RAWRAW!',
      piped: 'RAWRAW!',
      encoded: 'RAW!',
      part: 'RAWOK!',
      waiting: 'RAWRAW!',
    })
    expect(seen.filter(({ name }) => name === 'rt_plugins_error' || name === 'on_error')).toEqual([])
  })

  it.each([
    ['a part', (res: ServerResponse) => res.writeHead(206).end('secret')],
    ['an encoding', (res: ServerResponse) => res.writeHead(200, { 'Content-Encoding': 'secret' }).end('secret')],
  ])('is refused when the app writes past Koa what cannot be filtered: %s', async (_what, write) => {
    const filter = plugin('body_filter', `return 'x'`)
    const inner: Middleware = (ctx) => {
      ctx.respond = false
      setTimeout(() => write(ctx.res), 5)
    }
    const closed = await startApp({ plugins: [{ ...filter, on_failure: 'closed' }], inner })
    const refused = await fetch(closed.uri)
    expect([refused.status, await refused.text()]).toEqual([503, 'Service Unavailable'])
    const open = await startApp({ plugins: [filter], inner })
    expect(await (await fetch(open.uri)).text()).toBe('secret')
    expect([...failures(closed), ...failures(open)].map(({ outcome }) => outcome)).toEqual(['closed', 'open'])
  })
})

describe('headers about the bytes', () => {
  const tagged: Middleware = (ctx) => {
    ctx.set({ ETag: '"1"', 'Accept-Ranges': 'bytes', 'Content-MD5': 'x', Digest: 'x', 'Repr-Digest': 'x' })
    ctx.set('Last-Modified', 'Tue, 01 Jul 2025 00:00:00 GMT')
    ctx.body = ctx.path === '/stream' ? Readable.from(['app']) : 'app'
    if (ctx.path === '/stream') ctx.length = 3
  }

  it.each(['/', '/stream'])('go when the body may have changed: %s', async (path) => {
    const { request } = await startApp({ plugins: [plugin('body_filter', `return chunk + '!'`)], inner: tagged })
    const { headers } = await request.get(path).buffer(true).parse(collect).expect(200)
    for (const name of ['etag', 'last-modified', 'accept-ranges', 'content-md5', 'digest', 'repr-digest']) {
      expect(headers).not.toHaveProperty(name)
    }
    expect(headers['content-length']).toBe(path === '/' ? '4' : undefined)
  })

  it('stay when the body did not change', async () => {
    const { request } = await startApp({ plugins: [plugin('body_filter', '')], inner: tagged })
    await request.get('/').expect(200).expect('ETag', '"1"').expect('Content-Length', '3')
  })

  it('hold no length beside a Transfer-Encoding that the app set', async () => {
    const { port } = await startApp({
      plugins: [plugin('body_filter', `return chunk + '!'`)],
      inner(ctx) {
        ctx.set('Transfer-Encoding', 'chunked')
        ctx.body = 'app'
      },
    })
    const got = await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(got).not.toMatch(/content-length/i)
    expect(got).toMatch(/\r\n4\r\napp!\r\n0\r\n\r\n$/)
  })
})

describe('HEAD', () => {
  it('has the length that GET has', async () => {
    for (const body of ['app', { a: 1 }, Buffer.from('app')]) {
      const { request } = await startApp({
        plugins: [plugin('body_filter', `return chunk + '!'`)],
        inner: answer(() => body),
      })
      const [get, head] = [await request.get('/').parse(collect), await request.head('/')]
      expect(head.headers['content-length']).toBe(get.headers['content-length'])
      expect(head.headers['content-type']).toBe(get.headers['content-type'])
    }
  })

  it('has no length of the body before it was filtered where the app sets nothing but that', async () => {
    const { request } = await startApp({
      plugins: [SHOUT],
      inner(ctx) {
        ctx.set({ ETag: '"1"', 'Accept-Ranges': 'bytes', 'X-A': 'a' })
        ctx.status = 200
        ctx.length = 5
      },
    })
    const { headers } = await request.head('/').expect(200).expect('X-A', 'a')
    for (const name of ['content-length', 'etag', 'accept-ranges']) expect(headers).not.toHaveProperty(name)
  })

  it.each(STREAMED)('has no length where GET has none, and frees the source: %s', async (_what, make) => {
    const { port } = await startApp({ plugins: [SHOUT], inner: answer(make) })
    const got = await exchange(port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(got).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    expect(got).not.toMatch(/content-length/i)
    expect(got).toMatch(/\r\n\r\n$/)
  })

  it.each([
    ['Node', (gone: () => void) => Object.assign(new PassThrough(), { _destroy: onDestroy(gone) })],
    ['web', (cancel: () => void) => new ReadableStream({ cancel })],
  ])('does not read a %s stream, and frees it', async (_kind, make) => {
    const { promise, gone } = createGone()
    const { request } = await startApp({ plugins: [SHOUT], inner: answer(() => make(gone)) })
    await request.head('/').expect(200)
    await promise
  })
})

describe('Range', () => {
  const ranged: Middleware = (ctx) => {
    const [, first] = /bytes=(\d+)-/.exec(ctx.get('Range')) ?? []
    ctx.set('X-Range', ctx.get('Range') + ctx.get('If-Range'))
    ctx.body = 'secret: 1234'.slice(Number(first ?? 0))
    if (first !== undefined) ctx.status = 206
  }

  it('is not asked of the app where a body is filtered: its parts could not be', async () => {
    const { request } = await startApp({
      plugins: [plugin('body_filter', `return String(chunk).replace(/secret: \\d+/, 'secret: ****')`)],
      inner: ranged,
    })
    const response = await request.get('/').set({ Range: 'bytes=8-', 'If-Range': '"1"' })
    expect([response.status, response.text, response.headers['x-range']]).toEqual([200, 'secret: ****', ''])
  })

  it('nor is what the client has: conditions are hidden from the app, and seen in front of dynacode', async () => {
    const conditions = { 'If-None-Match': '"1"', 'If-Modified-Since': 'Tue, 01 Jul 2025 00:00:00 GMT' }
    const seen: unknown[] = []
    const { request } = await startApp({
      plugins: [plugin('body_filter', `return chunk + '!'`)],
      outer: [
        async (ctx, next) => {
          await next()
          seen.push(ctx.get('If-None-Match'))
        },
      ],
      inner(ctx) {
        ctx.status = 200
        ctx.set({ ETag: '"1"', 'Last-Modified': 'Tue, 01 Jul 2025 00:00:00 GMT' })
        if (ctx.fresh || ctx.get('If-None-Match') !== '') ctx.status = 304
        else ctx.body = 'app'
      },
    })
    await request.get('/').set(conditions).expect(200, 'app!')
    // About what is stored, and not about a copy.
    await request.put('/').set(conditions).expect(304)
    expect(seen).toEqual(['"1"', '"1"'])
  })

  it('reaches the app where nothing filters the body', async () => {
    const { request } = await startApp({ plugins: [plugin('access', '')], inner: ranged })
    await request.get('/').set('Range', 'bytes=8-').expect(206, '1234')
  })

  it.each([
    ['open', 206, 'part'],
    ['closed', 503, 'Service Unavailable'],
  ] as const)('answered all the same is a failure of the filter (%s)', async (on_failure, status, text) => {
    const running = await startApp({
      plugins: [plugin('body_filter', `return 'filtered'`, { on_failure })],
      inner(ctx) {
        ctx.set('Content-Range', 'bytes 0-3/10')
        ctx.status = 206
        ctx.body = 'part'
      },
    })
    const response = await running.request.get('/').expect(status, text)
    expect('content-range' in response.headers).toBe(on_failure === 'open')
    expect(failures(running)).toEqual([
      expect.objectContaining({ outcome: on_failure, error: expect.objectContaining({ code: 'ERR_DYNACODE_BODY' }) }),
    ])
  })
})

describe('an encoded body', () => {
  const CODINGS: readonly (readonly [string, (text: string) => Buffer])[] = [
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['GZIP', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['identity', (text) => Buffer.from(text)],
    ['deflate, gzip', (text) => gzipSync(deflateSync(text))],
  ]

  describe.each(CODINGS)('as %s', (coding, encode) => {
    const inner =
      (wrap: (bytes: Buffer) => unknown): Middleware =>
      (ctx) => {
        ctx.set({ 'Content-Encoding': coding, Vary: 'Accept-Encoding' })
        ctx.body = wrap(encode('hello'))
        ctx.type = 'text'
      }

    it.each([
      ['a Buffer', (bytes: Buffer) => bytes, '5'],
      ['a stream', (bytes: Buffer) => Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]), undefined],
      ['a Blob', (bytes: Buffer) => new Blob([bytes]), undefined],
    ])('is decoded for the filter, and sent plain: %s', async (_kind, wrap, length) => {
      const { request, errors } = await startApp({ plugins: [SHOUT], inner: inner(wrap) })
      const response = await request.get('/').expect(200, 'HELLO').expect('Vary', 'Accept-Encoding')
      expect(response.headers['content-length']).toBe(length)
      if (coding !== 'identity') expect(response.headers).not.toHaveProperty('content-encoding')
      expect(errors).toEqual([])
    })

    it('stays encoded as a Buffer that no filter changed', async () => {
      const seen: unknown[] = []
      const { port } = await startApp({
        plugins: [plugin('body_filter', 'seen.push(String(chunk), last)')],
        options: { globals: { seen } },
        inner: inner((bytes) => bytes),
      })
      const got = await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      expect(seen).toEqual(['hello', true])
      expect(got).toContain(`\r\nContent-Encoding: ${coding}\r\n`)
      expect(got.endsWith(encode('hello').toString('latin1'))).toBe(true)
    })
  })

  it.each([
    ['an unknown coding', 'rot13', Buffer.from('uryyb')],
    ['more codings than two', 'gzip, gzip, gzip', gzipSync(gzipSync(gzipSync('hello')))],
    ['bytes that are not what the header says', 'gzip', Buffer.from('hello')],
    ['bytes that end too early', 'gzip', gzipSync('hello').subarray(0, 12)],
    ['text that cannot be gzip', 'gzip', 'hello'],
  ])('cannot be filtered with %s', async (_what, coding, body) => {
    for (const [on_failure, status] of [
      ['open', 200],
      ['closed', 503],
    ] as const) {
      const running = await startApp({
        plugins: [plugin('body_filter', `return 'filtered'`, { on_failure })],
        inner(ctx) {
          ctx.set('Content-Encoding', coding)
          ctx.body = body
        },
      })
      const got = await exchange(running.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      expect(got.startsWith(`HTTP/1.1 ${status} `)).toBe(true)
      expect(got.endsWith(on_failure === 'open' ? Buffer.from(body).toString('latin1') : 'Service Unavailable')).toBe(
        true,
      )
      expect(got.includes('Content-Encoding')).toBe(on_failure === 'open')
      expect(failures(running)).toEqual([
        expect.objectContaining({
          outcome: on_failure,
          error: expect.objectContaining({ code: 'ERR_DYNACODE_BODY' }),
        }),
      ])
      expect(running.errors).toEqual([])
    }
  })

  it('is broken off where a stream is not what its header says', async () => {
    const { uri, errors } = await startApp({
      plugins: [SHOUT],
      inner(ctx) {
        ctx.set('Content-Encoding', 'gzip')
        ctx.body = Readable.from([gzipSync('hello'.repeat(1000)).subarray(0, 30)])
      },
    })
    await expect(fetch(uri).then((response) => response.text())).rejects.toThrow()
    expect(new Set(errors).size).toBe(1)
  })

  it('may be compressed again in front of dynacode', async () => {
    const { request } = await startApp({
      outer: [
        async (ctx, next) => {
          await next()
          ctx.set('Content-Encoding', 'gzip')
          ctx.body = (ctx.body as Readable).pipe(createGzip())
          ctx.type = 'text'
        },
      ],
      plugins: [SHOUT],
      inner: answer(() => Readable.from(['hello'])),
    })
    await request.get('/').expect(200, 'HELLO').expect('Content-Encoding', 'gzip')
  })
})

describe('over HTTP/2', () => {
  const logged: number[] = []
  const setup: TestAppSetup = {
    plugins: [
      SHOUT,
      plugin('header_filter', `ctx.set('X-A', 'a')`),
      plugin('log', 'signal.aborted || write(ctx.status)'),
    ],
    options: { globals: { write: (status: number) => void logged.push(status) } },
  }
  const ask = async (inner: Middleware) => {
    const { port } = await startApp({
      ...setup,
      inner,
      listen: (listener) => createHttp2Server(listener as never) as never,
    })
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':path': '/' })
    const [headers] = await once(stream, 'response')
    const chunks = await stream.toArray()
    session.close()
    return { status: headers[':status'], added: headers['x-a'], text: Buffer.concat(chunks).toString() }
  }

  it('strings, streams, errors and the text that Koa has for a status are filtered, and logged', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error) => warnings.push(warning)
    process.on('warning', warned)
    expect(await ask(answer(() => 'hello'))).toEqual({ status: 200, added: 'a', text: 'HELLO' })
    expect(await ask(answer(() => Readable.from(['he', 'llo'])))).toEqual({ status: 200, added: 'a', text: 'HELLO' })
    expect(await ask(() => undefined)).toEqual({ status: 404, added: 'a', text: '404' })
    expect(await ask((ctx) => ctx.throw(400, 'bad'))).toEqual({ status: 400, added: 'a', text: 'BAD' })
    process.off('warning', warned)
    expect(warnings).toEqual([])
    expect(logged).toEqual([200, 200, 404, 400])
  })
})

it('filters large bodies without a fault', async () => {
  const chunks = Array.from({ length: 64 }, (_, index) => Buffer.alloc(65_536, index))
  const { uri } = await startApp({
    plugins: [plugin('body_filter', 'return Buffer.from(chunk)'), plugin('body_filter', 'await null')],
    inner: answer(() => Readable.from(chunks)),
  })
  const response = await fetch(uri)
  const hash = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex')
  expect(hash(new Uint8Array(await response.arrayBuffer()))).toBe(hash(Buffer.concat(chunks)))
})

function withoutDate(text: string): string {
  return text.replace(/\r\nDate: [^\r]*/, '')
}

/** Reads a response as bytes, for supertest. */
function collect(answer: unknown, done: (error: Error | null, body: Buffer) => void): void {
  const response = answer as NodeJS.ReadableStream
  const chunks: Buffer[] = []
  response.on('data', (chunk) => chunks.push(Buffer.from(chunk)))
  response.on('end', () => done(null, Buffer.concat(chunks)))
}

/** A stream that lets each chunk get out before the next one comes. */
async function* pause(chunks: string[]) {
  for (const chunk of chunks) {
    yield chunk
    await new Promise((done) => setTimeout(done, 10))
  }
}
const slowly = (chunks: string[]) => Readable.from(pause(chunks))

async function* failing(error: Error, before = ['a']) {
  yield* pause(before)
  throw error
}

function createGone() {
  let gone!: () => void
  const promise = new Promise<void>((resolve) => {
    gone = resolve
  })
  return { promise, gone }
}

function onDestroy(gone: () => void) {
  return (error: Error | null, done: (error: Error | null) => void) => {
    gone()
    done(error)
  }
}
