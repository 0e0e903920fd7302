import { PassThrough } from 'node:stream'
import type { Context, Middleware } from 'koa'
import { describe, expect, it, vi } from 'vitest'
import { exchange, failures, plugin, startApp } from '../fixtures/app.ts'

const CORS = plugin('header_filter', `ctx.set('Access-Control-Allow-Origin', '*')`)

/** Ways in which an app can fail, what Koa answers, and what its 'error' event gets. */
const FAILURES: readonly (readonly [string, Middleware, number, string])[] = [
  ['ctx.throw', (ctx) => ctx.throw(409, 'taken'), 409, 'taken'],
  ['ctx.throw with a secret', (ctx) => ctx.throw(502, 'at 10.0.0.1'), 502, 'Bad Gateway'],
  [
    'an Error',
    () => {
      throw new Error('broken')
    },
    500,
    'Internal Server Error',
  ],
  ['an Error, later', () => Promise.reject(new Error('broken')), 500, 'Internal Server Error'],
  [
    'an Error with a status of its own',
    () => {
      throw Object.assign(new Error('gone'), { statusCode: 410, expose: true })
    },
    410,
    'gone',
  ],
  [
    'an Error with a status that is none',
    () => {
      throw Object.assign(new Error('x'), { status: 'ENOENT' })
    },
    500,
    'Internal Server Error',
  ],
  ['something that is no Error', () => Promise.reject({ some: 'thing' }), 500, 'Internal Server Error'],
  ['a string', () => Promise.reject('text'), 500, 'Internal Server Error'],
]

