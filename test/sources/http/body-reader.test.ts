import { createHash } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { readBody as readWhole } from '../../../lib/sources/http/body-reader.ts'

const NEVER = new AbortController().signal
const TEXT = '{"domains":[]}'

/** The bytes; that their hash is right goes without saying. */
async function readBody(body: Readable, encoding: string | undefined, max_bytes: number, signal: AbortSignal) {
  const headers = encoding === undefined ? {} : { 'content-encoding': encoding }
  const { bytes, sha1 } = await readWhole(body, headers, max_bytes, signal)
  expect(sha1).toBe(createHash('sha1').update(bytes).digest('hex'))
  return bytes
}

const failing = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: { code: string; message: string }) => error,
  )

async function read(bytes: Uint8Array, encoding?: string, max_bytes = 1000): Promise<string> {
  return Buffer.from(await readBody(Readable.from([bytes]), encoding, max_bytes, NEVER)).toString()
}

describe('a body', () => {
  test.each([
    [undefined, Buffer.from(TEXT)],
    ['', Buffer.from(TEXT)],
    ['identity', Buffer.from(TEXT)],
    ['gzip', gzipSync(TEXT)],
    ['deflate', deflateSync(TEXT)],
    ['deflate', deflateRawSync(TEXT)],
    ['br', brotliCompressSync(TEXT)],
    ['gzip, br', brotliCompressSync(gzipSync(TEXT))],
  ])('with Content-Encoding %j is read', async (encoding, bytes) => {
    expect(await read(bytes, encoding)).toBe(TEXT)
  })

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
  ])('is read whatever its chunks are (%s, %#)', async (coding, compress) => {
    const bytes = compress('x'.repeat(900))
    const chunks = Readable.from(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)))
    expect(Buffer.from(await readBody(chunks, coding, 1000, NEVER)).toString()).toBe('x'.repeat(900))
  })

  test.each([deflateSync, deflateRawSync])('in deflate that inflates to 200 MB is given up (%#)', async (compress) => {
    let taken = 0
    const bomb = compress(Buffer.alloc(200 * 1024 * 1024))
    async function* chunks() {
      for (let at = 0; at < bomb.length; at += 1000) {
        taken = at
        yield bomb.subarray(at, at + 1000)
      }
    }
    expect(await failing(readBody(Readable.from(chunks()), 'deflate', 1_000_000, NEVER))).toMatchObject({
      code: 'ERR_DYNACODE_FETCH_TOO_LARGE',
    })
    expect(taken).toBeLessThan(bomb.length / 2)
  })

  test.each([deflateSync, deflateRawSync])('in deflate that is cut short is refused (%#)', async (compress) => {
    const bytes = compress(TEXT.repeat(20)).subarray(0, -3)
    expect(await failing(read(bytes, 'deflate'))).toMatchObject({ code: 'ERR_DYNACODE_FETCH_CONTENT' })
  })

  test('may be as large as the cap, and no larger', async () => {
    expect(await read(Buffer.alloc(1000, 'x'))).toHaveLength(1000)
    expect(await failing(read(Buffer.alloc(1001, 'x')))).toMatchObject({
      code: 'ERR_DYNACODE_FETCH_TOO_LARGE',
      message: 'the document has more than 1000 bytes (plugin_api_max_bytes)',
    })
  })

  test('in a coding that nobody asked for is refused', async () => {
    expect(await failing(read(Buffer.from(TEXT), 'snappy'))).toMatchObject({
      code: 'ERR_DYNACODE_FETCH_CONTENT',
      message: expect.stringMatching(/is encoded as "snappy", expected gzip, .*br.* or nothing$/),
    })
  })

  test.each(['gzip', 'deflate', 'br'])('that is no %s is refused', async (encoding) => {
    expect(await failing(read(Buffer.from('<html>not compressed</html>'), encoding))).toMatchObject({
      code: 'ERR_DYNACODE_FETCH_CONTENT',
      message: `the body of the plugin API's answer is no valid ${encoding}`,
    })
  })

  test('in gzip that breaks off is refused', async () => {
    const bytes = gzipSync(TEXT)
    expect(await failing(read(bytes.subarray(0, -5), 'gzip'))).toMatchObject({ code: 'ERR_DYNACODE_FETCH_CONTENT' })
  })

  test('that breaks off fails with the error that broke it off, and is let go', async () => {
    const body = new PassThrough()
    const reading = failing(readBody(body, undefined, 1000, NEVER))
    body.write('half')
    const reset = new Error('other side closed')
    body.destroy(reset)
    expect(await reading).toBe(reset)
  })

  test('stops being read when the signal aborts', async () => {
    const controller = new AbortController()
    const body = new PassThrough()
    const reading = failing(readBody(body, 'gzip', 1000, controller.signal))
    body.write(gzipSync(TEXT).subarray(0, 5))
    controller.abort()
    expect(await reading).toMatchObject({ name: 'AbortError' })
    expect(body.destroyed).toBe(true)
  })
})

describe('a bomb', () => {
  const MEGABYTES = 20
  const zeros = Buffer.alloc(MEGABYTES * 1024 * 1024)

  test.each([
    ['gzip', gzipSync(zeros)],
    ['deflate', deflateSync(zeros)],
    ['br', brotliCompressSync(zeros, { params: { 0: 0 } })],
    ['gzip, gzip', gzipSync(gzipSync(zeros))],
  ])('of %s is given up at the cap, long before all of it is inflated', async (encoding, bomb) => {
    expect(bomb.length).toBeLessThan(zeros.length / 500)
    const before = process.memoryUsage().arrayBuffers
    const body = Readable.from([bomb])
    expect(await failing(readBody(body, encoding, 64 * 1024, NEVER))).toMatchObject({
      code: 'ERR_DYNACODE_FETCH_TOO_LARGE',
    })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(zeros.length / 10)
    expect(body.destroyed).toBe(true)
  })
})
