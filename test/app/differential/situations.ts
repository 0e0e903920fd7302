import { createReadStream } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import type { Context } from 'koa'
import type { Ask } from './clients.ts'
import { watch } from './servers.ts'

/** An app, and what it is asked. */
export interface Situation {
  readonly app: (ctx: Context) => unknown
  readonly ask?: Ask
  /** Where there is no such thing over the other protocols. */
  readonly only?: 'HTTP/1.1'
  /** Koa leaves the connection open: the client does not wait for long. */
  readonly hangs?: true
}

const FILE = import.meta.filename
const body = (
  make: (ctx: Context) => unknown,
  ask: Ask = {},
  fields: Readonly<Record<string, string>> = {},
): Situation => ({
  app(ctx) {
    ctx.body = make(ctx)
    ctx.set(fields)
  },
  ask,
})
const chunks = (...parts: (string | Buffer)[]) => Readable.from(parts.map((part) => Buffer.from(part as string)))
const failing = (parts: readonly string[]) =>
  Readable.from(
    (async function* () {
      for (const part of parts) yield Buffer.from(part)
      await turn()
      throw new Error('the source broke')
    })(),
  )
/** Is destroyed once it is read. */
function destroyed(error: Error | undefined): Readable {
  async function* read() {
    yield Buffer.from('one')
    await sleep(20)
    source.destroy(error)
    await turn()
  }
  const source: Readable = Readable.from(read())
  return source
}
/** Goes on until somebody ends it; then, once it is read, something may happen. */
const endless = (happen = () => undefined as unknown) =>
  Readable.from(
    (async function* () {
      for (let count = 0; ; count += 1) {
        yield Buffer.alloc(10_000, 'x')
        await turn()
        if (count === 5) happen()
      }
    })(),
  )
const web = (...parts: string[]) =>
  new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(new TextEncoder().encode(part))
      controller.close()
    },
  })
const echo = async (ctx: Context) => {
  const parts: Buffer[] = []
  for await (const chunk of ctx.req) parts.push(chunk)
  ctx.body = `${ctx.method} ${Buffer.concat(parts)} ${JSON.stringify(ctx.req.trailers)}`
}
const HEAD: Ask = { method: 'HEAD' }

const BODIES: Readonly<Record<string, Situation>> = {
  nothing: { app: () => undefined },
  string: body(() => 'text'),
  html: body(() => '<p>é</p>'),
  'empty string': body(() => ''),
  'long string': body(() => 'ab€'.repeat(20_000)),
  buffer: body(() => Buffer.from([0, 255, 10, 13])),
  'empty buffer': body(() => Buffer.alloc(0)),
  json: body(() => ({ a: [1, 'é', null] })),
  'json null inside': body(() => [null]),
  number: body(() => 5),
  boolean: body(() => false),
  null: body(() => null),
  undefined: body(() => undefined),
  'json that throws': body(() => ({
    toJSON: () => {
      throw new Error('no JSON')
    },
  })),
  stream: body((ctx) => watch(ctx, chunks('one', 'two', 'three'))),
  'stream of one chunk': body((ctx) => watch(ctx, chunks('one'))),
  'empty stream': body((ctx) => watch(ctx, chunks())),
  'empty stream that comes late': body((ctx) => {
    const source = watch(ctx, new PassThrough())
    setTimeout(() => source.end(), 5)
    return source
  }),
  'stream of a known length': body(() => chunks('one', 'two'), {}, { 'Content-Length': '6' }),
  'stream of text': body(() => Readable.from(['é', 'ö'])),
  'long stream': body((ctx) => watch(ctx, chunks(...Array.from({ length: 6 }, () => Buffer.alloc(20_000, 'y'))))),
  file: body((ctx) => watch(ctx, createReadStream(FILE))),
  'typed file': body((ctx) => {
    ctx.type = '.ts'
    return createReadStream(FILE)
  }),
  'web stream': body(() => web('one', 'two')),
  'empty web stream': body(() => web()),
  blob: body(() => new Blob(['one', 'two'], { type: 'text/plain' })),
  response: body(() => new Response('one', { status: 201, headers: { 'x-of': 'response' } })),
  'response of a stream': body(() => new Response(web('one', 'two'))),
  'gzip string': body(() => gzipSync('text'), {}, { 'Content-Encoding': 'gzip' }),
  'gzip stream': body(() => chunks(gzipSync('text')), {}, { 'Content-Encoding': 'gzip' }),
  'etag and date': body(() => 'text', {}, { ETag: '"a"', 'Last-Modified': 'Thu, 01 Jan 2026 00:00:00 GMT' }),
  'etag of a stream': body(() => chunks('a'), {}, { ETag: 'W/"a"' }),
  'many headers': {
    app(ctx) {
      ctx.cookies.set('a', '1')
      ctx.cookies.set('b', '2')
      ctx.append('Link', '<a>')
      ctx.append('Link', '<b>')
      ctx.vary('Accept')
      ctx.set('X-ARRAY', ['1', '2'])
      ctx.body = 'x'
    },
  },
}