describe('a header_filter', () => {
  it.each(FAILURES)('sets headers of the response to %s', async (_what, inner, status, text) => {
    const { request } = await startApp({ plugins: [CORS], inner })
    const response = await request.get('/').expect(status, text).expect('Access-Control-Allow-Origin', '*')
    expect(response.headers['content-length']).toBe(String(Buffer.byteLength(text)))
    expect(response.headers['content-type']).toBe('text/plain; charset=utf-8')
  })

  it('sets headers of the answer that nobody made', async () => {
    const { request } = await startApp({ plugins: [CORS], inner: () => undefined })
    await request.get('/').expect(404, 'Not Found').expect('Access-Control-Allow-Origin', '*')
  })

  it('sees the error as Koa will answer it: its status, its headers, none of those the app had set', async () => {
    const seen: unknown[] = []
    const { request } = await startApp({
      plugins: [
        plugin('header_filter', `await null; seen.push(ctx.status, ctx.message, ctx.response.headers, ctx.type)`),
      ],
      options: { globals: { seen } },
      inner: (ctx) => {
        ctx.set('X-App', '1')
        ctx.body = 'half done'
        ctx.throw(405, 'no', { headers: { Allow: 'GET' } })
      },
    })
    const response = await request.get('/').expect(405, 'no').expect('Allow', 'GET')
    expect(response.headers).not.toHaveProperty('x-app')
    expect(seen).toEqual([
      405,
      'Method Not Allowed',
      { allow: 'GET', 'content-type': 'text/plain; charset=utf-8' },
      'text/plain',
    ])
  })

  it('removes and changes headers of the error', async () => {
    const { request } = await startApp({
      plugins: [
        plugin('header_filter', `ctx.remove('X-Internal'); ctx.set('Retry-After', '9'); ctx.append('Vary', 'Origin')`),
      ],
      inner: (ctx) => ctx.throw(429, { headers: { 'X-Internal': 'db3', 'Retry-After': '1', Vary: 'Cookie' } }),
    })
    const response = await request.get('/').expect(429).expect('Retry-After', '9').expect('Vary', 'Cookie, Origin')
    expect(response.headers).not.toHaveProperty('x-internal')
  })

  it('sets a header to what the app had set before it failed', async () => {
    const { request } = await startApp({
      plugins: [plugin('header_filter', `ctx.set('Cache-Control', 'no-store')`)],
      inner: (ctx) => {
        ctx.set('Cache-Control', 'no-store')
        ctx.throw(400)
      },
    })
    await request.get('/').expect(400).expect('Cache-Control', 'no-store')
  })

  it('changes the status, the type and the cookies', async () => {
    const { request } = await startApp({
      plugins: [plugin('header_filter', `ctx.status = 503; ctx.type = 'html'; ctx.cookies.set('a', 'b')`)],
      inner: (ctx) => ctx.throw(400, 'bad'),
    })
    await request
      .get('/')
      .expect(503, 'bad')
      .expect('Content-Type', 'text/html; charset=utf-8')
      .expect('Set-Cookie', 'a=b; path=/; httponly')
  })

  it('cannot turn the error into a success by setting a body, or send a wrong length', async () => {
    const { request } = await startApp({
      plugins: [plugin('header_filter', `ctx.body = 'all is well'; ctx.length = 3`)],
      inner: (ctx) => ctx.throw(400, 'bad'),
    })
    await request.get('/').expect(400, 'bad')
  })

  it('runs once when it throws on purpose, and both errors are reported', async () => {
    const ran = vi.fn()
    const { request, errors } = await startApp({
      plugins: [plugin('header_filter', `ran(); ctx.throw(403, 'not you')`)],
      options: { globals: { ran } },
      inner: (ctx) => ctx.throw(400, 'bad'),
    })
    await request.get('/').expect(403, 'not you')
    expect(ran).toHaveBeenCalledOnce()
    expect(errors.map((error) => (error as Error).message)).toEqual(['bad', 'not you'])
  })

  it('answers in place of the error with exit, and the error is still reported', async () => {
    const { request, errors } = await startApp({
      plugins: [plugin('header_filter', `if (ctx.status >= 500) exit(302, '', { Location: '/sorry' })`)],
      inner: () => Promise.reject(new Error('broken')),
    })
    await request.get('/').expect(302, '').expect('Location', '/sorry')
    expect(errors).toEqual([expect.objectContaining({ message: 'broken' })])
  })

  it('answers with exit in place of what is no Error, too, as which Koa would make one of it', async () => {
    const { request, errors } = await startApp({
      plugins: [plugin('header_filter', `exit(502, 'sorry')`)],
      inner: () => Promise.reject('text'),
    })
    await request.get('/').expect(502, 'sorry')
    expect(errors).toEqual([expect.objectContaining({ message: 'non-error thrown: "text"' })])
  })

  it('cannot end the process with what it writes past Koa', async () => {
    for (const code of ['ctx.res.statusCode = 99', `ctx.res.statusCode = 1000`, `ctx.res.statusCode = 'x'`]) {
      const { request } = await startApp({ plugins: [plugin('header_filter', code)], inner: (ctx) => ctx.throw(400) })
      await request.get('/').expect(400, 'Bad Request')
    }
    const { uri, errors } = await startApp({
      plugins: [plugin('header_filter', `ctx.res.end('all of it')`)],
      inner: (ctx) => ctx.throw(400, 'bad'),
    })
    const response = await fetch(uri)
    expect([response.status, await response.text()]).toEqual([400, 'all of it'])
    expect(errors).toEqual([expect.objectContaining({ message: 'bad' })])
  })

  it('that fails leaves the error as it is', async () => {
    const running = await startApp({
      plugins: [plugin('header_filter', `ctx.set('X-A', 'a'); throw new Error('filter')`)],
      inner: (ctx) => ctx.throw(400, 'bad'),
    })
    const { headers } = await running.request.get('/').expect(400, 'bad')
    expect(headers).not.toHaveProperty('x-a')
    expect(failures(running)).toEqual([expect.objectContaining({ outcome: 'open' })])
    expect(running.errors).toEqual([expect.objectContaining({ message: 'bad' })])
  })

  it('runs for errors of an app that had taken the response over, and not when the head was sent', async () => {
    const { request, errors } = await startApp({
      plugins: [CORS],
      inner: (ctx) => {
        ctx.respond = false
        throw new Error('before the head')
      },
    })
    await request.get('/').expect(500).expect('Access-Control-Allow-Origin', '*')

    const late = await startApp({
      plugins: [CORS, plugin('body_filter', `return chunk + '!'`)],
      inner: (ctx) => {
        ctx.res.write('part')
        ctx.res.end()
        throw new Error('after the head')
      },
    })
    await late.request.get('/').expect(404, 'part!!')
    expect([...errors, ...late.errors].map((error) => (error as Error).message)).toEqual([
      'before the head',
      'after the head',
    ])
  })
})

