import { once } from 'node:events'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { normalize } from 'node:path'
import fc from 'fast-check'
import type { Middleware } from 'koa'
import { describe, expect, test } from 'vitest'
import { exchange, plugin, startApp } from '../fixtures/app.ts'

const refuse = (fields: object = {}) => plugin('access', `exit(403, 'refused')`, { on_failure: 'closed', ...fields })
const bodyOf = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4)

describe('G51', () => {
  /** Every way in which apps ask what host a request is for. */
  const readings: Middleware = (ctx) => {
    const { host, hostname, href, req } = ctx
    ctx.body = { host, hostname, href, url: ctx.URL.hostname ?? null, header: req.headers.host, raw: req.rawHeaders }
  }
  const guarded = { document: { domains: [{ name: 'admin.com', plugins: [refuse()] }] }, inner: readings }

  test.each([
    ['/', 'admin.com'],
    ['/', 'ADMIN.com.:80'],
    ['/', 'x@admin.com'],
    ['/', '%61dmin.com'],
    ['/', 'admin.com/x'],
    ['/', 'admin.com, open.com'],
    ['http://admin.com/', 'open.com'],
    ['http://ADMIN.COM.:8080/', 'open.com'],
    ['http://x:y@admin.com/', 'open.com'],
    ['http://open.com@admin.com/', 'open.com'],
    ['http://%61dmin%2Ecom/', 'open.com'],
    ['https://admin.com:99999/', 'open.com'],
    ['http://admin.com/', ''],
  ])('a plugin of a host that fails closed is met by %s with Host: %s', async (target, host) => {
    const { port } = await startApp(guarded)
    const answer = await exchange(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    expect([answer.slice(9, 12), bodyOf(answer)]).toEqual(['403', 'refused'])
  })

  test('an app sees no host but the one whose plugins have run', async () => {
    const { port } = await startApp(guarded)
    const answer = await exchange(
      port,
      'GET http://x:y@open.com:81/a HTTP/1.1\r\nHost: admin.com\r\nConnection: close\r\n\r\n',
    )
    expect(answer).toContain('200 OK')
    expect(JSON.parse(bodyOf(answer))).toEqual({
      host: 'open.com:81',
      hostname: 'open.com',
      href: 'http://x:y@open.com:81/a',
      url: 'open.com',
      header: 'open.com:81',
      raw: ['Host', 'open.com:81', 'Connection', 'close'],
    })
  })

  test('over HTTP/2, where authority and Host may each say another host', async () => {
    const { port } = await startApp({
      ...guarded,
      listen: (listener) => createHttp2Server(listener as never) as never,
    })
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    const ask = async (headers: Record<string, string>) => {
      const stream = session.request({ ':path': '/', ...headers })
      const [{ ':status': status }] = await once(stream, 'response')
      return { status, body: Buffer.concat(await stream.toArray()).toString() }
    }
    expect(await ask({ ':authority': 'admin.com', host: 'open.com' })).toMatchObject({ status: 403 })
    const { status, body } = await ask({ ':authority': 'open.com', host: 'admin.com' })
    expect(status).toBe(200)
    expect(body).not.toContain('admin.com')
    session.close()
  })

  test('an address that names two hosts reaches an app unchanged where neither has plugins of its own', async () => {
    const { port } = await startApp(guarded)
    const answer = await exchange(port, 'GET http://a.com/ HTTP/1.1\r\nHost: b.com\r\nConnection: close\r\n\r\n')
    expect(JSON.parse(bodyOf(answer))).toMatchObject({ host: 'b.com', url: 'a.com' })
  })

  /** What servers of some kind find under a path. */
  const servers: Readonly<Record<string, (path: string) => string>> = {
    'a router': (path) => path,
    'a file server': (path) => normalize(decode(path)),
    'a file server on Windows': (path) => normalize(decode(path).replaceAll('\\', '/')),
    'a URL parser': (path) => new URL(`http://a${path}`).pathname,
    'a servlet container': (path) => normalize(decode(path.replace(/;[^/]*/g, ''))),
  }
  const decode = (path: string) => {
    try {
      return decodeURIComponent(path)
    } catch {
      return path
    }
  }
  const serve: Middleware = (ctx) => {
    const found = Object.keys(servers).filter((name) => servers[name]?.(ctx.path) === '/secret/file')
    ctx.body = found.join() || 'nothing'
  }
  const get = async (port: number, path: string) =>
    bodyOf(await exchange(port, Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, 'latin1')))

  const SPELLINGS = [
    '/secret/file',
    '/./secret/file',
    '/x/../secret/file',
    '/x/%2e%2E/secret/file',
    '//secret//file',
    '/%73ecret/fil%65',
    '/secret%2Ffile',
    '/x%2f..%2fsecret/file',
    '/x/..\\secret\\file',
    '/x%5c..%5csecret%5cfile',
    '/secret;x=1/file;y',
    '/x/..;/secret/file',
    'http://a/x/../secret/file',
  ]

  test('a plugin of a path that fails closed is met by every spelling that an app or upstream takes for it', async () => {
    const open = await startApp({ inner: serve })
    const cases = [
      { when: { paths: '/secret/file' } },
      { when: { paths: '/secret/*rest' } },
      { when: { paths: ['/x', '/:area/file'] } },
      { when: { not: { paths: ['/public/*rest', '/'] } } },
    ]
    for (const path of SPELLINGS) expect(await get(open.port, path)).not.toBe('nothing')
    for (const fields of cases) {
      // Five of them, so that the index by path is asked as well.
      const others = ['/a', '/b', '/c', '/d'].map((paths) => plugin('access', '', { when: { paths } }))
      const { port } = await startApp({ plugins: [...others, refuse(fields)], inner: serve })
      const answers = await Promise.all(SPELLINGS.map((path) => get(port, path)))
      expect(answers).toEqual(SPELLINGS.map(() => 'refused'))
    }
  })

  test('and by those that a machine makes up', { timeout: 60_000 }, async () => {
    const guarded = await startApp({ plugins: [refuse({ when: { paths: '/secret/file' } })], inner: serve })
    const excluded = await startApp({
      plugins: [refuse({ when: { not: { paths: ['/public/*rest', '/x{/*rest}'] } } })],
      inner: serve,
    })
    const piece = fc.constantFrom('/', '//', '..', '.', '%2e', 'x', 'public', '\\', '%2f', '%5c', ';a', '%73')
    const between = fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join(''))
    const spelled = fc
      .tuple(
        between,
        fc.constantFrom('secret', '%73ecret', 'secre%74'),
        between,
        fc.constantFrom('file', 'f%69le'),
        between,
      )
      .map((pieces) => `/${pieces.join('/')}`)
    await fc.assert(
      fc.asyncProperty(spelled, async (path) => {
        for (const { port } of [guarded, excluded]) expect(['refused', 'nothing']).toContain(await get(port, path))
      }),
      { numRuns: 250, seed: 51 },
    )
  })

  test('a condition may ask for the path as it was sent', async () => {
    const { port } = await startApp({ plugins: [refuse({ when: { paths_raw: '/secret' } })], inner: 'app' })
    expect(await get(port, '/secret')).toBe('refused')
    for (const path of ['//secret', '/%73ecret', '/./secret']) expect(await get(port, path)).toBe('app')
  })
})
