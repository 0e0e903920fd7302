// What leans on Node's own workings: headers are looked at where Node keeps them, and responses over HTTP/1.0 are cut by a reset.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { dynacode } from 'dynacode'
import Koa from 'koa'

const DEEDS = [
  `ctx.set('X-Left', '1'); ctx.append('X-App', 'x')`,
  `ctx.set(params.name ?? 'X-Left', '1')`,
  `ctx.res.appendHeader('X-App', 'x'); ctx.res.appendHeader('X-List', 'x')`,
  `ctx.remove('X-App'); ctx.res.removeHeader('Date'); ctx.res.removeHeader('Connection')`,
  `ctx.res.setHeaders(new Headers({ 'X-Left': '1' })); ctx.cookies.set('left', '1')`,
  `ctx.status = 201; ctx.message = 'Fine'; ctx.body = 'half'`,
]
const everywhere = (plugins) => Buffer.from(JSON.stringify({ domains: [{ name: '*', plugins }] }))
const failing = (code, index, phase = 'header_filter') => ({
  name: `${phase} ${index}`,
  phase,
  code: `${code}; oops()`,
})

async function serve(plugins) {
  const told = []
  const dyna = dynacode({ source: { fetch: async () => ({ bytes: everywhere(plugins) }) } })
  dyna.events.on('rt_plugins_error', ({ plugin, error }) => told.push(`${plugin.name}: ${error.name}`))
  await dyna.ready()
  const app = new Koa()
  app.silent = true
  app.use(dyna)
  app.use((ctx) => {
    ctx.set({ 'X-App': '1', 'X-List': ['1', '2'] })
    ctx.body = ctx.path === '/stream' ? Readable.from(['one', 'two']) : 'app'
  })
  const server = createServer(app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => Promise.all([dyna.close(), server.close()])
  return { port: server.address().port, told, close }
}

/** The bytes of a response, and whether the connection was reset. */
async function ask(port, version, path) {
  const chunks = []
  let reset = false
  const callback = (_length, [byte]) => chunks.push(byte) > 0
  const socket = connect({ port, host: '127.0.0.1', onread: { buffer: Buffer.alloc(1), callback } })
  socket.on('error', () => {
    reset = true
  })
  socket.write(`GET ${path} HTTP/${version}\r\nHost: a.test\r\nConnection: close\r\n\r\n`)
  await new Promise((done) => socket.once('close', done))
  const [head, ...rest] = Buffer.from(chunks)
    .toString()
    .replace(/^Date: .*$/m, 'Date')
    .split('\r\n\r\n')
  // A header that was removed is put back behind the others.
  return { text: [head.split('\r\n').toSorted().join('\r\n'), ...rest].join('\r\n\r\n'), reset }
}

const plain = await serve([])
const { text: expected } = await ask(plain.port, '1.1', '/')
assert.match(expected, /^Date$/m)
for (const [index, deed] of DEEDS.entries()) {
  const { port, told, close } = await serve([failing(deed, index), failing(deed, index, 'access')])
  assert.deepEqual(await ask(port, '1.1', '/'), { text: expected, reset: false }, deed)
  assert.deepEqual(told.toSorted(), [`access ${index}: ReferenceError`, `header_filter ${index}: ReferenceError`], deed)
  await close()
}

const cutting = {
  phase: 'body_filter',
  on_failure: 'closed',
  name: 'cuts',
  code: `if (String(chunk) === 'two') oops()`,
}
const { port, close } = await serve([cutting])
for (const version of ['1.0', '1.1']) {
  const { text, reset } = await ask(port, version, '/stream')
  assert.match(text, /one/)
  assert.equal(text.includes('two'), false)
  // In chunks, the last one is missing.
  assert.equal(reset || (version === '1.1' && !text.endsWith('0\r\n\r\n')), true, version)
}
await Promise.all([close(), plain.close()])