describe('the error of an app', () => {
  it.each([
    ['an Error', new Error('broken')],
    ['a frozen object', Object.freeze({ a: 1 })],
  ])("arrives untouched at the handlers in front, and at the app's event: %s", async (_what, error) => {
    const caught: unknown[] = []
    const keys = Reflect.ownKeys(error)
    const { request, errors } = await startApp({
      plugins: [CORS, plugin('body_filter', `return chunk + '!'`)],
      outer: [
        async (_ctx, next) => {
          try {
            await next()
          } catch (thrown) {
            caught.push(thrown, Reflect.ownKeys(thrown as object))
            throw new Error('of the outer handler', { cause: thrown })
          }
        },
      ],
      inner: () => Promise.reject(error),
    })
    await request.get('/').expect(500, 'Internal Server Error')
    expect(caught[0]).toBe(error)
    expect(caught[1]).toEqual(keys)
    expect((errors[0] as Error).cause).toBe(error)
  })

  it('is the object that Koa reports', async () => {
    const error = new Error('broken')
    const { request, errors } = await startApp({ plugins: [CORS], inner: () => Promise.reject(error) })
    await request.get('/').expect(500)
    expect(errors[0]).toBe(error)
    expect(errors).toHaveLength(1)
  })

  it('keeps its stack, without a frame of plugins', async () => {
    const { request, errors } = await startApp({
      plugins: [plugin('access', ''), CORS],
      inner: function failing() {
        throw new Error('broken')
      },
    })
    await request.get('/').expect(500)
    expect((errors[0] as Error).stack).toMatch(/at failing/)
    expect((errors[0] as Error).stack).not.toMatch(/dynacode:plugin/)
  })
})

describe('an error handler in front of dynacode', () => {
  const handler: Middleware = async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      ctx.body = { message: (error as Error).message, leftover: ctx.response.get('X-App') }
    }
  }

  it('finds the response as the app left it, with what the header filters set', async () => {
    const { request } = await startApp({
      plugins: [plugin('header_filter', `ctx.set('X-A', 'a'); ctx.remove('X-Gone'); ctx.status = 418`), CORS],
      outer: [handler],
      inner: (ctx) => {
        ctx.set({ 'X-App': 'app', 'X-Gone': '1' })
        throw new Error('broken')
      },
    })
    const response = await request.get('/').expect({ message: 'broken', leftover: 'app' })
    // The handler chose no status: as without plugins, a body means 200.
    expect([response.status, response.headers]).toEqual([
      200,
      expect.objectContaining({ 'x-a': 'a', 'access-control-allow-origin': '*', 'x-app': 'app' }),
    ])
  })

  it('sends a stream of its own, and the text of later errors stays its own', async () => {
    const { request } = await startApp({
      plugins: [CORS, plugin('body_filter', `return chunk + '!'`)],
      outer: [
        async (ctx, next) => {
          await next().catch(() => undefined)
          ctx.body = new PassThrough().end('sorry')
        },
      ],
      inner: (ctx) => ctx.throw(400),
    })
    const response = await request.get('/').expect(200)
    expect(response.body.toString()).toBe('sorry')
  })
})

