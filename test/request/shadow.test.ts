import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import type { Context, Middleware } from 'koa'
import { describe, expect, it, vi } from 'vitest'
import type { Phase } from '../../lib/index.ts'
import { exchange, plugin, startApp, type TestAppSetup } from '../fixtures/app.ts'

/** An app that answers with a stream of what it was sent, and a plugin in shadow mode in front of it. */
async function startShadowed(phase: Phase, code: string, setup: TestAppSetup = {}) {
  const on_shadow = vi.fn()
  const running = await startApp({
    plugins: [plugin(phase, code, { mode: 'shadow', on_failure: 'closed' })],
    inner: async (ctx) => {
      const sent = Buffer.concat(await ctx.req.toArray()).toString()
      ctx.set('X-State', Object.keys(ctx.state).join())
      ctx.type = 'text'
      ctx.body = Readable.from([`${ctx.method} `, sent])
    },
    ...setup,
    options: { ...setup.options, on_shadow },
  })
  return { ...running, effects: () => on_shadow.mock.calls.map(([{ effects }]) => effects as string[]) }
}

describe('a plugin in shadow mode', () => {
  it.each<[string, Phase, string, string[]]>([
    ['ends the request', 'access', `exit(403, 'no')`, ['exit 403']],
    ['throws', 'access', `throw new Error('broken')`, ['exit 503', 'threw broken']],
    ['throws on purpose', 'access', `await null; ctx.throw(403)`, ['threw Forbidden']],
    ['throws what has no text', 'access', `throw Object.create(null)`, ['exit 503', 'threw what has no text']],
    [
      'throws what throws',
      'access',
      `await null; throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } })`,
      ['exit 503', 'threw what has no text'],
    ],
    ['leaves a circle in the state', 'access', `await null; const a = {}; a.a = a; ctx.state.a = a`, ['state a']],
    ['leaves no state', 'access', `ctx.state = null`, ['changed what has no text']],
    ['changes the request', 'rewrite', `ctx.method = 'PUT'; ctx.path = '/b'`, ['method: POST → PUT', 'url: / → /b']],
    ['changes the state', 'rewrite', `ctx.state.user = 'ann'`, ['set state user: ann']],
    ['reads the request', 'access', `for await (const chunk of ctx.req) ctx.state.read = true`, []],
    ['ends the request stream', 'access', `ctx.req.destroy()`, []],
    ['ends the response', 'access', `ctx.res.end('shadow')`, ['sent a response of its own']],
    ['answers', 'content', `ctx.body = 'shadow'`, expect.arrayContaining(['status: 404 → 200', 'body: 0 → 6 bytes'])],
    ['answers what cannot be JSON', 'content', `ctx.body = { a: 1n }`, expect.arrayContaining(['body: 0 → ? bytes'])],
    [
      'replaces a streamed body',
      'header_filter',
      `ctx.body = 'shadow'`,
      ['body: ? → 6 bytes', 'set content-length: 6'],
    ],
    ['says something', 'header_filter', `say('shadow')`, ['body: ? → 7 bytes', 'set content-length: 7']],
    ['empties the response', 'header_filter', `ctx.status = 204`, expect.arrayContaining(['status: 200 → 204'])],
    [
      'sets a header',
      'header_filter',
      `ctx.set('X-A', 'a'); ctx.remove('Content-Type')`,
      ['remove content-type', 'set x-a: a'],
    ],
  ])('changes nothing, and tells what it would have: it %s', async (_what, phase, code, effects) => {
    const { uri, errors, seen, effects: told } = await startShadowed(phase, code)
    const response = await fetch(uri, { method: 'POST', body: 'hello' })
    expect([response.status, await response.text()]).toEqual([200, 'POST hello'])
    expect(response.headers.get('x-state')).toBe('')
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    await vi.waitFor(() => expect(told()).toEqual([effects]), { interval: 1 })
    expect([...errors, ...seen]).toEqual([])
  })

  it.each(['', 'await null; '])('leaves the chunks of a body as they are (%j)', async (later) => {
    const code = `${later}const bytes = chunk.fill(0); if (!last) return 'shadow'; const a = {}; a.a = a; return a`
    const { request, effects } = await startShadowed('body_filter', code, {
      inner: (ctx) => {
        ctx.type = 'text'
        ctx.body = Readable.from([Buffer.from('he'), Buffer.from('llo')])
      },
    })
    await request.get('/').expect(200, 'hello')
    await vi.waitFor(() => expect(effects()).toHaveLength(3), { interval: 1 })
    expect(effects()).toEqual([['body: 2 → 6 bytes'], ['body: 3 → 6 bytes'], ['body: 0 → ? bytes']])
  })

  it.each([
    ['a stream', () => Readable.from(['hello'])],
    ['an encoded stream', () => Readable.from([gzipSync('hello')])],
    ['an encoded Buffer', () => gzipSync('hello')],
    ['a Buffer', () => Buffer.from('hello')],
    ['a part', () => 'ell'],
    ['nothing but headers', () => undefined],
  ])('leaves a response byte for byte as it is: %s', async (what, make) => {
    const inner: Middleware = (ctx) => {
      ctx.set({ ETag: '"1"', 'Accept-Ranges': 'bytes', 'X-Range': ctx.get('Range') })
      ctx.status = what === 'a part' ? 206 : 200
      if (what.includes('encoded')) ctx.set('Content-Encoding', 'gzip')
      const body = make()
      if (body !== undefined) ctx.body = body
      if (what === 'a stream') ctx.length = 5
    }
    const plain = await startApp({ inner })
    const shadowed = await startShadowed('body_filter', `return 'shadow'`, { inner })
    for (const method of ['GET', 'HEAD']) {
      const text = `${method} / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-3\r\nConnection: close\r\n\r\n`
      const [expected, got] = await Promise.all([plain.port, shadowed.port].map((port) => exchange(port, text)))
      const withoutDate = (answer = '') => answer.replace(/\r\nDate: [^\r]*/, '')
      expect(withoutDate(got)).toBe(withoutDate(expected))
    }
  })

  it.each([
    ['sets a cookie, where the app has set some', 'header_filter', `ctx.cookies.set('shadow', '1')`],
    ['sets a cookie, where a condition has asked for one', 'access', `ctx.cookies.set('shadow', '1')`],
    ['changes the query', 'access', `ctx.query.a = 'shadow'`],
    ['changes the body where it is', 'header_filter', `ctx.body.items[0].price = 0; ctx.body.items.push('shadow')`],
    ['adds to a header', 'header_filter', `ctx.append('Set-Cookie', 'shadow=1')`],
    ['adds to a header of the request', 'rewrite', `ctx.headers.cookie += '; shadow=1'`],
  ] as const)('keeps to its own what Koa shares: it %s', async (_what, phase, code) => {
    const inner: Middleware = (ctx) => {
      ctx.cookies.set('one', '1')
      ctx.cookies.set('two', '2')
      ctx.body = { a: ctx.query.a, sent: ctx.get('cookie'), items: [{ price: 5 }] }
    }
    const outer: Middleware = (ctx, next) => (ctx.query.a ? next() : undefined)
    const when = { cookies: { sid: '7' }, query: { a: '1' } }
    const on_fail = vi.fn()
    const options = { on_fail }
    const shadow = plugin(phase, code, { mode: 'shadow', when })
    const { request } = await startApp({ plugins: [shadow], outer: [outer], inner, options })
    const { headers } = await request
      .get('/?a=1')
      .set('Cookie', 'sid=7')
      .expect(200, { a: '1', sent: 'sid=7', items: [{ price: 5 }] })
    expect(headers['set-cookie']).toEqual(['one=1; path=/; httponly', 'two=2; path=/; httponly'])
    expect(on_fail).not.toHaveBeenCalled()
  })

  describe.each([
    ['what a body parser has left', 'ctx.request.body', (ctx: Context) => ctx.request],
    ['what it has hung on the request of Node', 'ctx.req.body', (ctx: Context) => ctx.request],
    ['the state', 'ctx.state.body', (ctx: Context) => ctx.state],
  ] as const)('keeps to its own %s:', (_what, path, holderOf) => {
    const shared = { n: 1 }
    const circle: unknown[] = [1]
    circle.push({ circle })

    it.each<[string, () => unknown, string]>([
      ['an object', () => ({ a: { b: [{ c: 1 }] } }), 'it.a.b[0].c = 22'],
      ['one without prototype', () => Object.assign(Object.create(null), { a: { b: 1 } }), 'it.a.b = 22'],
      ['an array', () => [[1], 2], 'it[0].push(3)'],
      ['a Map', () => ({ map: new Map([[{ key: 1 }, { a: 1 }]]) }), 'for (const [k, v] of it.map) k.key = v.a = 22'],
      ['a Map at the top', () => new Map([['a', 1]]), `it.set('b', 2)`],
      ['a Set', () => ({ set: new Set([{ a: 1 }]) }), 'for (const v of it.set) v.a = 22'],
      ['a Set at the top', () => new Set([1]), 'it.add(2)'],
      ['a Date', () => ({ date: new Date(0) }), 'it.date.setFullYear(12_000)'],
      ['a Buffer', () => ({ bytes: Buffer.from('hello') }), `it.bytes.fill('a'); it.more = 1`],
      ['a Buffer at the top', () => Buffer.from('hello'), `it.fill('a')`],
      ['other bytes', () => [new Uint8Array([1, 2])], 'it[0][0] = 3; it.push(4)'],
      ['what is there twice', () => [shared, shared], 'it[0].n = 22'],
    ])('%s', async (_kind, make, change) => {
      const outer: Middleware = (ctx, next) => {
        const holder = holderOf(ctx) as { body?: unknown }
        holder.body = (ctx.req as { body?: unknown }).body = make()
        return next()
      }
      const inner: Middleware = (ctx) => {
        ctx.body = inspect([holderOf(ctx).body, (ctx.req as { body?: unknown }).body], { depth: 9 })
      }
      const { request, effects } = await startShadowed('access', `const it = ${path}; ${change}`, {
        outer: [outer],
        inner,
      })
      const expected = make()
      await request.get('/').expect(200, inspect([expected, expected], { depth: 9 }))
      const told = path === 'ctx.state.body' ? /^state body: .+ → / : /^request body: \d+ → \d+ bytes$/
      expect(effects()).toEqual([[expect.stringMatching(told)]])
    })

    it('what no stack has room for, and circles', async () => {
      const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)
      for (const body of [deep, circle]) {
        const length = body.length
        const outer: Middleware = (ctx, next) => {
          const holder = holderOf(ctx) as { body?: unknown }
          holder.body = (ctx.req as { body?: unknown }).body = body
          return next()
        }
        const { request } = await startShadowed('access', `${path}.push(1)`, { outer: [outer], inner: 'app' })
        await request.get('/').expect(200, 'app')
        expect(body).toHaveLength(length)
      }
    })
  })

  it('leaves to the app what it has in its request besides data', async () => {
    class Upload {
      size = 1
    }
    const upload = new Upload()
    const outer: Middleware = (ctx, next) => {
      Object.assign(ctx.request, { body: { upload } })
      return next()
    }
    const code = 'ctx.request.body.upload.size += 1'
    const { request } = await startShadowed('access', code, { outer: [outer], inner: 'app' })
    await request.get('/').expect(200, 'app')
    expect(upload.size).toBe(2)
  })

  it('neither reads a parsed body that is a stream, nor asks for one that is made when it is asked for', async () => {
    const get = vi.fn(() => 'made')
    const outer: Middleware = (ctx, next) => {
      if (ctx.path === '/stream') Object.assign(ctx.request, { body: Readable.from(['from ', 'the app']) })
      else Object.defineProperty(ctx.request, 'body', { get, configurable: true })
      return next()
    }
    const inner: Middleware = async (ctx) => {
      const { body } = ctx.path === '/stream' ? (ctx.request as unknown as { body: Readable }) : {}
      ctx.body = body === undefined ? 'app' : (await body.toArray()).join('')
    }
    const code = `if (ctx.path === '/stream') for await (const chunk of ctx.request.body) exit(403)`
    const { request, effects } = await startShadowed('access', code, { outer: [outer], inner })
    await request.get('/stream').expect(200, 'from the app')
    await request.get('/').expect(200, 'app')
    expect(get).not.toHaveBeenCalled()
    await vi.waitFor(() => expect(effects()).toEqual([[], []]), { interval: 1 })
  })

  it('leaves alone an app whose state throws on being looked at', async () => {
    const outer: Middleware = (ctx, next) => {
      const get = () => {
        throw new Error('not now')
      }
      Object.defineProperty(ctx.state, 'a', { enumerable: true, get })
      return next()
    }
    const { request, effects } = await startShadowed('access', `exit(403)`, { outer: [outer], inner: 'app' })
    await request.get('/').expect(200, 'app')
    expect(effects()).toEqual([['threw not now']])
  })

  it('leaves a body that is a circle to the app, which fails with it', async () => {
    const inner: Middleware = (ctx) => {
      const body: Record<string, unknown> = {}
      body.body = body
      ctx.body = body
    }
    const { request, errors, effects } = await startShadowed('header_filter', `ctx.set('X-A', 'a')`, { inner })
    await request.get('/').expect(500)
    expect(String(errors[0])).toContain('circular')
    expect(effects()).toEqual([['set x-a: a']])
  })

  it('refuses nobody, where it fails closed and cannot run: with broken code, after close()', async () => {
    const broken = await startShadowed('access', 'exit(403', { inner: 'app' })
    await broken.request.get('/').expect(200, 'app')
    const closed = await startShadowed('access', 'exit(403)', { inner: 'app' })
    await closed.dyna.close()
    await closed.request.get('/').expect(200, 'app')
  })

  it('does not hold up the request', async () => {
    const { request } = await startShadowed('access', 'await new Promise(() => {})', { inner: 'app' })
    await request.get('/').expect(200, 'app')
  })

  it('runs over HTTP/2, too', async () => {
    const { port, effects } = await startShadowed('access', `ctx.set('X-A', ctx.host); exit(403)`, {
      inner: 'app',
      listen: (listener) => createHttp2Server(listener as never) as never,
    })
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':path': '/', ':authority': 'a.com' })
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('app')
    session.close()
    expect(effects()).toEqual([['exit 403', 'set x-a: a.com']])
  })
})
