import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findJsonFault } from '../../../lib/background/reading/json-fault.ts'
import { tries } from '../../fixtures/tries.ts'

const isJson = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('the fault in a text', () => {
  test.each([
    ['', 1, 1, 'expected a value, got the end'],
    ['x', 1, 1, 'expected a value, got "x"'],
    ['{"a": 1,}', 1, 9, 'expected a name in double quotes, got "}"'],
    ['{"a": 1', 1, 8, 'expected "," or "}", got the end'],
    ['[1 2]', 1, 4, 'expected "," or "]", got "2]"'],
    ['[1,]', 1, 4, 'expected a value, got "]"'],
    ['{\n  "a" 1\n}', 2, 7, 'expected ":", got "1"'],
    ["{\r\n  'a': 1\r\n}", 2, 3, `expected a name in double quotes, got "'a': 1"`],
    ['{"a": tru}', 1, 7, 'expected a value, got "tru}"'],
    ['{"a": 01}', 1, 7, 'expected a value, got "01}"'],
    ['{"a": "b\nc"}', 1, 7, 'expected a value, got "\\"b"'],
    ['[{"a": [1, "\\x"]}]', 1, 12, 'expected a value, got "\\"\\\\x\\"]}]"'],
    ['{} {}', 1, 4, 'expected the end, got "{}"'],
    ['{"a": 1}}', 1, 9, 'expected the end, got "}"'],
  ])('of %j is at %d:%d: %s', (text, line, column, message) => {
    expect(findJsonFault(text)).toEqual({ line, column, message })
  })

  test('is found in whatever JSON.parse refuses, and in nothing else', () => {
    const broken = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.nat(3),
        fc.constantFrom('', ',', '"', '}', ']', ':', '\\', '\n', '0', '-', 'e', 'null'),
      )
      .map(([text, at, drop, put]) => {
        const place = at % (text.length + 1)
        return text.slice(0, place) + put + text.slice(place + drop)
      })
    fc.assert(
      fc.property(fc.oneof(broken, fc.json(), fc.string()), (text) => {
        expect(findJsonFault(text) === undefined).toBe(isJson(text))
      }),
      tries(750),
    )
  })

  test('is found in megabytes, however deep', () => {
    expect(findJsonFault('['.repeat(1_000_000))).toMatchObject({ column: 1_000_001 })
    expect(findJsonFault(`["${'a\\n'.repeat(1_000_000)}" 1]`)).toMatchObject({ message: expect.stringContaining('1]') })
  })
})
