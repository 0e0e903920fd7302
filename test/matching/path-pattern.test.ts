import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPathTest, listPaths, readPath, spellingsOf } from '../../lib/matching/path-pattern.ts'
import { listSpellings } from '../../lib/matching/path-spellings.ts'
import { tries } from '../fixtures/tries.ts'

const requestFor = (path: string, url = path) => ({ path, req: { url } })

/** Pieces of which patterns and paths are made, so that many of them match. */
const pieces = ['/', 'a', 'B', 'é', '%C3%A9', '-', '.', 'area', '~', 'K', 'ſ']
const path = fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map((parts) => `/${parts.join('')}`)

describe('a path', () => {
  test.each([
    ['/a', '/a', true],
    ['/a', '/A/', true],
    ['/A', '/a', true],
    ['/a', '/a//', true],
    ['/a', '/ab', false],
    ['/a', '/', false],
    ['/', '/', true],
    ['/', '/a', false],
    ['/users/:id', '/users/7', true],
    ['/users/:id', '/users/', false],
    ['/users/:id', '/USERS/7/', true],
    ['/files/*rest', '/files/a/b', true],
    ['/a{/b}', '/a', true],
    ['/a{/b}', '/a/B', true],
    ['/{a}', '/', true],
    ['/é', '/%C3%A9', true],
    ['/a\\:b', '/a:b', true],
    ['/%61dmin', '/admin', true],
    ['/%61dmin', '/%61dmin', true],
    ['/users/:id', '/users/a%2Fb', true],
    ['/users/:id', '/users/a/b', false],
  ])('%s, asked for %s: %s', (pattern, asked, expected) => {
    expect(createPathTest([pattern])(requestFor(asked))).toBe(expected)
  })

  test('matches just where path-to-regexp says so of how it may be taken', () => {
    const optional = fc.tuple(path, fc.constantFrom('', '/:id', '{/x}', '/*rest')).map((parts) => parts.join(''))
    fc.assert(
      fc.property(optional, path, (pattern, asked) => {
        const expression = readPath(pattern)
        const spellings = listSpellings(asked)
        expect(createPathTest([pattern])(requestFor(asked))).toBe(spellings.some((each) => expression.test(each)))
        expect(createPathTest([pattern], 'every')(requestFor(asked))).toBe(
          spellings.every((each) => expression.test(each)),
        )
        expect(createPathTest([pattern], 'sent')(requestFor(asked))).toBe(expression.test(asked))
      }),
      tries(500),
    )
  })

  test('is the one that the request has now, whatever its address was before', () => {
    const isA = createPathTest(['/a'])
    const request = requestFor('/a', '/a?x')
    expect(isA(request)).toBe(true)
    expect(isA({ path: '/b', req: { url: '/b?x' } })).toBe(false)
    expect(isA(request)).toBe(true)
    expect(spellingsOf({ path: '/ABC', req: { url: '/ABC' } })).toEqual([{ path: '/ABC', lower: '/abc' }])
    expect(createPathTest(['/'])({ path: '', req: {} })).toBe(false)
  })
})

describe('the list of paths', () => {
  test('is all that match, where these can be listed', () => {
    expect(listPaths(['/A', '/b/c'])).toEqual(['/a', '/a/', '/b/c', '/b/c/'])
    for (const open of ['/:id', '/*rest', '/a{/b}', '/{a}']) expect(listPaths(['/a', open])).toBeUndefined()
  })

  test('lacks none that path-to-regexp matches', () => {
    fc.assert(
      fc.property(path, path, (pattern, asked) => {
        const listed = listPaths([pattern])?.includes(asked.toLowerCase())
        if (readPath(pattern).test(asked)) expect(listed).toBe(true)
      }),
      tries(500),
    )
  })
})
