import { once } from 'node:events'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { type JWTPayload, SignJWT } from 'jose'
import Koa, { type Middleware } from 'koa'
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type DynacodeOptions, dynacode, OptionError } from '../../../lib/index.ts'
import { DEBUG_TOKEN_TYPE } from '../../../lib/request/debug/token.ts'
import {
  createDeferred,
  exchange,
  failures,
  plugin,
  serveBehind,
  startApp,
  type TestAppSetup,
} from '../../fixtures/app.ts'
import { callCommand, callJson } from '../../fixtures/command-line.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { makeFolder } from '../../fixtures/plugin-folder.ts'
import { createSigner, type Signer } from '../../fixtures/signing.ts'

const TOKEN = 'a-token-that-nobody-can-guess'
const HEADER = 'dynacode-debug'
let signer: Signer
let stranger: Signer

beforeAll(async () => {
  signer = await createSigner('EdDSA', 'debug')
  stranger = await createSigner('EdDSA', 'debug')
})

afterEach(() => {
  vi.useRealTimers()
})

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

async function sign(claims: JWTPayload, by: Signer = signer, header: Record<string, unknown> = {}): Promise<string> {
  const { alg, kid, private_key } = by
  return new SignJWT(claims)
    .setProtectedHeader({ alg, kid, typ: DEBUG_TOKEN_TYPE, ...header } as never)
    .sign(private_key as never)
}

async function start(setup: TestAppSetup = {}) {
  const debug_requests = { tokens: [TOKEN], trusted_keys: { keys: [signer.public_key] } }
  return startApp({ ...setup, options: { debug_requests, ...setup.options } })
}

/** What the debug header says. */
const shown = (headers: Record<string, string>) => JSON.parse(headers[HEADER] ?? 'null')
const time = expect.any(Number)

