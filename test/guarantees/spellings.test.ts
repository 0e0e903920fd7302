import { once } from 'node:events'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
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
})
