import { createClient, createClientPool } from 'redis'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../../lib/index.ts'
import { publish_document, redis_source } from '../../lib/sources/redis.ts'

const KEY = 'plugins'
const CHANNEL = 'plugins-changed'
const PLACE = { key: KEY, channel: CHANNEL }

describe('arguments', () => {
  const client = createClient()
  const GIVEN = { client, ...PLACE }

  test.each([
    [{ ...GIVEN, key: undefined }, 'key', 'redis_source(options): option key: expected a string, got nothing'],
    [
      { ...GIVEN, key: '' },
      'key',
      'redis_source(options): option key: expected a string that is not empty, got a string',
    ],
    [{ ...GIVEN, channel: 5 }, 'channel', 'redis_source(options): option channel: expected a string, got 5'],
    [{ ...GIVEN, kee: 'a' }, 'kee', 'redis_source(options): option kee: is not known'],
    [
      { ...GIVEN, client: {} },
      'client',
      'redis_source(options): option client: expected a client that createClient() of redis made, got an object',
    ],
    [
      { ...GIVEN, max_bytes: 0 },
      'max_bytes',
      'redis_source(options): option max_bytes: expected a number above 0, got 0',
    ],
    [undefined, '', 'redis_source(options): expected an object, got nothing'],
  ])('redis_source(%#) names what is wrong', (given, option, message) => {
    const call = () => redis_source(given as never)
    expect(call).toThrow(OptionError)
    expect(call).toThrow(expect.objectContaining({ option, message }))
  })

  test.each([
    ['a pool', createClientPool()],
    ['a client of another make', { duplicate: () => undefined, withCommandOptions: () => undefined }],
  ])('%s is refused at once', (_, client) => {
    const call = () => redis_source({ client: client as never, ...PLACE })
    expect(call).toThrow(OptionError)
    expect(call).toThrow('option client: expected a client that createClient() of redis made, got an object')
  })

  test('publish_document rejects with what is wrong', async () => {
    const rejected = publish_document(client, { ...PLACE, document: 5 as never })
    await expect(rejected).rejects.toThrow(
      'publish_document(client, options): option document: expected an object, a string or bytes, got 5',
    )
  })
})
