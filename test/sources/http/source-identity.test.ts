import { describe, expect, test } from 'vitest'
import { identifySource } from '../../../lib/sources/http/source-identity.ts'

describe('the name of a source in the cache', () => {
  test('is the same for the same address, however it is written', () => {
    const name = identifySource('http://api:80/plugins.json')
    for (const same of ['http://api/plugins.json', 'HTTP://API/plugins.json#here', 'http://api/x/../plugins.json']) {
      expect(identifySource(same)).toBe(name)
    }
  })

  test.each([
    'http://api/other.json',
    'https://api/plugins.json',
    'http://api:81/plugins.json',
    'http://api/plugins.json?app=b',
  ])('is another for %s', (uri) => {
    expect(identifySource(uri)).not.toBe(identifySource('http://api/plugins.json'))
    expect(identifySource(uri)).not.toBe(identifySource(undefined))
  })

  test('does not show what stands in the address', () => {
    expect(identifySource('http://api/plugins.json?token=secret')).toMatch(/^[0-9a-f]{32}$/)
  })
})
