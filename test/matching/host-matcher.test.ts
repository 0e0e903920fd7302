import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildHostMatcher, type HostMatcher } from '../../lib/matching/host-matcher.ts'
import { type HostPattern, readHostPattern } from '../../lib/matching/host-pattern.ts'
import { runSteps } from '../../lib/time/steps.ts'
import { tries } from '../fixtures/tries.ts'

const matcherOf = (names: readonly string[], previous?: HostMatcher) =>
  runSteps(buildHostMatcher(names.map(readHostPattern), previous))

const placesOf = (matcher: HostMatcher, host: string) => matcher.match(host, matcher.expressions.search(host))

/** Asks each pattern for itself, as the contract has it. */
function askEach(patterns: readonly HostPattern[], host: string): number[] {
  return patterns.flatMap((pattern, place) => {
    if (pattern.kind === 'any') return [place]
    if (pattern.kind === 'literal') return pattern.host === host ? [place] : []
    if (pattern.kind === 'expression') return pattern.expression.test(host.slice(0, 255)) ? [place] : []
    return host.length > pattern.suffix.length && host.endsWith(pattern.suffix) ? [place] : []
  })
}

const letters = fc.constantFrom(...'abc.-1A')
const text = (maxLength: number) => fc.string({ unit: letters, maxLength })

