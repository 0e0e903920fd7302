import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPathTest, listPaths, lowerPathOf, readPath } from '../../lib/matching/path-pattern.ts'

const requestFor = (path: string, url = path) => ({ path, req: { url } })

/** Pieces of which patterns and paths are made, so that many of them match. */
const pieces = ['/', 'a', 'B', 'é', '%C3%A9', '-', '.', 'area', '~', 'K', 'ſ']
const path = fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map((parts) => `/${parts.join('')}`)

describe('a path', () => {
  test.each([
    ['/a', '/a', true],
    ['/a', '/A/', true],
    ['/A', '/a', true],
    ['/a', '/a//', false],
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
  ])('%s, asked for %s: %s', (pattern, asked, expected) => {
    expect(createPathTest([pattern])(requestFor(asked))).toBe(expected)
  })

  test('matches just where path-to-regexp says so', () => {
    const optional = fc.tuple(path, fc.constantFrom('', '/:id', '{/x}', '/*rest')).map((parts) => parts.join(''))
    fc.assert(
      fc.property(optional, path, (pattern, asked) => {
        expect(createPathTest([pattern])(requestFor(asked))).toBe(readPath(pattern).test(asked))
      }),
      { numRuns: 2000 },
    )
  })

  test('is the one that the request has now, whatever its address was before', () => {
    const isA = createPathTest(['/a'])
    const request = requestFor('/a', '/a?x')
    expect(isA(request)).toBe(true)
    expect(isA({ path: '/b', req: { url: '/b?x' } })).toBe(false)
    expect(isA(request)).toBe(true)
    expect(lowerPathOf({ path: '/ABC', req: { url: '/ABC' } })).toBe('/abc')
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
      { numRuns: 2000 },
    )
  })
})
