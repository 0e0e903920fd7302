import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { CompileError } from '../../lib/errors.ts'
import { describeError } from '../../lib/observability/plain-error.ts'

describe('an error as plain data', () => {
  test('has its class, message, code and stack, and its causes', () => {
    const error = new CompileError('p', 'no', { line: 1 }, { cause: new RangeError('why') })
    expect(describeError(error)).toEqual({
      type: 'CompileError',
      message: 'plugin "p":1: no',
      code: 'ERR_DYNACODE_COMPILE',
      stack: error.stack,
      cause: { type: 'RangeError', message: 'why', stack: expect.any(String) },
    })
  })

  test('has nothing else of it: what libraries add may be secret', () => {
    const error = Object.assign(new Error('x'), { config: { headers: { authorization: 'Bearer hunter2' } } })
    expect(JSON.stringify(describeError(new Error('y', { cause: error })))).not.toContain('hunter2')
  })

  test.each([
    ['text', 'text'],
    [42, '42'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{}, '[object Object]'],
    [Object.create(null), 'what has no text'],
    [
      new Proxy(new Error('x'), {
        get: () => {
          throw new Error('not to be looked at')
        },
      }),
      'what has no text',
    ],
    [Symbol('s'), 'Symbol(s)'],
  ])('is made of whatever is thrown (%#)', (thrown, message) => {
    expect(describeError(thrown)).toEqual({ type: expect.any(String), message })
  })

  test('is made of errors of another realm, too', () => {
    expect(describeError(runInNewContext('new TypeError("x")'))).toMatchObject({ type: 'TypeError', message: 'x' })
  })

  test('is bounded, whatever its texts and causes are', () => {
    const endless = new Error('x'.repeat(1e6))
    endless.cause = endless
    endless.name = 'N'.repeat(1e6)
    Object.assign(endless, { code: 'c'.repeat(1e6) })
    expect(JSON.stringify(describeError(endless)).length).toBeLessThan(50_000)
  })
})
