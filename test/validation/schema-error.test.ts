import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { describeKind, describeMismatch, describeValue, formatPath } from '../../lib/validation/schema-error.ts'
import { tries } from '../fixtures/tries.ts'

function mismatch(schema: z.ZodType, value: unknown) {
  const result = schema.safeParse(value)
  if (result.success) throw new Error('the value is as its schema has it')
  return describeMismatch(result.error, value)
}

describe('a mismatch', () => {
  test.each([
    ['a type', z.string(), 5, '', 'expected a string, got 5'],
    ['an object', z.object({}), null, '', 'expected an object, got null'],
    ['a record', z.record(z.string(), z.string()), 'x', '', 'expected an object, got "x"'],
    ['an array', z.array(z.string()), {}, '', 'expected an array, got an object'],
    ['an integer', z.int(), 1.5, '', 'expected an integer, got 1.5'],
    ['a finite number', z.number(), Number.NaN, '', 'expected a finite number, got NaN'],
    ['one of a few', z.enum(['a', 'b']), 'c', '', 'expected one of "a", "b", got "c"'],
    ['one alone', z.literal(Number.POSITIVE_INFINITY), 1, '', 'expected Infinity, got 1'],
    ['a lower limit', z.number().min(2), 1, '', 'expected a number of at least 2, got 1'],
    ['a lower limit that is out', z.number().gt(2), 2, '', 'expected a number above 2, got 2'],
    ['an upper limit', z.number().max(2), 3, '', 'expected a number of at most 2, got 3'],
    ['an upper limit that is out', z.number().lt(2), 2, '', 'expected a number below 2, got 2'],
    ['an empty string', z.string().min(1), '', '', 'expected a string that is not empty, got ""'],
    ['a long string', z.string().max(3), 'long', '', 'expected a string of at most 3 characters, got "long"'],
    ['kinds', z.union([z.string(), z.number()]), true, '', 'expected a string or a finite number, got true'],
    ['words of its own', z.custom(() => false, 'a Dispatcher'), {}, '', 'expected a Dispatcher, got an object'],
    ['a place', z.object({ a: z.array(z.string()) }), { a: ['x', 1] }, 'a[1]', 'expected a string, got 1'],
    ['what is missing', z.object({ a: z.string() }), {}, 'a', 'expected a string, got nothing'],
    ['what is too much', z.strictObject({ a: z.strictObject({}) }), { a: { b: 1 } }, 'a.b', 'is not known'],
  ])('of %s is told with what was expected and what came', (_, schema, value, path, message) => {
    expect(mismatch(schema, value)).toEqual({ path, message })
  })

  test('inside one kind of a union is told by its own place', () => {
    const schema = z.object({
      headers: z.union([z.custom(() => false, 'a function'), z.record(z.string(), z.string())]),
    })
    expect(mismatch(schema, { headers: { a: 'x', b: 7 } })).toEqual({
      path: 'headers.b',
      message: 'expected a string, got 7',
    })
  })
})

describe('a path', () => {
  test.each([
    [[], ''],
    [['domains', 0, 'plugins', 12, 'phase'], 'domains[0].plugins[12].phase'],
    [['params', 'x-y', '$z'], 'params.x-y.$z'],
    [['a b', 'c'], '["a b"].c'],
    [['a', '"'], 'a["\\""]'],
    [['x'.repeat(500)], 'x'.repeat(500)],
  ])('%j is written %s', (keys, path) => {
    expect(formatPath(keys)).toBe(path)
  })
})

describe('a value', () => {
  test.each([
    [undefined, 'nothing'],
    [null, 'null'],
    [true, 'true'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
    [10n, 'the bigint 10'],
    [Symbol('x'), 'the symbol Symbol(x)'],
    [() => 1, 'a function'],
    [class {}, 'a function'],
    [[1, 2], 'an array of 2'],
    [{ a: 1 }, 'an object'],
    [Object.create(null), 'an object'],
    ['text\n', '"text\\n"'],
    ['y'.repeat(61), `"${'y'.repeat(60)}…"`],
  ])('%s is described as %s', (value, words) => {
    expect(describeValue(value)).toBe(words)
  })

  test('is described in a few words, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true, withSparseArray: true }), (value) => {
        if (typeof value !== 'bigint') expect(describeValue(value).length).toBeLessThan(400)
      }),
      tries(100),
    )
  })

  test('of a secret is described by its kind alone', () => {
    expect([describeKind('hunter2'), describeKind(5), describeKind({ a: 'hunter2' })]).toEqual([
      'a string',
      '5',
      'an object',
    ])
  })
})
