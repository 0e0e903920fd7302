import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPathIndex } from '../../lib/matching/path-index.ts'
import { tries } from '../fixtures/tries.ts'

const requestFor = (path: string) => ({ path, req: { url: path } })
const item = (name: string, paths?: readonly string[]) => ({ name, paths })
const namesAt = (index: ReturnType<typeof createPathIndex<ReturnType<typeof item>>>, path: string) =>
  index?.(requestFor(path)).map(({ name }) => name)

describe('an index by path', () => {
  test('gives what is for a path, and what is for any, in their order', () => {
    const index = createPathIndex([
      item('a', ['/a', '/a/']),
      item('any'),
      item('b', ['/b']),
      item('both', ['/b', '/a']),
      item('c', ['/c']),
      item('last'),
    ])
    expect(namesAt(index, '/a')).toEqual(['a', 'any', 'both', 'last'])
    expect(namesAt(index, '/A/')).toEqual(['a', 'any', 'last'])
    expect(namesAt(index, '/b')).toEqual(['any', 'b', 'both', 'last'])
    expect(namesAt(index, '/constructor')).toEqual(['any', 'last'])
    // The second time from memory.
    expect(namesAt(index, '/b')).toEqual(['any', 'b', 'both', 'last'])
  })

  test('gives all where there is no path to go by: each of them will say so itself', () => {
    const items = ['/a', '/b', '/c', '/d'].map((path) => item(path, [path]))
    const request = {
      get path(): string {
        throw new TypeError('Invalid URL')
      },
      req: { url: 'http://[' },
    }
    expect(createPathIndex(items)?.(request)).toEqual(items)
  })

  test('is not made for few', () => {
    expect(createPathIndex([item('a', ['/a']), item('b', ['/b']), item('c', ['/c']), item('any')])).toBeUndefined()
  })

  test('leaves out nothing but what is for other paths', () => {
    const paths = fc.constantFrom('/a', '/b', '/c', '/d')
    const items = fc.array(fc.option(fc.array(paths, { maxLength: 3 }), { nil: undefined }), { maxLength: 20 })
    fc.assert(
      fc.property(items, paths, (lists, asked) => {
        const all = lists.map((each, order) => item(String(order), each))
        const index = createPathIndex(all)
        const expected = all.filter((each) => each.paths === undefined || each.paths.includes(asked))
        if (index !== undefined) expect(index(requestFor(asked))).toEqual(expected)
      }),
      tries(100),
    )
  })
})