const STATUSES: Readonly<Record<string, Situation>> = Object.fromEntries([
  ...[200, 201, 204, 205, 304, 404, 418, 500, 503].flatMap((status) => [
    [`status ${status}`, { app: (ctx: Context) => void Object.assign(ctx, { status }) }],
    [`status ${status} with a body`, { app: (ctx: Context) => void Object.assign(ctx, { body: 'text', status }) }],
    [
      `status ${status} with a stream`,
      { app: (ctx: Context) => void Object.assign(ctx, { body: chunks('a', 'b'), status }) },
    ],
  ]),
  ['redirect', { app: (ctx: Context) => ctx.redirect('/to') }],
  ['message', { app: (ctx: Context) => void Object.assign(ctx, { status: 200, message: 'Fine', body: 'x' }) }],
  ['message alone', { app: (ctx: Context) => void Object.assign(ctx, { status: 404, message: 'Gone Fishing' }) }],
  ['body taken back', { app: (ctx: Context) => void Object.assign(ctx, { body: 'x' }, { body: null }) }],
  [
    'stream replaced',
    body((ctx) => {
      ctx.body = watch(ctx, endless())
      return 'text'
    }),
  ],
])

const HEADS: Readonly<Record<string, Situation>> = Object.fromEntries(
  ['nothing', 'string', 'json', 'stream', 'stream of a known length', 'file', 'buffer', 'empty string', 'blob'].map(
    (name) => [`HEAD ${name}`, { ...(BODIES[name] as Situation), ask: HEAD }],
  ),
)

const REQUESTS: Readonly<Record<string, Situation>> = {
  'body read': { app: echo, ask: { method: 'POST', headers: { 'Content-Length': '4' }, body: 'data' } },
  'body not read': body(() => 'x', { method: 'POST', headers: { 'Content-Length': '4' }, body: 'data' }),
  'chunked body with trailers': {
    app: echo,
    ask: {
      method: 'PUT',
      headers: { 'Transfer-Encoding': 'chunked' },
      body: '3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n',
    },
    only: 'HTTP/1.1',
  },
  'expect 100-continue': {
    app: echo,
    ask: { method: 'POST', headers: { Expect: '100-continue', 'Content-Length': '4' }, body: 'data' },
    only: 'HTTP/1.1',
  },
  options: body(() => 'x', { method: 'OPTIONS' }),
  delete: body(() => 'x', { method: 'DELETE' }),
  pipelined: body(() => 'first', { next: ['/stream', '/json', '/throws', '/string'] }),
  'pipelined with errors': {
    app: () => {
      throw new Error('x')
    },
    ask: { next: ['/HEAD%20string', '/string'] },
  },
  'not modified': {
    app(ctx) {
      ctx.status = 200
      ctx.set('ETag', '"a"')
      ctx.body = 'text'
      if (ctx.fresh) ctx.status = 304
    },
    ask: { headers: { 'If-None-Match': '"a"' } },
  },
  range: {
    app(ctx) {
      ctx.status = 206
      ctx.set('Content-Range', 'bytes 0-1/4')
      ctx.body = chunks('ab')
      ctx.length = 2
    },
    ask: { headers: { Range: 'bytes=0-1' } },
  },
  'range that is not satisfiable': {
    app: (ctx) => ctx.throw(416, 'no', { headers: { 'Content-Range': 'bytes */4' } }),
    ask: { headers: { Range: 'bytes=9-' } },
  },
  'client leaves a stream': body((ctx) => watch(ctx, endless()), { leave: 5000 }),
  'client leaves a long wait': {
    async app(ctx) {
      ctx.res.writeHead(200)
      ctx.res.write('x')
      ctx.respond = false
      await sleep(20)
    },
    ask: { leave: 0 },
  },
}