/** Expressions of every kind of part that there is, of few letters, so that they match now and then. */
const { expression } = fc.letrec<{ expression: string; part: string; one: string }>((tie) => ({
  expression: fc
    .array(
      fc.array(tie('part'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
      { minLength: 1, maxLength: 3 },
    )
    .map((alternatives) => alternatives.join('|')),
  part: fc
    .tuple(
      tie('one'),
      fc.constantFrom(
        '',
        '',
        '',
        '',
        '*',
        '+',
        '?',
        '+?',
        '{0}',
        '{0,}',
        '{1}',
        '{2}',
        '{1,2}',
        '{0,2}?',
        '{',
        '{a}',
        '{,2}',
      ),
    )
    .map(([one, quantifier]) => one + quantifier),
  one: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    letters,
    fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1'), minLength: 1, maxLength: 6 }),
    fc.constantFrom(
      '^',
      '$',
      '\\b',
      '\\B',
      '\\.',
      '\\-',
      '\\w',
      '\\W',
      '\\d',
      '\\D',
      '\\s',
      '\\S',
      '.',
      '\\x61',
      '\\u0062',
    ),
    fc.constantFrom('[.]', '[ab]', '[^a]', '[a-c]', '[^]', '[]', '[\\d.]', '[\\]]', '[-a]', '[(|]', '[\\b]', '[a\\-c]'),
    fc.constantFrom(
      '\\1',
      '\\2',
      '\\k<n>',
      '\\0',
      '\\cA',
      '\\c',
      '\\8',
      '\\e',
      ']',
      '}',
      '\\u{61}',
      '\\141',
      '\\x6',
      '\\/',
    ),
    tie('expression').map((inner) => `(${inner})`),
    tie('expression').map((inner) => `(?:${inner})`),
    tie('expression').map((inner) => `(?<n>${inner})`),
    tie('expression').map((inner) => `(?=${inner})`),
    tie('expression').map((inner) => `(?!${inner})`),
    tie('expression').map((inner) => `(?<=${inner})`),
    tie('expression').map((inner) => `(?<!${inner})`),
    // Newer than some versions of Node.
    tie('expression').map((inner) => `(?i:${inner})`),
  ),
}))

const name = fc.oneof(
  expression,
  text(8).map((end) => `*.${end}`),
  text(8),
  fc.constantFrom('*', '[::1]', '^a\\.', '*..', '*.a', '*.a.b', '*.b'),
)

function isPattern(source: string): boolean {
  try {
    readHostPattern(source)
    return true
  } catch {
    return false
  }
}

describe('what many patterns say of a host together', () => {
  test('is what each of them says for itself', () => {
    let matched = 0
    fc.assert(
      fc.property(
        fc.array(name.filter(isPattern), { maxLength: 30 }),
        fc.array(fc.oneof(text(14), fc.string({ maxLength: 6 }), fc.constantFrom('', '.', '..', 'aab.c', 'abc')), {
          minLength: 1,
          maxLength: 20,
        }),
        (names, hosts) => {
          const matcher = matcherOf(names)
          for (const host of hosts) {
            const expected = askEach(names.map(readHostPattern), host)
            matched += expected.length
            expect(placesOf(matcher, host)).toEqual(expected)
          }
        },
      ),
      tries(500),
    )
    // An answer that is always empty would be right too often.
    expect(matched).toBeGreaterThan(1000)
  })

  test('is the same for a host that an expression was made from', () => {
    const pieces = fc.array(fc.tuple(text(5), fc.constantFrom('\\d*', '[ab]+', '(a|bc)', '.?', '')), { maxLength: 4 })
    fc.assert(
      fc.property(fc.array(pieces, { minLength: 1, maxLength: 40 }), (all) => {
        const names = all.map((parts) => parts.map(([literal, rest]) => literal.replaceAll('.', '\\.') + rest).join(''))
        const hosts = all.map((parts) =>
          parts.map(([literal, rest]) => literal + (rest === '\\d*' ? '1' : 'a')).join(''),
        )
        const usable = names.filter((each) => each !== '' && isPattern(each))
        const matcher = matcherOf(usable)
        for (const host of hosts) expect(placesOf(matcher, host)).toEqual(askEach(usable.map(readHostPattern), host))
      }),
      tries(100),
    )
  })

  test('keeps the order of the patterns, and has each place of a name that is there twice', () => {
    const matcher = matcherOf(['^a', 'a.b.c', '*.c', '*', 'a.b.c', '^a', '*.b.c', '*.c'])
    expect(placesOf(matcher, 'a.b.c')).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })
})

describe('a wildcard', () => {
  test.each([
    ['a.'.repeat(5000), ['*.a', '*.a.a', '*.b'], []],
    [`${'a.'.repeat(5000)}a`, ['*.a', '*.a.a', '*.b'], [0, 1]],
    [`${'a.'.repeat(63)}com`, ['*.com', '*.a.com', `*.${'a.'.repeat(62)}com`, `*.${'a.'.repeat(63)}com`], [0, 1, 2]],
    ['a'.repeat(16_000), ['*.a'], []],
    ['', ['*.a', '*..'], []],
  ])('of %j', (host, names, places) => {
    expect(placesOf(matcherOf(names), host)).toEqual(places)
  })
})

describe('expressions', () => {
  /** The source of expressions that count how often they are asked. */
  function counted(sources: readonly string[]) {
    const asked: string[] = []
    const patterns = sources.map((source): HostPattern => {
      const expression = new RegExp(source)
      const test = expression.test.bind(expression)
      expression.test = (host) => {
        asked.push(source)
        return test(host)
      }
      return { kind: 'expression', expression }
    })
    return { asked, patterns }
  }

  test.each([
    ['a number in the middle', (n: number) => `^(www|shop)\\.d${n}\\.example\\.com$`, 'shop.d77.example.com'],
    ['a number after letters', (n: number) => `^[a-z]+-${n}\\.example\\.com$`, 'abc-77.example.com'],
    ['a number before digits', (n: number) => `^api-${n}\\d*\\.example\\.com$`, 'api-77.example.com'],
    ['dots that are any character', (n: number) => `[\\w\\d\\.\\-]*server${n}.local.com`, 'a.server77.local.com'],
    ['alternatives', (n: number) => `^(?:a${n}\\.de|b${n}\\.at)$`, 'b77.at'],
  ])('that differ by %s are not asked for every host', (_by, source, host) => {
    const { asked, patterns } = counted(Array.from({ length: 5000 }, (_, n) => source(n)))
    const matcher = runSteps(buildHostMatcher(patterns, undefined))
    expect(placesOf(matcher, host)).toContain(77)
    for (const unknown of ['unknown.test', 'unknown.example.com', `${'0123456789'.repeat(24)}.example.com`]) {
      matcher.expressions.search(unknown)
    }
    expect(asked.length).toBeLessThan(100)
  })

  const list = (count: number, sourceOf: (n: number) => string) => Array.from({ length: count }, (_, n) => sourceOf(n))

  test.each([
    ['no text', list(20, (n) => `^[a-z]{${n + 1}}$`), 20],
    ['an end that four others have', list(5, (n) => `^[a-z]{${n + 1}}\\.example\\.com$`), 5],
    ['an end that three others have', list(4, (n) => `^[a-z]{${n + 1}}\\.example\\.com$`), 0],
    // Of ten ends a host has one, and of ten beginnings.
    ['ends that many others have', list(100, (n) => `^[a-z]{${n + 1}}\\.d${n % 10}\\.com$`), 10],
    ['beginnings that many others have', list(100, (n) => `^d${n % 10}-[a-z]{${n + 1}}$`), 10],
    ['ends of ends that many others have', list(30, (n) => `^[a-z]{${n + 1}}${'\\.a'.repeat((n % 3) + 1)}$`), 30],
    // A host has room for many of these.
    ['text in the middle that many others have', list(100, (n) => `[a-z]{${n + 1}}\\.d${n % 10}\\.[a-z]`), 100],
    ['text in the middle that three others have', list(100, (n) => `[a-z]{${n + 1}}\\.d${n % 25}\\.[a-z]`), 0],
    ['text of their own', list(5000, (n) => `^(?:www|shop)\\d*\\.d${n}\\.example\\.com$`), 0],
    ['text of their own, of a few letters', list(900, (n) => `^t${n}-[a-z]+$`), 0],
  ])('with %s are told apart, or are alike', (_by, sources, count) => {
    expect(matcherOf([...sources, 'a.com', '*.b.com', '*']).expressions.alike).toHaveLength(count)
  })

  test('are not asked because a host has their beginning or their end somewhere else', () => {
    const { asked, patterns } = counted(list(1000, (n) => (n % 2 === 0 ? `^t${n}-[a-z]+$` : `^[a-z]+\\.t${n}$`)))
    const matcher = runSteps(buildHostMatcher(patterns, undefined))
    matcher.expressions.search(list(60, (n) => (n % 2 === 0 ? `t${n}-` : `.t${n}`)).join(''))
    expect(asked.sort()).toEqual(['^[a-z]+\\.t59$', '^t0-[a-z]+$'])
  })

  test('that are alike are all that is asked beside few others, whatever host somebody makes up', () => {
    const alike = Array.from({ length: 50 }, (_, n) => `^[a-z]{${n + 1}}\\.example\\.com$`)
    const others = Array.from({ length: 3000 }, (_, n) => `^[a-z]+-${n}\\.(?:example\\.com|test)$`)
    const { asked, patterns } = counted([...others, ...alike])
    const matcher = runSteps(buildHostMatcher(patterns, undefined))
    expect(matcher.expressions.alike).toHaveLength(50)
    // Those that are alike were asked once or twice, so that they are compiled before a request waits for all of them.
    expect([...new Set(asked.splice(0))].sort()).toEqual(alike.toSorted())
    matcher.expressions.search('x-1-2-3-4.example.com')
    expect(alike.every((source) => asked.includes(source))).toBe(true)
    expect(asked.length).toBeLessThan(50 + 30)
  })

  test('are taken over as they are when the next document has the same ones, in whatever order', () => {
    const first = matcherOf(['a.com', '^a', '^b', '*'])
    const second = matcherOf(['^b', '^a', '^b', 'c.com'], first)
    expect(second.expressions).toBe(first.expressions)
    expect(['ax', 'bx'].map((host) => placesOf(second, host))).toEqual([[1], [0, 2]])
  })

  test('that stay are taken over, compiled as they are, when others come and go', () => {
    const first = matcherOf(['^a', '^b'])
    const second = matcherOf(['^c', '^b'], first)
    expect(second.expressions).not.toBe(first.expressions)
    const [kept] = first.expressions.known.slice(1)
    expect(second.expressions.known[1]).toBe(kept)
    expect(['a', 'b', 'c'].map((host) => placesOf(second, host))).toEqual([[], [1], [0]])
  })

  test('let go of those before the last ones', async () => {
    const collectGarbage = exposeGarbageCollector()
    let matcher = matcherOf(['^a0', '^b'])
    const earlier: WeakRef<object>[] = []
    for (let round = 1; round < 10; round += 1) {
      earlier.push(new WeakRef(matcher.expressions))
      matcher = matcherOf([`^a${round}`, '^b'], matcher)
    }
    await new Promise(setImmediate)
    collectGarbage()
    expect(earlier.filter((each) => each.deref() !== undefined)).toEqual([])
    expect(placesOf(matcher, 'a9')).toEqual([0])
  })
})

/** V8's own, which scripts do not find unless the process was started so. */
function exposeGarbageCollector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}
