// Koa's middleware of others with dynacode in front: each answers as without it. Installs published packages in a temporary folder.
// Usage: npm run test:peers
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Context, Middleware } from 'koa'
import type { Ask, Protocol } from '../app/differential/clients.ts'
import { findDifferences } from '../app/differential/compare.ts'
import { DEVIATIONS } from '../app/differential/deviations.ts'
import { startTwins } from '../app/differential/servers.ts'

const PEERS = {
  '@koa/bodyparser': '6',
  '@koa/cors': '5',
  '@koa/router': '14',
  'koa-compress': '5',
  'koa-conditional-get': '3',
  'koa-etag': '5',
  'koa-mount': '4',
  'koa-session': '7',
  'koa-static': '5',
}
const PROTOCOLS: readonly Protocol[] = ['HTTP/1.0', 'HTTP/1.1', 'HTTP/2']
const LONG = 'a text that is long enough to be compressed. '.repeat(60)

interface Peer {
  /** Names what its body is, as deviations are told by it. */
  readonly name: string
  readonly app: readonly Middleware[]
  readonly asks: readonly (Ask & { readonly path?: string })[]
}

function listPeers(folder: string): readonly Peer[] {
  const load = createRequire(join(folder, 'package.json'))
  const get = (name: keyof typeof PEERS) => {
    const loaded = load(name)
    return loaded.default ?? loaded
  }
  const text: Middleware = (ctx) => {
    ctx.body = LONG
  }
  const stream: Middleware = (ctx) => {
    ctx.body = Readable.from([Buffer.from(LONG), Buffer.from(LONG)])
  }
  const { bodyParser = get('@koa/bodyparser') } = load('@koa/bodyparser')
  const Router = load('@koa/router').Router ?? get('@koa/router')
  const router = new Router()
  router.get('/users/:id', (ctx: Context & { params: { id: string } }) => {
    ctx.body = ctx.params
  })
  router.post('/users', (ctx: Context) => {
    ctx.status = 201
  })
  const session = get('koa-session')
  const zipped: Ask = { headers: { 'Accept-Encoding': 'gzip' } }
  const json: Ask = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Content-Length': '7' },
    body: '{"a":1}',
  }
  return [
    {
      name: '@koa/router',
      app: [router.routes(), router.allowedMethods({ throw: false })],
      asks: [
        { path: '/users/a%2Fb' },
        { path: '/users/1', method: 'HEAD' },
        { path: '/users', method: 'POST', headers: { 'Content-Length': '0' } },
        { path: '/users/1', method: 'DELETE' },
        { path: '/none' },
      ],
    },
    {
      name: '@koa/bodyparser',
      app: [
        bodyParser(),
        (ctx) => void Object.assign(ctx, { body: { got: (ctx.request as { body?: unknown }).body ?? null } }),
      ],
      asks: [json, { ...json, body: '{"a":1,' }, {}],
    },
    {
      name: '@koa/cors',
      app: [get('@koa/cors')(), text],
      asks: [
        { headers: { Origin: 'http://b' } },
        { method: 'OPTIONS', headers: { Origin: 'http://b', 'Access-Control-Request-Method': 'PUT' } },
      ],
    },
    {
      name: 'koa-compress, of a text a stream',
      app: [get('koa-compress')(), text],
      asks: [zipped, {}, { ...zipped, method: 'HEAD' }],
    },
    { name: 'koa-compress, of a stream', app: [get('koa-compress')(), stream], asks: [zipped, {}] },
    {
      name: 'koa-etag',
      app: [get('koa-conditional-get')(), get('koa-etag')(), text],
      asks: [{}, { headers: { 'If-None-Match': '*' } }, { method: 'HEAD' }],
    },
    { name: 'koa-mount', app: [get('koa-mount')('/in', text)], asks: [{ path: '/in/side' }, { path: '/out' }] },
    {
      name: 'koa-static, a stream',
      app: [get('koa-static')(folder)],
      asks: [
        { path: '/file.txt' },
        { path: '/x/../file.txt' },
        { path: '/file.txt', method: 'HEAD' },
        { path: '/none' },
        { path: '/%00' },
      ],
    },
    {
      name: 'koa-session',
      app: [
        (ctx, next) => {
          ctx.app.keys = ['key']
          return next()
        },
        (ctx, next) => session({ key: 'sid', maxAge: 'session' }, ctx.app)(ctx, next),
        (ctx) => {
          const { session: kept } = ctx as unknown as { session: { views?: number } }
          kept.views = (kept.views ?? 0) + 1
          ctx.body = String(kept.views)
        },
      ],
      asks: [{}],
    },
  ]
}

const folder = mkdtempSync(join(tmpdir(), 'dynacode-peers-'))
let failed = 0
try {
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  writeFileSync(join(folder, 'file.txt'), LONG)
  const wanted = Object.entries(PEERS).map(([name, version]) => `${name}@${version}`)
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', ...wanted], {
    cwd: folder,
    stdio: 'inherit',
  })
  const known = DEVIATIONS.map(({ covers }) => covers)
  for (const { name, app, asks } of listPeers(folder)) {
    const running = await startTwins(app)
    for (const { path = '/', ...ask } of asks) {
      const found = await findDifferences(running.twins, path, ask, PROTOCOLS)
      const unexpected = found.filter((difference) => !known.some((covers) => covers(name, difference)))
      for (const difference of unexpected) console.error(name, path, ask, difference)
      failed += unexpected.length
    }
    console.log(`${name}: ${asks.length} requests asked`)
    await running.close()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(failed === 0 ? 'No differences.' : `${failed} differences.`)
process.exitCode = failed === 0 ? 0 : 1
