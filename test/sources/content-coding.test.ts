import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ACCEPT_ENCODING, createDecoders, isDecodingError } from '../../lib/sources/content-coding.ts'

const TEXT = 'olá mundo! '.repeat(1000)

async function decode(header: string, bytes: Uint8Array): Promise<string> {
  const decoders = createDecoders(header)
  if (decoders === undefined) throw new Error('the coding is not known')
  let stream: NodeJS.ReadableStream = Readable.from([bytes])
  for (const decoder of decoders) {
    stream.on('error', (error) => (decoder as unknown as Readable).destroy(error))
    stream = stream.pipe(decoder)
  }
  return (await buffer(stream)).toString()
}

describe('a body', () => {
  test.each([
    ['gzip', gzipSync(TEXT)],
    ['x-gzip', gzipSync(TEXT)],
    ['GZip', gzipSync(TEXT)],
    ['deflate', deflateSync(TEXT)],
    ['deflate', deflateRawSync(TEXT)],
    ['deflate', deflateRawSync(TEXT, { level: 0 })],
    ['deflate', deflateRawSync(TEXT, { strategy: 4 })],
    ['gzip, deflate', deflateRawSync(gzipSync(TEXT))],
    ['br', brotliCompressSync(TEXT)],
    ['identity', Buffer.from(TEXT)],
    ['', Buffer.from(TEXT)],
    [' gzip , identity', gzipSync(TEXT)],
    ['deflate, gzip', gzipSync(deflateSync(TEXT))],
    ['gzip,br', brotliCompressSync(gzipSync(TEXT))],
  ])('encoded as %j is decoded', async (header, bytes) => {
    expect(await decode(header, bytes)).toBe(TEXT)
  })

  test.each(['gzip, gzip, gzip', 'snappy', 'gzip, snappy', 'gzip;q=1', '*', 'constructor', '__proto__'])(
    'encoded as %j is left alone',
    (header) => {
      expect(createDecoders(header)).toBeUndefined()
    },
  )

  test.each(['gzip', 'deflate', 'br'])('that is no %s is told from other faults', async (header) => {
    const error = await decode(header, Buffer.from('not compressed at all')).catch((error) => error)
    expect(isDecodingError(error)).toBe(true)
  })

  test.each([
    ['gzip', gzipSync(TEXT)],
    ['deflate', deflateSync(TEXT)],
    ['br', brotliCompressSync(TEXT)],
  ])('in %s that breaks off is told from other faults', async (header, bytes) => {
    const error = await decode(header, bytes.subarray(0, bytes.length / 2)).catch((error) => error)
    expect(isDecodingError(error)).toBe(true)
  })

  test('that cannot be had is not taken for one badly encoded', () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    expect([reset, new Error('x'), undefined, null, 'Z_DATA_ERROR', { code: 5 }].some(isDecodingError)).toBe(false)
  })
})

test('what is asked for can be decoded', () => {
  const codings = ACCEPT_ENCODING.split(', ')
  expect(codings).toEqual(expect.arrayContaining(['gzip', 'deflate', 'br']))
  for (const coding of codings) {
    const decoders = createDecoders(coding)
    expect(decoders).toHaveLength(1)
    for (const decoder of decoders ?? []) (decoder as unknown as Readable).destroy()
  }
})
