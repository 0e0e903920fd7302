import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as format from '../../../lib/background/cache/format.ts'
import { runSteps } from '../../../lib/time/steps.ts'
import { encodeDocument } from '../../fixtures/cache.ts'
import { tries } from '../../fixtures/tries.ts'

const { keepableTag, MAX_HEADER_BYTES } = format
const decode = (file: Buffer) => runSteps(format.decode(file))

const encode = (bytes: Uint8Array, tag: string | undefined, version: number | string) =>
  encodeDocument({ bytes, tag, version })

const whole = encode(Buffer.from('{"domains":[]}'), 'W/"7"', 7)

describe('a file of the cache', () => {
  test('gives back any bytes, tag and version as they were', () => {
    const version = fc.oneof(fc.maxSafeInteger(), fc.string({ maxLength: 40 }))
    const tag = fc.option(fc.string({ maxLength: 512, unit: 'binary' }), { nil: undefined })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), tag, version, (bytes, given_tag, given_version) => {
        const kept = keepableTag(given_tag)
        const content = decode(encode(bytes, kept, given_version))
        expect(content.bytes.equals(bytes)).toBe(true)
        expect(content.tag).toBe(kept)
        expect(content.version).toBe(Object.is(given_version, -0) ? 0 : given_version)
      }),
      tries(100),
    )
  })

  test('is one line of JSON that anybody can read, and then the bytes themselves', () => {
    const [line = '', rest] = whole.toString().split('\n')
    expect(JSON.parse(line)).toMatchObject({ dynacode_cache: 1, etag: 'W/"7"', version: 7, length: 14 })
    expect(rest).toBe('{"domains":[]}')
  })

  test('with any one bit changed is refused, wherever that bit is', () => {
    const unnoticed: number[] = []
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const changed = Buffer.from(whole)
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      try {
        decode(changed)
        unnoticed.push(bit)
      } catch {}
    }
    expect(unnoticed).toEqual([])
  })

  test('cut off at any place is refused, and so is one that goes on', () => {
    for (let length = 0; length < whole.length; length += 1) expect(() => decode(whole.subarray(0, length))).toThrow()
    expect(() => decode(Buffer.concat([whole, Buffer.from('x')]))).toThrow('15 bytes of content, expected 14')
  })

  test.each([
    ['nothing', '', 'it is empty'],
    ['a script', '#!/bin/sh\necho hello\n', 'not written by dynacode'],
    ['JSON of something else', '{"domains":[]}\n', 'not written by dynacode'],
    ['null', 'null\n', 'not written by dynacode'],
    ['a later format', '{"dynacode_cache":2,"etag":null,"version":1,"length":0}\n', 'not written by dynacode'],
    ['a line without end', 'x'.repeat(MAX_HEADER_BYTES * 2), 'not written by dynacode'],
    ['a tag that is a number', '{"dynacode_cache":1,"etag":5,"version":1,"length":0}\n', 'not written by dynacode'],
    ['no version', '{"dynacode_cache":1,"etag":null,"length":0}\n', 'not written by dynacode'],
    ['no checksum', '{"dynacode_cache":1,"etag":null,"version":1,"length":0}\n', 'checksum does not match'],
  ])('that holds %s is refused', (_what, text, reason) => {
    expect(() => decode(Buffer.from(text))).toThrow(reason)
  })

  test('holds the tag of these bytes only: a header put before other bytes of the same length is refused', () => {
    const [one, other] = [Buffer.from('one'), Buffer.from('two')]
    const header = encode(one, '"1"', 1).subarray(0, -one.length)
    expect(() => decode(Buffer.concat([header, other]))).toThrow('checksum does not match')
  })

  test('does without a tag of absurd length, and takes no absurd version', () => {
    expect(keepableTag('x'.repeat(512))).toHaveLength(512)
    expect(keepableTag('x'.repeat(513))).toBeUndefined()
    expect(() => encode(Buffer.alloc(1), undefined, 'v'.repeat(5000))).toThrow('too long')
  })
})
