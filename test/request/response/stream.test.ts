import { once } from 'node:events'
import { connect } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { createFilterStream, toReadable } from '../../../lib/request/response/stream.ts'
import { createDecoders } from '../../../lib/sources/content-coding.ts'
import { createDeferred, plugin, startApp } from '../../fixtures/app.ts'
import { tries } from '../../fixtures/tries.ts'

const ENDLESS_CHUNK = Buffer.alloc(65_536, 'x')
/** More than sockets and streams buffer between the app and a client that does not read, in bytes. */
const MOST_PULLED = 24 * 1024 * 1024

/** Sources without an end, that tell how much was read of them and when they are freed. */
const ENDLESS = {
  'a Node stream': (counter: Counter): Readable =>
    new Readable({
      read() {
        counter.pulled += ENDLESS_CHUNK.length
        this.push(ENDLESS_CHUNK)
      },
      destroy(_error, done) {
        counter.freed()
        done(null)
      },
    }),
  'a web stream': (counter: Counter): ReadableStream =>
    new ReadableStream({
      pull(controller) {
        counter.pulled += ENDLESS_CHUNK.length
        controller.enqueue(new Uint8Array(ENDLESS_CHUNK))
      },
      cancel: counter.freed,
    }),
  'a Response': (counter: Counter): Response => new Response(ENDLESS['a web stream'](counter)),
}
type Kind = keyof typeof ENDLESS

interface Counter {
  pulled: number
  freed: () => void
}

function createCounter() {
  const { promise, resolve } = createDeferred()
  return { pulled: 0, freed: () => resolve(), isFreed: promise }
}

/** A client that asks, reads the head, and then nothing more. */
async function connectLazily(port: number) {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'readable')
  return socket
}

/** Waits until a number no longer changes. */
async function settled(read: () => number): Promise<number> {
  let before = -1
  while (read() !== before) {
    before = read()
    await new Promise((done) => setTimeout(done, 50))
  }
  return before
}

describe.each(Object.keys(ENDLESS) as Kind[])('%s without an end', (kind) => {
  const FILTERS = [
    ['a filter', [plugin('body_filter', 'return chunk')]],
    [
      'asynchronous filters',
      [plugin('body_filter', 'await null; return Buffer.from(chunk)'), plugin('body_filter', '')],
    ],
  ] as const

  it.each(FILTERS)(
    'is read through %s as fast as the client reads, and freed when it goes away',
    async (_what, plugins) => {
      const counter = createCounter()
      const { port } = await startApp({
        plugins,
        inner: (ctx) => {
          ctx.body = ENDLESS[kind](counter)
        },
      })
      const socket = await connectLazily(port)
      const stalled = await settled(() => counter.pulled)
      expect(stalled).toBeGreaterThan(0)
      expect(stalled).toBeLessThan(MOST_PULLED)
      socket.read()
      socket.resume()
      await vi.waitFor(() => expect(counter.pulled).toBeGreaterThan(stalled), { interval: 5 })
      socket.destroy()
      await counter.isFreed
    },
  )

  it('is freed when the client goes away while a filter awaits', async () => {
    const counter = createCounter()
    const [entered, held] = [createDeferred(), createDeferred()]
    const { port, errors } = await startApp({
      plugins: [plugin('body_filter', `if (count() === 2) { entered(); await held }; return chunk`)],
      options: {
        globals: {
          entered: entered.resolve,
          held: held.promise,
          count: (() => {
            let n = 0
            return () => (n += 1)
          })(),
        },
      },
      inner: (ctx) => {
        ctx.body = ENDLESS[kind](counter)
      },
    })
    const socket = await connectLazily(port)
    await entered.promise
    socket.destroy()
    await counter.isFreed
    held.resolve()
    await new Promise((done) => setTimeout(done, 5))
    // What Koa reports of a client that is gone, and nothing else.
    const codes = errors.map((error) => (error as NodeJS.ErrnoException).code)
    expect(codes.filter((code) => code !== 'ERR_STREAM_PREMATURE_CLOSE' && code !== 'ECONNRESET')).toEqual([])
  })

  it('is freed when a plugin answers in its place', async () => {
    const counter = createCounter()
    const { request } = await startApp({
      plugins: [plugin('header_filter', `exit(403, 'no')`), plugin('body_filter', '')],
      inner: (ctx) => {
        ctx.body = ENDLESS[kind](counter)
      },
    })
    await request.get('/').expect(403, 'no')
    await counter.isFreed
  })

  it('is freed when the filter answers in its place', async () => {
    const counter = createCounter()
    const { uri } = await startApp({
      plugins: [plugin('body_filter', `throw new Error('broken')`, { on_failure: 'closed' })],
      inner: (ctx) => {
        ctx.body = ENDLESS[kind](counter)
      },
    })
    expect((await fetch(uri)).status).toBe(503)
    await counter.isFreed
  })
})

