import { describe, expect, test } from 'vitest'
import { CompileError, DocumentError, DynacodeError, ERROR_CODES, OptionError } from '../lib/errors.ts'

describe('an error of dynacode', () => {
  test('carries its code, its class’s name and its cause', () => {
    const cause = new Error('refused')
    const error = new DynacodeError('ERR_DYNACODE_FETCH', 'no document', { cause })
    expect(error).toMatchObject({ name: 'DynacodeError', code: 'ERR_DYNACODE_FETCH', message: 'no document', cause })
    expect(error).toBeInstanceOf(Error)
  })

  test('has no cause of its own where none was given', () => {
    expect(new DynacodeError('ERR_DYNACODE_CLOSED', 'closed')).not.toHaveProperty('cause')
    expect(new DynacodeError('ERR_DYNACODE_CLOSED', 'closed', { cause: undefined })).toHaveProperty('cause', undefined)
  })

  test('is told by the name of its subclass', () => {
    const errors = [new OptionError('globals', 'x'), new DocumentError('domains', 'x'), new CompileError('p', 'x', {})]
    expect(errors.map(({ name, code }) => [name, code])).toEqual([
      ['OptionError', 'ERR_DYNACODE_OPTION'],
      ['DocumentError', 'ERR_DYNACODE_DOCUMENT'],
      ['CompileError', 'ERR_DYNACODE_COMPILE'],
    ])
    expect(errors.every((error) => error instanceof DynacodeError)).toBe(true)
  })
})

describe('a fault in the document', () => {
  test('is named with its path', () => {
    const error = new DocumentError('domains[0].name', 'expected a string, got 5')
    expect(error.path).toBe('domains[0].name')
    expect(error.message).toBe('domains[0].name: expected a string, got 5')
  })

  test('of the whole has no path', () => {
    expect(new DocumentError('', 'the document is not JSON').message).toBe('the document is not JSON')
  })
})

describe('a fault in a plugin’s code', () => {
  test.each([
    [{ line: 3, column: 7 }, 'plugin "limit":3:7: Unexpected token'],
    [{ line: 3 }, 'plugin "limit":3: Unexpected token'],
    [{}, 'plugin "limit": Unexpected token'],
  ])('at %j is named with plugin and place', (place, message) => {
    const error = new CompileError('limit', 'Unexpected token', place)
    expect(error).toMatchObject({ plugin: 'limit', message })
    expect([error.line, error.column]).toEqual([
      (place as { line?: number }).line,
      (place as { column?: number }).column,
    ])
  })
})

test('the codes are frozen, distinct and of one form', () => {
  expect(Object.isFrozen(ERROR_CODES)).toBe(true)
  expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length)
  expect(ERROR_CODES.filter((code) => !/^ERR_DYNACODE_[A-Z_]+$/.test(code))).toEqual([])
})
