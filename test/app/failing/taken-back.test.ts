import { AsyncLocalStorage } from 'node:async_hooks'
import { createReadStream } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Context } from 'koa'
import { describe, expect, it } from 'vitest'
import { failures, plugin, startApp } from '../../fixtures/app.ts'

/** What the app sees and says. */
function echo(ctx: Context): void {
  ctx.set('X-App', ['1', '2'])
  ctx.set('X-One', '1')
  ctx.cookies.set('app', '1')
  ctx.body = { method: ctx.method, url: ctx.url, path: ctx.path, query: ctx.query, token: ctx.get('X-Token') }
}

/** What a plugin may do before it fails, by what it does it to. */
const DEEDS: readonly (readonly [string, string])[] = [
  ['the method', `ctx.method = 'DELETE'`],
  ['the address', `ctx.url = '/elsewhere?b=2'`],
  ['the path', `ctx.path; ctx.path = '/elsewhere'`],
  ['the query', `ctx.query = { b: '2' }`],
  ['a request header', `ctx.request.headers['x-token'] = 'admin'`],
  ['all the request headers', `ctx.req.headers = { 'x-token': 'admin' }`],
  ['a request header, by another name for it', `const { headers } = ctx.req; headers['x-token'] = 'admin'`],
  ['a request header that was there', `delete ctx.headers['x-sent']; ctx.headers['x-token'] ??= 'admin'`],
  ['the status', `ctx.status = 201`],
  ['the message', `ctx.status = 200; ctx.message = 'Fine'`],
  ['a header', `ctx.set('X-Left', '1')`],
  ['headers', `ctx.res.setHeaders(new Headers({ 'X-Left': '1' })); ctx.append('X-Left', '2')`],
  ['a header that is removed', `ctx.remove('Date'); ctx.remove('Connection'); ctx.remove('X-App')`],
  ['a header that is added to', `ctx.append('X-App', 'x'); ctx.res.appendHeader('X-App', 'y')`],
  ['a header of one value that is added to', `ctx.res.appendHeader('X-One', 'x'); ctx.res.appendHeader('X-One', 'y')`],
  ['a header that is added to in place', `const list = ctx.res.getHeader('X-App'); if (list) list.push('x')`],
  ['the cookies', `ctx.cookies.set('left', '1'); ctx.cookies.set('left2', '1')`],
  ['the type', `ctx.type = 'html'; ctx.vary('X'); ctx.etag = 'x'; ctx.length = 3`],
  ['what it varies by', `ctx.vary('X-Left')`],
  ['an attachment', `ctx.attachment('left.txt')`],
  ['the type alone', `ctx.type = 'html'`],
  ['the length alone', `ctx.length = 3`],
  ['the ETag and its date', `ctx.etag = 'x'; ctx.lastModified = new Date(0)`],
  ['a cookie that it reads, and one that it sets', `if (!ctx.cookies.get('none')) ctx.cookies.set('left', '1')`],
  [
    'headers past Koa',
    `ctx.res.setHeader('X-Left', '1'); ctx.res.setHeader('X-One', '2'); ctx.res.removeHeader('X-App')`,
  ],
  ['headers whose names it makes', `for (const name of ['X-Left', 'X-App']) ctx.set(name, '1')`],
  ['a redirect', `ctx.redirect('/elsewhere')`],
  ['the body, by a string', `ctx.body = 'half'`],
  ['the body, by a Buffer', `ctx.body = Buffer.from('half')`],
  ['the body, by JSON', `ctx.body = { half: true }`],
  ['the body, by a stream', `ctx.body = Readable.from(['half'])`],
  ['the body, by a web stream', `ctx.body = new Blob(['half']).stream()`],
  ['the body, by a Response', `ctx.body = new Response('half', { status: 202, headers: { 'X-Left': '1' } })`],
  ['the body, taken away', `ctx.body = null`],
  ['the body, by lines', `say('half'); say('half')`],
  ['who responds', `ctx.respond = false`],
]

