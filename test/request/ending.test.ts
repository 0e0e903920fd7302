import { PassThrough, Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createDeferred, exchange, failures, plugin, startApp } from '../fixtures/app.ts'
import { payloadsOf } from '../fixtures/instance.ts'

describe('what a plugin ends a request with', () => {
  it.each([
    ['nothing: the words of the status', 'exit(403)', 'Forbidden', 'text/plain; charset=utf-8'],
    ['text', `exit(403, 'no')`, 'no', 'text/plain; charset=utf-8'],
    ['an empty text', `exit(403, '')`, '', 'text/plain; charset=utf-8'],
    ['HTML', `exit(403, '<p>no</p>')`, '<p>no</p>', 'text/html; charset=utf-8'],
    ['an object', `exit(403, { a: 1 })`, '{"a":1}', 'application/json; charset=utf-8'],
    ['a number', `exit(403, 7)`, '7', 'text/plain; charset=utf-8'],
    ['zero', `exit(403, 0)`, '0', 'text/plain; charset=utf-8'],
    ['false', `exit(403, false)`, 'false', 'text/plain; charset=utf-8'],
    ['a big number', `exit(403, 10n)`, '10', 'text/plain; charset=utf-8'],
    ['null: no body at all', `exit(403, null)`, '', undefined],
    ['bytes', `exit(403, Buffer.from('no'))`, 'no', 'application/octet-stream'],
    [
      'a type of its own',
      `exit(403, '{}', { 'Content-Type': 'application/problem+json' })`,
      '{}',
      'application/problem+json',
    ],
  ])('is sent as Koa sends it: %s', async (_what, code, text, type) => {
    const running = await startApp({ plugins: [plugin('access', code)] })
    const answer = await exchange(running.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(answer.startsWith('HTTP/1.1 403 Forbidden\r\n')).toBe(true)
    expect(answer.slice(answer.indexOf('\r\n\r\n') + 4)).toBe(text)
    expect(/^content-type: (.*)$/im.exec(answer)?.[1]?.trim()).toBe(type)
    expect(/^content-length: (.*)$/im.exec(answer)?.[1]?.trim()).toBe(String(text.length))
    expect([...failures(running), ...running.errors]).toEqual([])
  })

  it('may be a stream', async () => {
    const { request } = await startApp({
      plugins: [plugin('access', `ctx.type = 'text'; exit(200, Readable.from(['a', 'b']))`)],
      options: { globals: { Readable } },
    })
    const response = await request.get('/').buffer(true).expect(200)
    expect(String(response.body)).toBe('ab')
  })

  it('may have no body, whatever is given', async () => {
    const { request } = await startApp({ plugins: [plugin('access', `exit(204, 'text')`)] })
    const response = await request.get('/').expect(204, '')
    expect(response.headers).not.toHaveProperty('content-type')
  })

  it.each([
    ['a header with a line break', `exit(403, 'no', { 'X-A': 'a\\r\\nSet-Cookie: evil=1' })`],
    ['a header beyond ASCII', `exit(403, 'no', { 'X-A': '\\u2028' })`],
    ['a header whose name is none', `exit(403, 'no', { 'X A': 'a' })`],
    ['headers that throw', `exit(403, 'no', { get a() { throw 1 } })`],
    ['a function as its body', `exit(403, () => 'no')`],
    ['a symbol as its body', `exit(403, Symbol('no'))`],
  ])('refuses all the same with %s, and says what is wrong', async (_what, code) => {
    const running = await startApp({ plugins: [plugin('access', code)] })
    const response = await running.request.get('/').expect(403, 'Forbidden')
    expect(response.headers).not.toHaveProperty('set-cookie')
    expect(payloadsOf(running.seen, 'on_error')).toEqual([expect.objectContaining({ section: 'request' })])
  })

  it('is an error where only part of it could be sent, with a status of success', async () => {
    const { request } = await startApp({ plugins: [plugin('access', `exit(200, 'yes', { 'X A': 'a' })`)] })
    await request.get('/').expect(500, 'Internal Server Error')
  })

  it('is an error of the app, as always in Koa, where its JSON cannot be made', async () => {
    const { request, errors } = await startApp({
      plugins: [plugin('access', 'const a = {}; a.a = a; exit(403, a)')],
    })
    await request.get('/').expect(500)
    expect(errors).toEqual([expect.any(TypeError)])
  })
})

describe('an answer that is replaced', () => {
  it('loses the headers that speak of its body, and keeps the others', async () => {
    const { port } = await startApp({
      plugins: [plugin('header_filter', `exit(403, 'no', { 'X-B': 'b' })`)],
      inner(ctx) {
        ctx.set({
          ETag: '"1"',
          'Cache-Control': 'public, max-age=3600',
          Expires: 'x',
          'Last-Modified': 'x',
          'Content-Language': 'de',
          'Content-Encoding': 'gzip',
          'Content-Disposition': 'attachment',
          'Accept-Ranges': 'bytes',
          'X-A': 'a',
          'Set-Cookie': 'a=1',
        })
        ctx.body = Buffer.from('secret')
      },
    })
    const answer = await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const [head = '', body] = answer.split('\r\n\r\n')
    const names = head
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(':')[0]?.toLowerCase())
    expect(body).toBe('no')
    expect(names.sort()).toEqual(['connection', 'content-length', 'content-type', 'date', 'set-cookie', 'x-a', 'x-b'])
  })

  it.each([
    ['JSON', { a: 1 }],
    ['null', null],
    ['text', 'text'],
  ])('leaves nothing of itself, so that the words of the status are sent: %s', async (_what, body) => {
    const { request } = await startApp({
      plugins: [plugin('header_filter', 'exit(403)')],
      inner(ctx) {
        ctx.body = body
      },
    })
    await request.get('/').expect(403, 'Forbidden').expect('Content-Type', /plain/)
  })

  it('is freed where it is a stream that nobody will read', async () => {
    const source = new PassThrough()
    const closed = createDeferred()
    source.once('close', closed.resolve)
    const { request, errors } = await startApp({
      plugins: [plugin('header_filter', 'exit(403)')],
      inner(ctx) {
        ctx.body = source
      },
    })
    await request.get('/').expect(403)
    await closed.promise
    expect(errors).toEqual([])
  })

  it('keeps the headers that plugins had set before the app was asked', async () => {
    const { request } = await startApp({
      plugins: [
        plugin('rewrite', `ctx.set('Access-Control-Allow-Origin', '*'); ctx.set('Cache-Control', 'no-store')`),
        plugin('access', 'exit(401)'),
      ],
    })
    await request.get('/').expect(401).expect('Access-Control-Allow-Origin', '*').expect('Cache-Control', 'no-store')
  })

  it.each([
    ['exit', `exit(403, 'no')`, {}],
    ['exit, later', `await null; exit(403, 'no')`, {}],
    ['ctx.throw', `ctx.throw(403)`, {}],
    ['a failure that closes', `throw new Error('oops')`, { on_failure: 'closed' }],
  ])('is cut once its head is out, with an event: %s', async (_how, code, fields) => {
    const { uri, seen, errors } = await startApp({
      plugins: [plugin('header_filter', code, fields)],
      inner(ctx) {
        ctx.status = 200
        ctx.flushHeaders()
        ctx.body = ctx.path === '/text' ? 'secret' : Readable.from(['secret'])
      },
    })
    for (const path of ['/text', '/stream']) {
      await expect(fetch(uri + path).then((response) => response.text())).rejects.toThrow()
    }
    const told = seen.filter(({ name }) => name === 'on_error' || name === 'rt_plugins_error')
    expect(told.length + errors.length).toBe(2)
  })

  it('takes the place of what the app writes past Koa later, which harms nothing', async () => {
    const wrote: string[] = []
    for (const [code, fields, status] of [
      [`exit(403, 'no')`, {}, 403],
      [`oops()`, { on_failure: 'closed' }, 503],
    ] as const) {
      const { uri } = await startApp({
        plugins: [plugin('header_filter', code, fields)],
        inner(ctx) {
          ctx.respond = false
          setTimeout(() => {
            ctx.res.setHeader('X-Late', '1')
            ctx.res.writeHead(200, { 'X-Late': '1' })
            ctx.res.write('sec')
            ctx.res.end('ret')
            wrote.push('all')
          }, 10)
        },
      })
      const response = await fetch(uri)
      expect([response.status, await response.text()]).toEqual([status, status === 403 ? 'no' : 'Service Unavailable'])
    }
    await expect.poll(() => wrote).toEqual(['all', 'all'])
  })
})

describe('the headers of exit()', () => {
  it.each([
    ['Headers', `new Headers([['a', '1'], ['b', '2'], ['set-cookie', 'x=1'], ['set-cookie', 'y=2']])`],
    ['a Map', `new Map([['a', '1'], ['b', '2'], ['set-cookie', ['x=1', 'y=2']]])`],
    ['pairs', `[['a', '1'], ['b', '2'], ['set-cookie', 'x=1'], ['set-cookie', 'y=2']]`],
    ['an object', `{ a: '1', b: 2, 'set-cookie': ['x=1', 'y=2'] }`],
  ])('may be %s', async (_what, headers) => {
    const { request } = await startApp({ plugins: [plugin('access', `exit(200, 'x', ${headers})`)] })
    const response = await request.get('/').expect(200, 'x')
    expect(response.headers).toMatchObject({ a: '1', b: '2', 'set-cookie': ['x=1', 'y=2'] })
  })
})
