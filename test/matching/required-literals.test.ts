import { describe, expect, test } from 'vitest'
import { BEGIN, END, requireLiterals } from '../../lib/matching/required-literals.ts'

describe('what must be in a host', () => {
  test.each([
    ['^shop-\\d+\\.a\\.com$', [[`${BEGIN}shop-`], [`.a.com${END}`]]],
    ['^^a.b$$', [[`${BEGIN}a`], [`b${END}`]]],
    ['^$', [[BEGIN + END]]],
    ['(?:^a|b$)c?', [[`${BEGIN}a`, `b${END}`]]],
    ['a(?:^|b)c', [['a'], ['c']]],
    ['a[.]com', [['a.com']]],
    ['^(www|shop)\\.a', [['www', 'shop'], ['.a']]],
    ['^(?:a\\.com|b\\.net)$', [['a.com', 'b.net']]],
    ['^a$|^b$', [[`${BEGIN}a${END}`, `${BEGIN}b${END}`]]],
    // Of each alternative its longest string.
    ['^x\\d+long|other', [['long', 'other']]],
    ['a+b', [['a'], ['b']]],
    ['(ab){2,}c', [['ab'], ['c']]],
    ['a{3}', [['aaa']]],
    ['(?<name>ab)\\k<name>c', [['ab'], ['c']]],
    ['a(?=b)b', [['ab']]],
    ['\\x61\\u0062\\.', [['ab.']]],
    // Without named groups these are characters.
    ['\\k<a>', [['k<a>']]],
  ])('of %s is %j', (source, clauses) => {
    expect(requireLiterals(new RegExp(source))).toEqual(clauses)
  })

  test.each([
    ['.*'],
    ['^.*$'],
    ['$^'],
    ['(?=a$)'],
    ['a*'],
    ['a?'],
    ['(abc){0}'],
    ['(abc){0,5}'],
    ['(abc)?'],
    ['abc|'],
    ['abc|.'],
    ['abc|(d|)'],
    ['[ab]'],
    ['[^a]'],
    ['[a-c]'],
    ['\\w\\d\\b'],
    ['(?=abc)'],
    ['(?!abc)'],
    ['(?<=abc)'],
    ['(?<!abc)'],
    ['(a)?'],
  ])('is nothing that could be told of %s', (source) => {
    expect(requireLiterals(new RegExp(source))).toEqual([])
  })

  test('is not told of an expression with flags', () => {
    expect(requireLiterals(/abc/i)).toEqual([])
  })

  test('is not told where there are too many alternatives', () => {
    const alternatives = Array.from({ length: 100 }, (_, index) => `host${index}`)
    expect(requireLiterals(new RegExp(alternatives.join('|')))).toEqual([])
  })
})