describe('the filter stream', () => {
  const identity = async (chunk: string | Uint8Array) => chunk

  it('has one chunk under way at a time', async () => {
    let [running, most, calls] = [0, 0, 0]
    const output = createFilterStream(Readable.from(['a', 'b', 'c', 'd']), [], async (chunk) => {
      calls += 1
      running += 1
      most = Math.max(most, running)
      await new Promise((done) => setTimeout(done, 1))
      running -= 1
      return chunk
    })
    expect(Buffer.concat(await output.toArray()).toString()).toBe('abcd')
    expect([calls, most]).toEqual([5, 1])
  })

  it('reads no more than a few chunks ahead of a reader that does not read', async () => {
    let pulled = 0
    const source = new Readable({
      objectMode: true,
      highWaterMark: 1,
      read() {
        pulled += 1
        this.push(ENDLESS_CHUNK)
      },
    })
    const output = createFilterStream(source, [], identity)
    await settled(() => pulled)
    expect(pulled).toBeLessThan(6)
    output.destroy()
    await new Promise((done) => source.once('close', done))
  })

  it('leaves nothing listening on the source, however many chunks pass', async () => {
    const chunks = Array.from({ length: 200 }, () => 'x')
    const warned = vi.fn()
    process.on('warning', warned)
    const { request } = await startApp({
      plugins: [plugin('body_filter', 'signal.aborted; return chunk')],
      inner: (ctx) => {
        ctx.body = Readable.from(chunks)
        ctx.type = 'text'
      },
    })
    await request.get('/').expect(200, 'x'.repeat(200))
    await new Promise((done) => setImmediate(done))
    process.off('warning', warned)
    expect(warned).not.toHaveBeenCalled()
  })

  it('takes a Response without a body for an empty stream', async () => {
    expect(await toReadable(new Response(null)).toArray()).toEqual([])
  })

  it('fails with the error of its source, and destroys the source with its own', async () => {
    const error = new Error('broken')
    const source = new PassThrough()
    const output = createFilterStream(source, [], identity)
    source.destroy(error)
    await expect(output.toArray()).rejects.toBe(error)

    const other = new PassThrough()
    const failing = createFilterStream(other, [], () => Promise.reject(error))
    other.write('a')
    await expect(failing.toArray()).rejects.toBe(error)
    expect(other.destroyed).toBe(true)
  })
})

describe('any chunking of a body', () => {
  /** Bytes, and the sizes of the pieces that they are cut into, over and over; 0 makes an empty piece. */
  const bytes = fc.uint8Array({ maxLength: 2000 })
  const sizes = fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 8 }).filter((all) => all.some((n) => n > 0))

  function cut(whole: Uint8Array, lengths: readonly number[]): Buffer[] {
    const pieces: Buffer[] = []
    for (let at = 0, index = 0; at < whole.length; index += 1) {
      const length = lengths[index % lengths.length] as number
      pieces.push(Buffer.from(whole.subarray(at, at + length)))
      at += length
    }
    return pieces
  }

  const SOURCES = {
    'a Node stream': (pieces: Buffer[]) => Readable.from(pieces),
    'a Node stream of bytes': (pieces: Buffer[]) => Readable.from(pieces, { objectMode: false }),
    'a web stream': (pieces: Buffer[]) => toReadable(Readable.toWeb(Readable.from(pieces))),
  }
  const double = async (chunk: string | Uint8Array) =>
    Buffer.from([...Buffer.from(chunk)].flatMap((byte) => [byte, byte]))

  it.each(Object.entries(SOURCES))('gives the same bytes: %s', async (_kind, source) => {
    await fc.assert(
      fc.asyncProperty(bytes, sizes, async (whole, lengths) => {
        const output = createFilterStream(source(cut(whole, lengths)), [], double)
        expect(Buffer.concat(await output.toArray())).toEqual(await double(whole))
      }),
      tries(20),
    )
  })

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const)('gives the same bytes: encoded as %s', async (coding, encode) => {
    await fc.assert(
      fc.asyncProperty(bytes, sizes, async (whole, lengths) => {
        const decoders = createDecoders(coding) ?? []
        const output = createFilterStream(Readable.from(cut(encode(whole), lengths)), decoders, double)
        expect(Buffer.concat(await output.toArray())).toEqual(await double(whole))
      }),
      tries(20),
    )
  })

  it('gives the same bytes over HTTP, through a chain of filters', async () => {
    let pieces: Buffer[] = []
    const { uri } = await startApp({
      plugins: [
        plugin('body_filter', 'return chunk.map((byte) => byte ^ 255)'),
        plugin('body_filter', 'await null; return chunk'),
        plugin('body_filter', `return Buffer.from(chunk).map((byte) => byte ^ 255)`),
        plugin('body_filter', `if (last) return '.'`),
      ],
      inner: (ctx) => {
        ctx.body = Readable.from(pieces)
      },
    })
    await fc.assert(
      fc.asyncProperty(bytes, sizes, async (whole, lengths) => {
        pieces = cut(whole, lengths)
        const response = await fetch(uri)
        const got = Buffer.from(await response.arrayBuffer())
        expect(got).toEqual(Buffer.concat([whole, Buffer.from('.')]))
      }),
      tries(20),
    )
  })
})
