import { normalize } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { listSpellings } from '../../lib/matching/path-spellings.ts'

describe('a path', () => {
  test.each(['/', '/a', '/a/', '/a.b/c-d_e~f', '*', '', '/a/b.c', '/@!$&()*+,=:'])('%j has one spelling', (path) => {
    expect(listSpellings(path)).toEqual([path])
  })

  test.each([
    ['/./secret', '/secret'],
    ['/x/../secret', '/secret'],
    ['/../secret', '/secret'],
    ['/x/y/../../secret/.', '/secret/'],
    ['/secret/x/..', '/secret/'],
    ['//secret', '/secret'],
    ['/secret//', '/secret/'],
    ['/a//../secret', '/a/secret'],
    ['/a//../secret', '/secret'],
    ['/%73ecret', '/secret'],
    ['/%2e/secret', '/secret'],
    ['/x/%2E%2e/secret', '/secret'],
    ['/x%2f..%2fsecret', '/secret'],
    ['/secret%2Fa', '/secret/a'],
    ['\\secret', '/secret'],
    ['/x\\..\\secret', '/secret'],
    ['/x%5C..%5csecret', '/secret'],
    ['/secret;a=b', '/secret'],
    ['/x/..;a/secret', '/secret'],
    ['/secret;a/b', '/secret/b'],
    ['/%40', '/@'],
    ['/secr\xc3\xa9t', '/secr%c3%a9t'],
    ['/a%2Fb', '/a%2Fb'],
  ])('%j may be taken for %j', (path, other) => {
    expect(listSpellings(path)).toContain(other)
    expect(listSpellings(path)[0]).toBe(path)
  })

  test.each([
    ['/%2573ecret', '/secret'],
    ['/a%20b', '/a b'],
    ['/secret', '/'],
    ['/a/..b', '/b'],
    ['/%zz/%', '/'],
  ])('%j is not taken for %j', (path, other) => {
    expect(listSpellings(path)).not.toContain(other)
  })
})

const piece = fc.constantFrom('/', '//', '.', '..', 'a', '%61', '%2e', '%2F', '\\', '%5c', ';x', '%', '%20', '\xe9')
const path = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`)

test('what file servers, URLs and routers make of a path is among its spellings', () => {
  const decodeAll = (text: string) =>
    text.replace(/%([2-7][\da-f])/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
  fc.assert(
    fc.property(path, (sent) => {
      const known = listSpellings(sent)
      // As they are compared: of a space, a file server has the character, and patterns have %20. A slash at the end is none.
      const inOneWay = (text: string) =>
        text.replaceAll(' ', '%20').replaceAll('\xe9', '%e9').replace(/\/$/, '').toLowerCase()
      const spellings = known.map(inOneWay)
      expect(known).toContain(sent)
      expect(spellings).toContain(inOneWay(normalize(decodeAll(sent))))
      expect(spellings).toContain(inOneWay(normalize(decodeAll(sent).replaceAll('\\', '/'))))
      const { pathname } = new URL(`http://a${sent.replaceAll('\xe9', '%e9')}`)
      expect(spellings).toContain(inOneWay(normalize(pathname.replace(/%61/g, 'a').replace(/%2e/gi, '.'))))
    }),
    { numRuns: 2000, seed: 17 },
  )
})

test('there are few of even the worst path', () => {
  const worst = '/a;x/%61%2f..\\//..//./%5c;b/\xe9'.repeat(20)
  expect(listSpellings(worst).length).toBeLessThanOrEqual(33)
})
