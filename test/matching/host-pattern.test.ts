import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { normalizeHost, readHostPattern } from '../../lib/matching/host-pattern.ts'
import { tries } from '../fixtures/tries.ts'

// The expression of the original's README.
const ORIGINAL = '[\\w\\d\\.\\-]*server.local.com'

describe('a name', () => {
  test.each([
    ['*', { kind: 'any' }],
    ['a.com', { kind: 'literal', host: 'a.com' }],
    ['A.Com', { kind: 'literal', host: 'a.com' }],
    ['a.com.', { kind: 'literal', host: 'a.com' }],
    ['my_host-1', { kind: 'literal', host: 'my_host-1' }],
    ['127.0.0.1', { kind: 'literal', host: '127.0.0.1' }],
    ['*.a.com', { kind: 'suffix', suffix: '.a.com' }],
    ['*.A.COM.', { kind: 'suffix', suffix: '.a.com' }],
    ['[::1]', { kind: 'literal', host: '[::1]' }],
    ['[0:0:0:0:0:0:0:1]', { kind: 'literal', host: '[::1]' }],
    ['[2001:DB8::A]', { kind: 'literal', host: '[2001:db8::a]' }],
    ['[abc]', { kind: 'expression', expression: /[abc]/ }],
    ['^a', { kind: 'expression', expression: /^a/ }],
    ['a.*', { kind: 'expression', expression: /a.*/ }],
    ['.*', { kind: 'expression', expression: /.*/ }],
    [ORIGINAL, { kind: 'expression', expression: new RegExp(ORIGINAL) }],
    ['münchen.de', { kind: 'expression', expression: /münchen.de/ }],
    ['a.com\n', { kind: 'expression', expression: /a.com\n/ }],
  ])('%j means %j', (name, pattern) => {
    expect(readHostPattern(name)).toEqual(pattern)
  })

  test.each(['(', '*a.com', '**', '[', 'a(?<', '(?i)a'])('%j is refused as a broken expression', (name) => {
    expect(() => readHostPattern(name)).toThrow(SyntaxError)
  })
})

describe('normalizing a host', () => {
  test('makes it lower case and takes the last dot off', () => {
    expect(['A.com', 'a.com.', 'a..', '', '.'].map(normalizeHost)).toEqual(['a.com', 'a.com', 'a.', '', ''])
  })
})

test('any name is either a pattern or a SyntaxError', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'grapheme' }), fc.stringMatching(/^[[\]()*+?.\\^$|{}:a-f0-9-]{1,12}$/)),
      (name) => {
        try {
          expect(['any', 'literal', 'suffix', 'expression']).toContain(readHostPattern(name).kind)
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError)
        }
      },
    ),
    tries(100),
  )
})