const ENDINGS: Readonly<Record<string, Situation>> = {
  throws: {
    app: () => {
      throw new Error('app broke')
    },
  },
  'throws late': {
    app: async () => {
      await sleep(2)
      throw new Error('app broke late')
    },
  },
  'throws no error': {
    app: () => {
      throw 'text'
    },
  },
  'throws undefined': {
    app: async () => {
      throw undefined
    },
    hangs: true,
  },
  'throws http-error': {
    app: (ctx) => ctx.throw(403, 'go away', { headers: { 'X-Why': 'rule', 'WWW-Authenticate': 'Basic' } }),
  },
  'throws http-error 500': { app: (ctx) => ctx.throw(500, 'secret') },
  'throws after a body': {
    app: (ctx) => {
      ctx.body = 'x'
      ctx.set('X-Lost', '1')
      throw new Error('after the body')
    },
  },
  'throws after a stream': {
    app: (ctx) => {
      ctx.body = watch(ctx, endless())
      throw new Error('after the stream')
    },
  },
  'throws after flushHeaders': {
    app: (ctx) => {
      ctx.flushHeaders()
      throw new Error('after the head')
    },
    hangs: true,
  },
  'throws ENOENT': {
    app: () => {
      throw Object.assign(new Error('none'), { code: 'ENOENT' })
    },
  },
  'stream fails at once': body(() => failing([])),
  'stream fails half-way': { ...body(() => failing(['one', 'two'])), hangs: true },
  'stream is destroyed': { ...body((ctx) => watch(ctx, destroyed(undefined))), hangs: true },
  'stream is destroyed with an error': { ...body((ctx) => watch(ctx, destroyed(new Error('destroyed')))), hangs: true },
  'missing file': body(() => createReadStream('/nope')),
  'response destroyed': {
    app: (ctx) => {
      ctx.res.destroy()
    },
  },
  'socket destroyed': {
    app: (ctx) => {
      ctx.req.socket.destroy()
    },
  },
  'socket destroyed in a stream': {
    ...body((ctx) =>
      watch(
        ctx,
        endless(() => ctx.req.socket.destroy()),
      ),
    ),
    ask: { leave: Number.POSITIVE_INFINITY },
  },
  'time-out': {
    app: (ctx) => {
      ctx.res.setTimeout(10, () => ctx.res.destroy())
      return new Promise(() => undefined)
    },
  },
  'flushed head, then a stream': body((ctx) => {
    ctx.type = 'text'
    ctx.status = 200
    ctx.flushHeaders()
    return chunks('a', 'b')
  }),
  'flushed head, then a string': body((ctx) => {
    ctx.type = 'text'
    ctx.status = 200
    ctx.flushHeaders()
    return 'a'
  }),
}

const DIRECT: Readonly<Record<string, Situation>> = {
  'ctx.res': {
    app: (ctx) => {
      ctx.res.statusCode = 202
      ctx.res.end('direct')
    },
  },
  'ctx.res in parts': {
    app: (ctx) => {
      ctx.res.write('a')
      ctx.res.write('b')
      ctx.res.end()
    },
  },
  'ctx.res with a head': {
    app: (ctx) => {
      ctx.res.writeHead(201, { 'X-A': 'b', 'Content-Type': 'text/plain' })
      ctx.res.end('x')
    },
  },
  'respond false': {
    app: (ctx) => {
      ctx.respond = false
      ctx.res.statusCode = 200
      ctx.res.end('direct')
    },
  },
  'respond false, later': {
    app: (ctx) => {
      ctx.respond = false
      setTimeout(() => ctx.res.end('later'), 5)
    },
  },
  'respond false, a pipe': {
    app: (ctx) => {
      ctx.respond = false
      ctx.res.statusCode = 200
      chunks('a', 'b').pipe(ctx.res)
    },
  },
  'respond false after a body': {
    app: (ctx) => {
      ctx.body = 'unsent'
      ctx.respond = false
      ctx.res.end('sent')
    },
  },
  'early hints': {
    app: (ctx) => {
      ctx.res.writeEarlyHints({ link: '</a>; rel=preload' })
      ctx.body = 'x'
    },
  },
  trailers: {
    app(ctx) {
      ctx.respond = false
      ctx.res.setHeader('Trailer', 'X-Sum')
      ctx.res.write('x')
      ctx.res.addTrailers({ 'X-Sum': '1' })
      ctx.res.end()
    },
  },
}

/** Every fixed case, by its name. */
export const SITUATIONS: Readonly<Record<string, Situation>> = {
  ...BODIES,
  ...STATUSES,
  ...HEADS,
  ...REQUESTS,
  ...ENDINGS,
  ...DIRECT,
}
