import * as memjs from 'memjs'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../../lib/index.ts'
import { memcached_source } from '../../lib/sources/memcached.ts'

const KEY = 'plugins'

describe('arguments', () => {
  const client = memjs.Client.create('127.0.0.1:1')
  const GIVEN = { client, key: KEY }

  test.each([
    [{ ...GIVEN, key: 'two words' }, 'key', 'expected a string of 1 to 200 bytes without spaces, got a string'],
    [{ ...GIVEN, key: 'ü'.repeat(101) }, 'key', 'expected a string of 1 to 200 bytes without spaces, got a string'],
    [{ ...GIVEN, channel: 'a' }, 'channel', 'is not known'],
    [{ ...GIVEN, client: undefined }, 'client', 'expected a client of memjs, got nothing'],
  ])('memcached_source(%#) names what is wrong', (given, option, message) => {
    const call = () => memcached_source(given as never)
    expect(call).toThrow(OptionError)
    expect(call).toThrow(
      expect.objectContaining({ option, message: `memcached_source(options): option ${option}: ${message}` }),
    )
  })
})