describe('what header filters set', () => {
  it('is in the response to what a later one, or a body filter, throws on purpose', async () => {
    const set = plugin('header_filter', `ctx.set('Strict-Transport-Security', 'max-age=9'); ctx.type = 'html'`)
    const thrower = (phase: 'header_filter' | 'body_filter', begin = '') =>
      plugin(phase, `${begin}; ctx.throw(403, 'no', { headers: { 'X-Error': '1' } })`, {
        when: { paths: [`/${phase}`] },
      })
    const { request } = await startApp({
      plugins: [set, thrower('header_filter', `ctx.set('X-B', 'b')`), thrower('body_filter', 'await null')],
      inner: (ctx) => {
        ctx.set('X-App', '1')
        ctx.body = 'app'
      },
    })
    for (const path of ['/header_filter', '/body_filter']) {
      const { headers } = await request.get(path).expect(403, 'no').expect('Strict-Transport-Security', 'max-age=9')
      expect(headers).toMatchObject({ 'x-error': '1', 'content-type': 'text/plain; charset=utf-8' })
      expect(headers).not.toHaveProperty('x-app')
      expect(headers['x-b']).toBe(path === '/header_filter' ? 'b' : undefined)
    }
  })

  it('is added to what the app had set, where a handler in front of dynacode answers', async () => {
    const { request } = await startApp({
      plugins: [
        plugin('header_filter', `ctx.vary('Origin'); ctx.append('Link', '<b>'); ctx.cookies.set('b', '2'); await null`),
      ],
      outer: [
        async (ctx, next) => {
          await next().catch((error) => {
            ctx.status = 418
            ctx.body = { message: error.message }
          })
        },
      ],
      inner: (ctx) => {
        ctx.vary('Cookie')
        ctx.append('Link', '<a>')
        ctx.cookies.set('a', '1')
        throw new Error('broken')
      },
    })
    const { headers } = await request.get('/').expect(418, { message: 'broken' })
    expect(headers).toMatchObject({ vary: 'Cookie, Origin', link: '<a>, <b>' })
    expect(headers['set-cookie']).toEqual(['a=1; path=/; httponly', 'b=2; path=/; httponly'])
  })

  it('is there of each of two instances, one inside the other', async () => {
    const body = (text: string) => plugin('body_filter', `return chunk + ' ${text}'`)
    const inner = await startApp({
      plugins: [plugin('header_filter', `ctx.append('Vary', 'Inner'); await null`), body('inner')],
    })
    const { request } = await startApp({
      plugins: [plugin('header_filter', `ctx.append('Vary', 'Outer'); await null`), body('outer')],
      inner: [inner.dyna, (ctx) => ctx.throw(400, 'bad', { headers: { Vary: 'App' } })],
    })
    await request.get('/').expect(400, 'bad inner outer').expect('Vary', 'App, Inner, Outer')
  })
})

describe('a body_filter', () => {
  const SHOUT = plugin('body_filter', `return String(chunk).toUpperCase() + '!'`)

  it.each(FAILURES)('filters the text of %s', async (_what, inner, status, text) => {
    const { request } = await startApp({ plugins: [SHOUT], inner })
    const filtered = `${text.toUpperCase()}!`
    const response = await request.get('/').expect(status, filtered)
    expect(response.headers['content-length']).toBe(String(filtered.length))
  })

  it('gets the text once, as the last chunk', async () => {
    const seen: unknown[] = []
    const { request } = await startApp({
      plugins: [plugin('body_filter', `await null; seen.push([chunk, last, ctx.status])`)],
      options: { globals: { seen } },
      inner: (ctx) => ctx.throw(400, 'bad'),
    })
    await request.get('/').expect(400, 'bad')
    expect(seen).toEqual([['bad', true, 400]])
  })

  it('may drop the text', async () => {
    const { request } = await startApp({
      plugins: [plugin('body_filter', `return null`)],
      inner: (ctx) => ctx.throw(400, 'bad'),
    })
    await request.get('/').expect(400, '').expect('Content-Length', '0')
  })

  it('has the length of the filtered text in the answer to HEAD', async () => {
    const { port } = await startApp({ plugins: [SHOUT], inner: (ctx) => ctx.throw(400, 'bad') })
    const answer = await exchange(port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request\r\n(.*\r\n)*Content-Length: 4\r\n(.+\r\n)*\r\n$/i)
  })
})

it('leaves errors to Koa alone where no filter is concerned', async () => {
  const onerror: unknown[] = []
  const { request } = await startApp({
    plugins: [plugin('access', '')],
    outer: [
      async (ctx: Context, next) => {
        await next().finally(() => onerror.push(Object.hasOwn(ctx, 'onerror')))
      },
    ],
    inner: (ctx) => ctx.throw(400),
  })
  await request.get('/').expect(400)
  expect(onerror).toEqual([false])
})