/** The same by ways that a look at the code does not go. */
const DETOURS: readonly (readonly [string, string])[] = [
  ['another name', `const c = ctx; c.body = 'half'; c.set('X-Left', '1')`],
  ['a name for a part', `const { req, response } = ctx; req.url = '/elsewhere'; response.set('X-Left', '1')`],
  ['the other part', `ctx.response.ctx.body = 'half'; ctx.request.response.set('X-Left', '1')`],
  [
    'Object.assign',
    `Object.assign(ctx, { body: 'half', path: '/elsewhere' }); Object.assign(ctx.response, { status: 201 })`,
  ],
  ['Reflect', `Reflect.set(ctx, 'status', 201); Reflect.apply(ctx.set, ctx, ['X-Left', '1'])`],
  ['a computed name', `ctx['bo' + 'dy'] = 'half'; ctx['se' + 't']('X-Left', '1')`],
  ['a helper of the app', `helper(ctx)`],
  ['a helper that knows the context', `helper()`],
  ['a helper in the store', `store.get('helper')(ctx)`],
  ['a context in the store', `store.set('ctx', ctx); store.get('ctx').set('X-Left', '1')`],
  ['a method by itself', `const set = ctx.set.bind(ctx); set('X-Left', '1')`],
  ['destructuring', `[ctx.status, ctx.type] = [201, 'html']; ({ path: ctx.path } = { path: '/elsewhere' })`],
  ['a loop', `for (ctx.status of [201, 202]) ctx.type = 'html'`],
  ['eval', `eval("ctx.status = 201; ctx.set('X-Left', '1')")`],
  ['Function', `new Function('c', "c.status = 201; c.set('X-Left', '1')")(ctx)`],
  ['this', `(function () { this.status = 201; this.set('X-Left', '1') }).call(ctx)`],
  ['arguments', `(function () { arguments[0].set('X-Left', '1') })(ctx)`],
  ['an inner function', `const left = () => { ctx.set('X-Left', '1'); ctx.status = 201 }; [1].forEach(left)`],
  ['a promise', `await Promise.resolve().then(() => { ctx.set('X-Left', '1'); ctx.path = '/elsewhere' })`],
  ['a timer', `await new Promise((done) => setTimeout(() => done(ctx.set('X-Left', '1')), 1))`],
  ['an inherited setter', `const o = { __proto__: ctx }; o.status = 201; o.set('X-Left', '1')`],
  ['a class', `class C { static c = ctx } C.c.status = 201; C.c.set('X-Left', '1')`],
  ['lists of headers', `ctx.set({ 'X-Left': '1', 'X-App': '3' }); ctx.cookies.set('left', '1')`],
  ['a list that is there', `const app = ctx.response.get('Set-Cookie'); if (app) app.push('left=1')`],
  [
    'what it names',
    `ctx.set('X-Left', '1'); ctx.append('X-App', 'x'); ctx.remove('Set-Cookie'); ctx.status = 201; ctx.type = 'html'`,
  ],
  ['a body that it names', `ctx.body = 'half'; ctx.body += ' more'; say('lines')`],
  ['an answer', `ctx.body = new Response('half', { headers: { 'X-Left': '1' } })`],
]