describe('a request with a token', () => {
  it('is answered with what its plugins did, how long they took, and why the others did not run', async () => {
    const { request, serve } = await start()
    await serve({
      general: { version: 7 },
      domains: [
        {
          name: '*',
          plugins: [
            plugin('rewrite', '', { name: 'one' }),
            plugin('rewrite', '', { name: 'elsewhere', when: { paths: ['/other'] } }),
            plugin('rewrite', '', { name: 'past', expires_at: '2020-01-01T00:00:00Z' }),
            plugin('rewrite', '', { name: 'to come', starts_at: '2099-01-01T00:00:00Z' }),
            plugin('rewrite', '', { name: 'few', rollout: { percent: 0 } }),
            plugin('access', 'await null; throw new Error("secret")', { name: 'broken' }),
            plugin('access', 'ctx.set("x", "1")', { name: 'shade', mode: 'shadow' }),
            plugin('access', 'exit(403)', { name: 'no' }),
            plugin('access', '', { name: 'after' }),
            plugin('header_filter', '', { name: 'head' }),
            plugin('log', '', { name: 'note' }),
          ],
        },
      ],
    })
    const { headers } = await request.get('/').set(HEADER, TOKEN).expect(403)
    const of = (name: string, phase: string, fields: object) => ({ name, domain: '*', phase, ...fields })
    expect(shown(headers)).toEqual({
      version: 7,
      plugins: [
        of('one', 'rewrite', { outcome: 'done', duration_ms: time }),
        of('elsewhere', 'rewrite', { skipped: 'condition' }),
        of('past', 'rewrite', { skipped: 'expired' }),
        of('to come', 'rewrite', { skipped: 'not_started' }),
        of('few', 'rewrite', { skipped: 'rollout' }),
        of('broken', 'access', { outcome: 'open', duration_ms: time }),
        of('shade', 'access', { shadow: true, outcome: 'done', duration_ms: time }),
        of('no', 'access', { outcome: 'exit', duration_ms: time }),
        of('after', 'access', { skipped: 'ended' }),
        of('head', 'header_filter', { outcome: 'done', duration_ms: time }),
      ],
    })
    expect(headers['server-timing']?.replace(/dur=[\d.]+/g, 'dur=1').split(', ')).toEqual([
      'rewrite.one;desc="rewrite: done";dur=1',
      'access.broken;desc="access: open";dur=1',
      'access.shade;desc="access: done";dur=1',
      'access.no;desc="access: exit";dur=1',
      'header_filter.head;desc="header_filter: done";dur=1',
    ])
    expect(JSON.stringify(headers)).not.toContain('secret')
  })

  it('is told of a plugin whose breaker is open', async () => {
    const { request } = await start({
      plugins: [plugin('access', 'throw 1', { name: 'weak' })],
      options: { breaker_failures: 1, debug_requests: { tokens: [TOKEN] } },
    })
    await request.get('/').expect(200)
    const { headers } = await request.get('/').set(HEADER, TOKEN)
    expect(shown(headers).plugins).toEqual([{ name: 'weak', domain: '*', phase: 'access', skipped: 'breaker' }])
  })

  it.each<[string, Middleware | string, number]>([
    ['the app throws', (ctx) => ctx.throw(500, 'broken'), 500],
    ['the app refuses', (ctx) => ctx.throw(404, { headers: { 'X-Own': '1' } }), 404],
    ['the app streams', (ctx) => void Object.assign(ctx, { body: Readable.from(['a', 'b']) }), 200],
    [
      'the app answers past Koa',
      (ctx) => {
        ctx.respond = false
        ctx.res.writeHead(201, { 'X-Own': '1' }).end('raw')
      },
      201,
    ],
    ['the app has nothing', (ctx) => void Object.assign(ctx, { status: 204 }), 204],
  ])('is answered so when %s', async (_what, inner, status) => {
    const { request } = await start({
      plugins: [plugin('access', '', { name: 'a' }), plugin('body_filter', '')],
      inner,
    })
    for (const method of ['get', 'head'] as const) {
      const { headers } = await request[method]('/').set(HEADER, TOKEN).expect(status)
      expect(shown(headers).plugins[0]).toMatchObject({ name: 'a', outcome: 'done' })
      expect(headers['server-timing']).toMatch(/^access\.a;/)
      expect(headers['cache-control']).toBe('private, no-store')
    }
  })

  it('is answered so over HTTP/2', async () => {
    const dyna = createInstance({
      source: {
        fetch: async () => ({
          bytes: Buffer.from(JSON.stringify({ domains: [{ name: '*', plugins: [plugin('access', '')] }] })),
        }),
      },
      debug_requests: { tokens: [TOKEN] },
    })
    await dyna.ready()
    const app = new Koa()
    app.use(dyna)
    const server = createHttp2Server(app.callback()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    onTestFinished(() => {
      client.destroy()
      server.close()
    })
    const [headers] = (await once(client.request({ ':path': '/', [HEADER]: TOKEN }), 'response')) as [
      Record<string, string>,
    ]
    expect(shown(headers).plugins).toHaveLength(1)
  })

  it('is not answered for caches: not for shared ones, whatever the app says', async () => {
    const { request } = await start({
      plugins: [plugin('access', '')],
      inner: (ctx) => {
        ctx.set({
          'Cache-Control': 'public, max-age=600',
          Expires: 'Thu, 01 Jan 2099 00:00:00 GMT',
          'CDN-Cache-Control': 'max-age=60',
        })
        ctx.set({ 'Surrogate-Control': 'max-age=60', 'Server-Timing': 'db;dur=3' })
        ctx.body = 'app'
      },
    })
    const { headers } = await request.get('/').set(HEADER, TOKEN)
    expect(headers['cache-control']).toBe('private, no-store')
    for (const name of ['expires', 'cdn-cache-control', 'surrogate-control']) expect(headers).not.toHaveProperty(name)
    expect(headers['server-timing']).toMatch(/^db;dur=3, access\./)
  })

  it('is shown an empty list without plugins for its host, and no version before the first document', async () => {
    const { request } = await start({ document: { general: { version: 3 }, domains: [] } })
    expect(shown((await request.get('/').set(HEADER, TOKEN)).headers)).toEqual({ version: 3, plugins: [] })
    const gate = createDeferred<{ bytes: Uint8Array }>()
    const early = createInstance({ source: { fetch: () => gate.promise }, debug_requests: { tokens: [TOKEN] } })
    const answer = await (await serveBehind(early)).get('/').set(HEADER, TOKEN).expect(200)
    expect(shown(answer.headers)).toEqual({ version: null, plugins: [] })
  })

  it('is answered by valid headers whatever plugins are called, and by no more of them than fit', async () => {
    const names = ['späte "Prüfung", \\ 日本', 'a\r\nSet-Cookie: x', '', 'x'.repeat(200)]
    const many = Array.from({ length: 400 }, (_, index) => plugin('access', '', { name: `plugin number ${index}` }))
    const { request } = await start({
      plugins: [...names.filter(Boolean).map((name) => plugin('rewrite', '', { name })), ...many],
    })
    const { headers } = await request.get('/').set(HEADER, TOKEN).expect(200)
    const { plugins, omitted } = shown(headers)
    expect(plugins[0].name).toBe(names[0])
    expect(plugins[1].name).toBe(names[1])
    expect(headers).not.toHaveProperty('set-cookie')
    expect(plugins.length + omitted).toBe(many.length + 3)
    expect((headers[HEADER]?.length ?? 0) + (headers['server-timing']?.length ?? 0)).toBeLessThan(7000)
    for (const metric of headers['server-timing']?.split(', ') ?? []) {
      expect(metric).toMatch(/^[\w!#$%&'*+.^`|~-]+;desc="\w+: \w+";dur=[\d.]+$/)
    }
  })

  it('has lost the token when plugins and the app see it, be it a good one or not', async () => {
    const seen: unknown[] = []
    const look = (ctx: Koa.Context) =>
      void seen.push([ctx.get(HEADER), HEADER in ctx.req.headersDistinct, ctx.req.rawHeaders.join()])
    const running = await start({
      plugins: [plugin('access', 'look(ctx)')],
      options: { globals: { look }, debug_requests: { tokens: [TOKEN] } },
      inner: (ctx) => look(ctx),
    })
    for (const token of [TOKEN, 'another-token-of-16']) {
      await exchange(
        running.port,
        `GET / HTTP/1.1\r\nHost: a.test\r\nDynacode-Debug: ${token}\r\nX-Own: 1\r\nConnection: close\r\n\r\n`,
      )
    }
    expect(failures(running)).toEqual([])
    expect(seen).toEqual(new Array(4).fill(['', false, 'Host,a.test,X-Own,1,Connection,close']))
  })

  it('runs and filters like any other', async () => {
    const { request } = await start({
      plugins: [plugin('body_filter', 'return String(chunk).toUpperCase()'), plugin('content', '')],
    })
    await request.get('/').set(HEADER, TOKEN).expect(200, 'APP')
  })
})

describe('nobody else is answered so', () => {
  async function answersTo(tokens: readonly (string | undefined)[], options: DynacodeOptions = {}, host = 'a.test') {
    const running = await start({ plugins: [plugin('access', '', { name: 'hidden' })], options })
    const responses = []
    for (const token of tokens) {
      const line = token === undefined ? '' : `${HEADER}: ${token}\r\n`
      const text = await exchange(running.port, `GET / HTTP/1.1\r\nHost: ${host}\r\n${line}Connection: close\r\n\r\n`)
      responses.push(text.replace(/^Date: .*\r\n/m, ''))
    }
    return { ...running, responses }
  }

  it('not by a byte, with no token, a wrong one, or a shape that is none', async () => {
    const good = await sign({ exp: inSeconds(600) })
    const [header, payload, signature] = good.split('.') as [string, string, string]
    const unsigned = `${Buffer.from(JSON.stringify({ alg: 'none', typ: DEBUG_TOKEN_TYPE })).toString('base64url')}.${payload}.`
    const { responses, seen } = await answersTo([
      undefined,
      '',
      `${TOKEN}x`,
      TOKEN.slice(0, -1),
      `${TOKEN}, ${TOKEN}`,
      'x'.repeat(10_000),
      unsigned,
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      `${header}.${Buffer.from(JSON.stringify({ exp: inSeconds(900) })).toString('base64url')}.${signature}`,
      await sign({ exp: inSeconds(600) }, stranger),
      await sign({ exp: inSeconds(600) }, signer, { kid: 'other' }),
      await sign({ exp: inSeconds(600) }, signer, { typ: 'JWT' }),
      await sign({ exp: inSeconds(600) }, signer, { typ: undefined }),
      await sign({ exp: inSeconds(-1) }),
      await sign({ exp: inSeconds(48 * 3600) }),
      await sign({}),
      await sign({ exp: inSeconds(600), host: 'b.test' }),
      await sign({ exp: inSeconds(600), host: 5 } as never),
      await sign({ exp: inSeconds(600), nbf: inSeconds(300) }),
    ])
    const [plain, ...others] = responses
    expect(plain).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    expect(plain).not.toMatch(/debug|timing|hidden/i)
    for (const response of others) expect(response).toBe(plain)
    expect(JSON.stringify(seen)).not.toContain(TOKEN)
  })

  it('but who has a signed token that is for the host, until it is over', async () => {
    const tokens = [await sign({ exp: inSeconds(600) }), await sign({ exp: inSeconds(600), host: 'A.Test' })]
    const { responses } = await answersTo([...tokens, ...tokens])
    for (const response of responses) expect(response).toMatch(/^dynacode-debug: \{/im)
  })

  it('without the option, whatever is sent: the header is the app’s', async () => {
    const { request } = await startApp({
      plugins: [plugin('access', '')],
      inner: (ctx) => void Object.assign(ctx, { body: ctx.get(HEADER) }),
    })
    const { headers } = await request.get('/').set(HEADER, TOKEN).expect(200, TOKEN)
    expect(headers).not.toHaveProperty(HEADER)
  })

  it('after close()', async () => {
    const { request, dyna } = await start({ plugins: [plugin('access', '')] })
    await dyna.close()
    const { headers } = await request.get('/').set(HEADER, TOKEN).expect(200, 'app')
    expect(headers).not.toHaveProperty(HEADER)
  })
})

describe('dynacode debug-token', () => {
  it('signs tokens that are let in', async () => {
    const folder = makeFolder()
    await callCommand('keygen', folder)
    const { keys } = await import(`${folder}/trusted-keys.json`, { with: { type: 'json' } }).then(
      (module) => module.default,
    )
    const { request } = await start({
      plugins: [plugin('access', '')],
      options: { debug_requests: { header: 'X-Look', trusted_keys: { keys } } },
    })
    const key = ['--key', `${folder}/private.json`]
    const plain = (await callCommand('debug-token', ...key)).output
    const { token, expires, host } = await callJson('debug-token', ...key, '--host', '127.0.0.1', '--expires', '24h')
    expect([host, Date.parse(String(expires)) > Date.now()]).toEqual(['127.0.0.1', true])
    for (const each of [plain, token]) {
      const { headers } = await request.get('/').set('X-Look', String(each))
      expect(headers).toHaveProperty('x-look')
    }
    const elsewhere = (await callCommand('debug-token', ...key, '--host', 'a.test')).output
    expect((await request.get('/').set('X-Look', elsewhere)).headers).not.toHaveProperty('x-look')
  })

  it.each(['', '0s', '25h', '1d', '-1h', 'soon', '9999999s'])('refuses to sign for %j', async (expires) => {
    const folder = makeFolder()
    await callCommand('keygen', folder)
    const answer = await callCommand('debug-token', '--key', `${folder}/private.json`, '--expires', expires)
    expect(answer).toMatchObject({ exit_code: 2, errors: expect.stringContaining('--expires: expected') })
  })
})

describe('the option debug_requests', () => {
  const tokens = [TOKEN]
  it.each([
    ['debug_requests', {}],
    ['debug_requests.tokens', { tokens: [] }],
    ['debug_requests.tokens\\[0\\]', { tokens: ['a-short-secret'] }],
    ['debug_requests.tokens\\[0\\]', { tokens: ['a-secret with-a-space'] }],
    ['debug_requests.header', { tokens, header: 'Cookie' }],
    ['debug_requests.header', { tokens, header: 'a b' }],
    ['debug_requests.trusted_keys.keys', { tokens, trusted_keys: { keys: [] } }],
    ['debug_requests.trusted_keys.keys\\[0\\]', { trusted_keys: { keys: [{ kty: 'OKP', d: 'a-secret' }] } }],
    ['debug_requests.token', { tokens, token: 'a-secret' }],
  ])('refuses what is wrong with %s, and shows no secret', (option, debug_requests) => {
    const make = () => dynacode({ plugin_api_uri: 'http://127.0.0.1:1/', debug_requests } as DynacodeOptions)
    expect(make).toThrow(OptionError)
    expect(make).toThrow(expect.objectContaining({ message: expect.stringMatching(`^option ${option}: `) }))
    expect(make).not.toThrow(/secret/)
  })
})
