import { createReadStream } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createSecureServer as createHttp2SecureServer, createServer as createHttp2Server } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGzip, gzipSync } from 'node:zlib'
import type { Context, Middleware } from 'koa'
import { describe, expect, it } from 'vitest'
import { createApp, failures, listen, plugin, startApp } from '../../fixtures/app.ts'
import { FRAMEWORKS } from '../../fixtures/frameworks.ts'
import { ask, PROTOCOLS } from '../../fixtures/protocols.ts'
import { createIdentity } from '../../fixtures/tls-api.ts'

const http2 = (listener: RequestListener) => createHttp2Server(listener as never) as unknown as Server

/** Chunks that come one after the other, and then, perhaps, a fault. */
async function* chunks(fault?: Error): AsyncGenerator<string> {
  for (const chunk of ['one', 'two', 'three']) {
    yield chunk
    await sleep(2)
  }
  if (fault !== undefined) throw fault
}

/** As `koa-compress` does it. */
const compress: Middleware = async (ctx, next) => {
  await next()
  if (!(ctx.body instanceof Readable)) return
  const source = ctx.body
  ctx.set('Content-Encoding', 'gzip')
  const gzip = createGzip()
  ctx.body = gzip
  source.pipe(gzip)
}

const on = (path: string) => ({ when: { paths: [path] } })
const PLUGINS = [
  plugin('body_filter', `if (String(chunk) === 'two') throw new Error('oops')`, {
    on_failure: 'closed',
    ...on('/closed'),
  }),
  plugin('body_filter', `await null; if (String(chunk) === 'two') exit(403)`, on('/exit')),
  plugin('body_filter', `if (String(chunk) === 'two') ctx.throw(403)`, on('/throw')),
  plugin('body_filter', `return chunk`, on('/source')),
  plugin('header_filter', `oops()`, { on_failure: 'closed', ...on('/flushed') }),
  plugin('header_filter', `exit(403)`, on('/flushed-exit')),
  plugin('header_filter', `await null; ctx.throw(403)`, on('/flushed-throw')),
]
const AT_ONCE = [
  plugin('body_filter', `throw new Error('oops')`, { on_failure: 'closed', ...on('/closed') }),
  plugin('body_filter', `exit(403, 'no')`, on('/exit')),
]

function app(ctx: Context): void {
  ctx.status = 200
  ctx.type = 'text'
  if (ctx.path.startsWith('/flushed')) ctx.flushHeaders()
  ctx.body = Readable.from(chunks(ctx.path === '/source' ? new Error('source') : undefined))
}

describe('over TLS', async () => {
  const identity = await createIdentity('app')
  const servers = {
    https: (listener: RequestListener) => createHttpsServer(identity, listener) as unknown as Server,
    // By ALPN: with HTTP/2 for those who know it.
    http2: (listener: RequestListener) =>
      createHttp2SecureServer({ ...identity, allowHTTP1: true }, listener as never) as unknown as Server,
  }
  const spoken = [
    ['https', 'HTTP/1.0'],
    ['https', 'HTTP/1.1'],
    ['http2', 'HTTP/1.0'],
    ['http2', 'HTTP/1.1'],
    ['http2', 'HTTP/2'],
  ] as const

  it.each(spoken)('G50 a response that is cut is seen as cut, and none hangs: %s, %s', async (server, protocol) => {
    const { port } = await startApp({ plugins: PLUGINS, inner: app, listen: servers[server] })
    for (const path of ['/closed', '/exit', '/throw', '/source', '/flushed', '/flushed-exit', '/flushed-throw']) {
      const { status, cut, body } = await ask(port, protocol, path, true)
      expect({ path, status, cut }).toEqual({ path, status: 200, cut: true })
      if (path !== '/source') expect(body).not.toContain('three')
    }
    const whole = await ask(port, protocol, '/whole', true)
    expect(whole).toMatchObject({ status: 200, body: 'onetwothree', cut: false })
  })
})

describe.each(FRAMEWORKS)('with %s', (_name, framework) => {
  describe.each(PROTOCOLS)('over %s', (protocol) => {
    const listening = protocol === 'HTTP/2' ? { listen: http2 } : {}

    it('G50 a response that is cut is seen as cut, and none hangs', async () => {
      const plain = await startApp({ plugins: PLUGINS, inner: app, framework, ...listening })
      const encoded = await startApp({ plugins: PLUGINS, inner: app, outer: [compress], framework, ...listening })
      const paths = ['/closed', '/exit', '/throw', '/source', '/flushed', '/flushed-exit', '/flushed-throw']
      for (const path of paths) {
        const { status, cut, body } = await ask(plain.port, protocol, path)
        expect({ path, status, cut }).toEqual({ path, status: 200, cut: true })
        if (path !== '/source') expect(body).not.toContain('three')
      }
      // What compresses keeps back the head with the first bytes: there may be another one to send.
      for (const path of paths.slice(0, 4)) {
        const { status, cut } = await ask(encoded.port, protocol, path)
        expect({ path, isKnown: cut || status >= 400 }).toEqual({ path, isKnown: true })
      }
    })

    it('a body filter that ends the response at its first chunk answers in its place', async () => {
      for (const outer of [[], [compress]]) {
        const { port } = await startApp({ plugins: AT_ONCE, inner: app, outer, framework, ...listening })
        expect(await ask(port, protocol, '/closed')).toMatchObject({ status: 503, cut: false })
        expect(await ask(port, protocol, '/exit')).toMatchObject({ status: 403, body: 'no', cut: false })
      }
    })

    it('what cannot be decoded is sent as it is, and told', async () => {
      const bodies: Record<string, () => unknown> = {
        '/empty': () => Readable.from([]),
        '/empty-text': () => '',
        '/plain': () => Readable.from(['not', 'gzip'].map((text) => Buffer.from(text))),
        '/gzip': () => Readable.from([gzipSync('app')]),
      }
      const running = await startApp({
        plugins: [plugin('body_filter', `return String(chunk).toUpperCase()`)],
        inner(ctx) {
          ctx.set('Content-Encoding', 'gzip')
          ctx.type = 'text'
          ctx.body = bodies[ctx.path]?.()
        },
        framework,
        ...listening,
      })
      const got = await Promise.all(Object.keys(bodies).map((path) => ask(running.port, protocol, path)))
      expect(got.map(({ status, body, cut }) => ({ status, body, cut }))).toEqual(
        ['', '', 'notgzip', 'APP'].map((body) => ({ status: 200, body, cut: false })),
      )
      expect(got[2]?.headers).toMatchObject({ 'content-encoding': 'gzip' })
      expect(failures(running).map(({ outcome }) => outcome)).toEqual(['open'])
    })

    it('a stream of the app’s that breaks while filters wait does what it does without dynacode', async () => {
      const inner: Middleware = (ctx) => {
        ctx.body = createReadStream('/nope')
      }
      const running = await startApp({
        plugins: [plugin('header_filter', 'await wait(20)')],
        options: { globals: { wait: sleep } },
        inner,
        framework,
        ...listening,
      })
      const expected = createApp([inner], undefined, framework)
      const port = await listen((listening.listen ?? createServer)(expected.app.callback()))
      expect((await ask(running.port, protocol, '/')).status).toBe((await ask(port, protocol, '/')).status)
      expect(running.errors.map(String)).toEqual(expected.errors.map(String))
    })
  })
})