describe('a plugin that fails open', () => {
  const endings = [`throw new Error('oops')`, `await null; throw new Error('oops')`]
  const phases = ['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter'] as const

  it.each([
    ['whatever it did to them', DEEDS],
    ['by whatever way', DETOURS],
  ])('G48 has had no effect on the request or its response, %s', async (_how, DEEDS) => {
    const current = new AsyncLocalStorage<Context>()
    const helper = (ctx = current.getStore() as Context) => {
      ctx.set('X-Left', '1')
      ctx.path = '/elsewhere'
    }
    const running = await startApp({
      inner: echo,
      outer: [(ctx, next) => current.run(ctx, next)],
      options: { globals: { Readable, helper } },
    })
    const ask = async (path: string) => {
      const response = await fetch(`${running.uri}${path}?a=1`, { headers: { 'X-Sent': '1' } })
      const { date: _date, ...headers } = Object.fromEntries(response.headers)
      return { status: response.status, message: response.statusText, headers, body: await response.text() }
    }
    const expected = await Promise.all(DEEDS.map((_, index) => ask(`/${index}`)))
    const plugins = DEEDS.flatMap(([, deed], index) =>
      phases.map((phase) => plugin(phase, `${deed}; ${endings[index % 2]}`, { when: { paths: [`/${index}`] } })),
    )
    await running.serve({ domains: [{ name: '*', plugins }] })
    for (const [index, [what]] of DEEDS.entries()) {
      expect({ what, ...(await ask(`/${index}`)) }).toEqual({ what, ...expected[index] })
    }
    expect(failures(running)).toHaveLength(plugins.length)
    expect(failures(running).every(({ outcome }) => outcome === 'open')).toBe(true)
  })

  it('G48 has had no effect where what it left cannot be sent, though nobody has looked at its headers', async () => {
    const running = await startApp({ inner: echo })
    const ask = async (path: string) => {
      const { status, headers } = await fetch(`${running.uri}${path}`)
      const { date: _date, ...others } = Object.fromEntries(headers)
      return { status, headers: others }
    }
    const deeds = [
      `ctx.set('X-Left', '1'); ctx.append('X-App', '3')`,
      `ctx.vary('X-Left'); ctx.remove('X-One')`,
      `ctx.cookies.set('left', '1'); ctx.type = 'html'`,
    ]
    const expected = await Promise.all(deeds.map((_, index) => ask(`/${index}`)))
    const plugins = deeds.flatMap((deed, index) =>
      ['access', 'header_filter'].map((phase) =>
        plugin(phase as 'access', `${deed}; ctx.res.statusCode = 42`, { when: { paths: [`/${index}`] } }),
      ),
    )
    await running.serve({ domains: [{ name: '*', plugins }] })
    for (const [index] of deeds.entries()) expect(await ask(`/${index}`)).toEqual(expected[index])
    expect(failures(running)).toHaveLength(plugins.length)
  })

  it('leaves headers the names that they are sent by', async () => {
    const { uri } = await startApp({
      plugins: [`ctx.set('x-app', '2')`, `ctx.set(params.name ?? 'x-app', '2')`].map((deed) =>
        plugin('header_filter', `${deed}; oops()`),
      ),
      inner: echo,
    })
    const { rawHeaders } = await new Promise<IncomingMessage>((done) => get(uri, (response) => done(response.resume())))
    expect(rawHeaders.filter((name) => name.toLowerCase() === 'x-app')).toEqual(['X-App', 'X-App'])
  })

  it('leaves the app its body, though it has put another in its place', async () => {
    const bodies: Record<string, () => unknown> = {
      file: () => createReadStream(import.meta.filename),
      stream: () => Readable.from(['app']),
      'web-stream': () => new Blob(['app']).stream(),
      Blob: () => new Blob(['app']),
      Response: () => new Response('app'),
    }
    const running = await startApp({
      inner(ctx) {
        ctx.body = bodies[ctx.path.slice(1)]?.()
      },
    })
    const ask = async (what: string) => (await fetch(`${running.uri}/${what}`)).text()
    const expected = await Promise.all(Object.keys(bodies).map(ask))
    expect(expected.slice(1)).toEqual(Array(4).fill('app'))
    for (const deed of [`ctx.body = 'half'`, `ctx.body = { half: true }`, `ctx.status = 204`, `ctx.body = null`]) {
      const plugins = endings.map((ending) => plugin('header_filter', `${deed}; ${ending}`))
      await running.serve({ domains: [{ name: '*', plugins }] })
      expect(await Promise.all(Object.keys(bodies).map(ask))).toEqual(expected)
    }
    expect(failures(running)).toHaveLength(4 * 2 * 5)
  })

  it('keeps what those before it did', async () => {
    const { request } = await startApp({
      plugins: [
        plugin('rewrite', `ctx.path = '/first'; ctx.set('X-A', 'first'); ctx.request.headers['x-token'] = 'first'`),
        plugin(
          'rewrite',
          `ctx.path = '/second'; ctx.set('X-A', 'second'); ctx.request.headers['x-token'] = 'second'; oops()`,
        ),
        plugin('header_filter', `ctx.append('X-A', 'third')`),
        plugin('header_filter', `ctx.append('X-A', 'fourth'); ctx.remove('X-App'); oops()`),
      ],
      inner: echo,
    })
    const { headers, body } = await request.get('/').expect(200)
    expect(headers).toMatchObject({ 'x-a': 'first, third', 'x-app': '1, 2' })
    expect(body).toMatchObject({ path: '/first', token: 'first' })
  })

  it('frees a stream that it left as the body', async () => {
    const made: Readable[] = []
    const make = () => {
      const stream = Readable.from(['half'])
      made.push(stream)
      return stream
    }
    const { request } = await startApp({
      plugins: [plugin('content', `ctx.body = make(); throw new Error('oops')`)],
      options: { globals: { make } },
    })
    await request.get('/').expect(200, 'app')
    expect(made.map(({ destroyed }) => destroyed)).toEqual([true])
  })

  it('and then closed: nothing that it did is part of the refusal', async () => {
    const running = await startApp({
      plugins: [plugin('access', `ctx.set('X-Left', '1'); ctx.body = 'half'; oops()`, { on_failure: 'closed' })],
    })
    const { headers } = await running.request.get('/').expect(503, 'Service Unavailable')
    expect(headers).not.toHaveProperty('x-left')
  })
})

describe('a plugin that does well', () => {
  it('puts its body in the place of the app’s, whose source is freed', async () => {
    const source = Readable.from(['app'])
    const { uri } = await startApp({
      plugins: [plugin('header_filter', `ctx.body = 'other'`)],
      inner(ctx) {
        ctx.body = source
      },
    })
    expect(await (await fetch(uri)).text()).toBe('other')
    expect(source.destroyed).toBe(true)
  })
})
