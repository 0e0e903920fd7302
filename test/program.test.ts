import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import type { Context } from 'koa'
import { describe, expect, test } from 'vitest'
import { PHASES, type Phase } from '../lib/document.ts'
import { readHostPattern } from '../lib/matching/host-pattern.ts'
import { buildProgram, type LivePlugin, type Program } from '../lib/program.ts'
import { runSteps } from '../lib/time/steps.ts'
import { tries } from './fixtures/tries.ts'

function live(
  name: string,
  { phase = 'access' as Phase, priority = 0, on_failure = 'open', enabled = true, times = {}, throws = false } = {},
): LivePlugin {
  return {
    info: { name },
    phase,
    spec: { name, priority, on_failure, scope: { enabled, ...times } },
    uses: { throws },
    life: {},
  } as unknown as LivePlugin
}

function program(
  domains: Record<string, LivePlugin[]>,
  skip: string[] = [],
  previous: Program | null = null,
  isInPlace = false,
): Program {
  const parts = {
    version: 1,
    enabled: true,
    skip: skip.map(readHostPattern),
    domains: Object.entries(domains).map(([name, plugins]) => {
      return { name, pattern: readHostPattern(name), plugins, units: undefined }
    }),
    plugins: Object.values(domains).flat(),
  }
  return runSteps(buildProgram(parts, previous, isInPlace))
}

/** A request with this Host header, as Koa reads it. */
function request(host: string | undefined, { proxy = false, forwarded = '' } = {}): Context {
  const hostname = (proxy && forwarded ? forwarded : (host ?? '')).replace(/:\d+$/, '')
  return {
    app: { proxy },
    req: { httpVersionMajor: 1, headers: { host } },
    host: proxy && forwarded ? forwarded : (host ?? ''),
    hostname,
    get: () => forwarded,
  } as unknown as Context
}

const namesFor = (each: Program, host: string | undefined, phase: Phase = 'access') =>
  each.match(request(host))?.[phase].map(({ info }) => info.name) ?? null

describe('matching', () => {
  test.each([
    ['a.com', 'a.com', true],
    ['a.com', 'A.COM', true],
    ['a.com', 'a.com:8080', true],
    ['a.com', 'a.com.', true],
    ['A.com', 'a.com', true],
    ['a.com', 'xa.com', false],
    ['a.com', 'a.com.evil.net', false],
    ['a.com', 'axcom', false],
    ['a.com', 'b.a.com', false],
    ['*.a.com', 'b.a.com', true],
    ['*.a.com', 'c.b.A.com:1', true],
    ['*.a.com', 'a.com', false],
    ['*.a.com', 'xa.com', false],
    ['*.a.com', '.a.com', false],
    ['*', 'whatever', true],
    ['*', '', true],
    ['*', undefined, true],
    ['^a\\.', 'a.com', true],
    ['^a\\.', 'b.a.com', false],
    ['[\\w\\d\\.\\-]*server.local.com', 'metrics.server.local.com', true],
    ['[\\w\\d\\.\\-]*server.local.com', 'a.com', false],
    ['[::1]', '[::1]:3000', true],
    ['[::1]', 'host1', false],
  ])('%s, asked for %j: %s', (pattern, host, matches) => {
    expect(namesFor(program({ [pattern]: [live('p')] }), host)).toEqual(matches ? ['p'] : null)
  })

  test('gives the same chain for a host that was asked for before', () => {
    const each = program({ '*': [live('p')] })
    expect(each.match(request('a.com'))).toBe(each.match(request('a.com')))
  })

  test('finds no chain where a domain has no plugins', () => {
    expect(namesFor(program({ 'a.com': [] }), 'a.com')).toBeNull()
  })

  test('skips hosts, whatever domains they match', () => {
    const each = program({ '*': [live('p')], 'metrics.a.com': [live('q')] }, ['*.a.com'])
    expect([namesFor(each, 'metrics.a.com'), namesFor(each, 'a.com')]).toEqual([null, ['p']])
  })

  test('reads the host that a trusted proxy forwards', () => {
    const each = program({ 'a.com': [live('p')] })
    const behind = request('internal', { proxy: true, forwarded: 'a.com' })
    expect(each.match(behind)?.access).toHaveLength(1)
    expect(each.match(request('internal'))).toBeNull()
  })

  /** Asks programs for hosts, and counts how often Koa was asked which host that is: when it is not known. */
  function counting() {
    const count = { looked: 0 }
    const match = (each: Program, host: string) => {
      const asked = request(host)
      const { hostname } = asked
      return each.match(
        Object.defineProperty(asked, 'hostname', {
          get() {
            count.looked += 1
            return hostname
          },
        }),
      )
    }
    return { count, match }
  }

  test('remembers a limited number of hosts, of those the ones in use, and no overlong ones', () => {
    const each = program({ '*': [live('a')] })
    const { count, match } = counting()
    match(each, 'h0.com')
    match(each, 'h0.com')
    expect(count.looked).toBe(1)
    for (let index = 1; index <= 10_000; index += 1) match(each, `h${index}.com`)
    match(each, 'h0.com')
    expect(count.looked).toBe(10_001)
    match(each, 'h10000.com')
    expect(count.looked).toBe(10_002)
    const long = 'x'.repeat(10_000)
    match(each, long)
    match(each, long)
    expect(count.looked).toBe(10_004)
  })

  test("knows the hosts in use when the next program takes over, and gives that one's plugins", () => {
    const { count, match } = counting()
    const names = (each: Program, host: string) => match(each, host)?.access.map(({ info }) => info.name) ?? null
    const first = program({ 'a.com': [live('a')], '^b': [live('b')] })
    expect(['a.com', 'b.com', 'c.com'].map((host) => names(first, host))).toEqual([['a'], ['b'], null])
    const second = program({ '^c': [live('c')], 'a.com': [live('a2')], '^b': [live('b2')] }, [], first)
    const third = program({ '^b': [live('b3')] }, ['^c', 'a.com'], second)
    expect(['a.com', 'b.com', 'c.com'].map((host) => names(second, host))).toEqual([['a2'], ['b2'], ['c']])
    expect(['a.com', 'b.com', 'c.com'].map((host) => names(third, host))).toEqual([null, ['b3'], null])
    expect(['a.com', 'b.com', 'c.com'].map((host) => names(first, host))).toEqual([['a'], ['b'], null])
    expect(count.looked).toBe(3)
  })

  test('asks no expression about a host that it has asked before the swap, where the expressions are the same', () => {
    const first = program({ '^a': [live('a')], 'b.com': [live('b')] })
    const expression = first.domains[0]?.pattern
    if (expression?.kind !== 'expression') throw new Error('expected an expression')
    let asked = 0
    expression.expression.test = (host) => {
      asked += 1
      return host.startsWith('a')
    }
    namesFor(first, 'a.com')
    const second = program({ '*': [live('any')], '^a': [live('a2')] }, [], first)
    expect([namesFor(second, 'a.com'), asked]).toEqual([['any', 'a2'], 1])
    namesFor(second, 'ab.com')
    expect(asked).toBe(2)
  })

  test('makes one chain for all hosts of the same domains', () => {
    const each = program({ '*': [live('a')], '*.a.com': [live('b')] })
    expect(each.match(request('one.com'))).toBe(each.match(request('two.com')))
    expect(each.match(request('one.a.com'))).toBe(each.match(request('two.a.com')))
    expect(each.match(request('one.a.com'))).not.toBe(each.match(request('one.com')))
  })

  test('of any header says the same the first and the second time', () => {
    const each = program({ '*.a.com': [live('p')], 'b.com': [live('q')], '[0-9]': [live('r')] }, ['skip'])
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.:[\]*]{0,20}$/)), (host) => {
        expect(namesFor(each, host)).toEqual(namesFor(each, host))
      }),
      tries(100),
    )
  })
})

describe('an overlong host', () => {
  const long = `${'a'.repeat(20_000)}.b.com`

  test.each(['.*', '^.+$', 'a+', '^a'])('does not get past the plugins of %s', (pattern) => {
    expect(namesFor(program({ [pattern]: [live('p')] }), long)).toEqual(['p'])
  })

  test('does not hold up the process with an expression that backtracks', () => {
    const each = program({ '*': [live('p')] }, ['[\\w\\d\\.\\-]*server.local.com', '\\w*\\w*x'])
    // The deadline only ends what hangs: such an expression takes hours.
    expect(runInNewContext('names()', { names: () => namesFor(each, long) }, { timeout: 60_000 })).toEqual(['p'])
  })
})

describe('the plugins of a host', () => {
  test('come from every domain that matches, in document order', () => {
    const each = program({
      'a.*': [live('1')],
      'a.com': [live('2'), live('3')],
      '*': [live('4')],
      'b.com': [live('5')],
    })
    expect(namesFor(each, 'a.com')).toEqual(['1', '2', '3', '4'])
  })

  test('with higher priority run earlier, and stay in document order otherwise', () => {
    const each = program({
      '*': [live('a'), live('b', { priority: -1 }), live('c', { priority: 2 }), live('d'), live('e', { priority: 2 })],
      'a.com': [live('f', { priority: Number.POSITIVE_INFINITY }), live('g', { priority: Number.POSITIVE_INFINITY })],
    })
    expect(namesFor(each, 'a.com')).toEqual(['f', 'g', 'c', 'e', 'a', 'd', 'b'])
  })

  test('are told apart by phase', () => {
    const each = program({ '*': PHASES.map((phase) => live(`in ${phase}`, { phase })) })
    for (const phase of PHASES) expect(namesFor(each, 'a.com', phase)).toEqual([`in ${phase}`])
  })

  test.each([
    [[live('p', { throws: true }), live('q', { phase: 'header_filter' })], false],
    [[live('p', { phase: 'header_filter', throws: true })], true],
    [[live('p', { phase: 'header_filter' }), live('q', { phase: 'body_filter', throws: true })], true],
  ])('are told to throw when one of those does that filter the response (%#)', (plugins, is_thrown_in) => {
    expect(program({ '*': plugins }).match(request('a.com'))?.is_thrown_in).toBe(is_thrown_in)
  })

  test('are not those that are switched off', () => {
    const each = program({ '*': [live('on'), live('off', { enabled: false, on_failure: 'closed' })] })
    expect(namesFor(each, 'a.com')).toEqual(['on'])
    expect(each.match(request('a.com'))?.isClosedAt(0)).toBe(false)
    expect(namesFor(program({ '*': [live('off', { enabled: false })] }), 'a.com')).toBeNull()
  })

  test('are told to fail closed when one of them does', () => {
    const each = program({ 'a.com': [live('p'), live('q', { on_failure: 'closed' })], 'b.com': [live('p')] })
    expect(['a.com', 'b.com'].map((host) => each.match(request(host))?.isClosedAt(0))).toEqual([true, false])
  })

  test.each([
    [{}, [true, true, true]],
    [{ starts_at: 10 }, [false, true, true]],
    [{ expires_at: 20 }, [true, true, false]],
    [{ starts_at: 10, expires_at: 20 }, [false, true, false]],
  ])('fail closed only while one that does is on: %j', (times, expected) => {
    const each = program({ '*': [live('p', { on_failure: 'closed', times })] })
    expect([9, 10, 20].map((time) => each.match(request('a.com'))?.isClosedAt(time))).toEqual(expected)
  })
})

test('a program is frozen, and lists all its plugins', () => {
  const each = program({ 'a.com': [live('p')], 'b.com': [live('q')] })
  const chain = each.match(request('a.com'))
  expect([each, each.plugins, chain, chain?.access].every((part) => Object.isFrozen(part))).toBe(true)
  expect(each.plugins.map(({ info }) => info.name)).toEqual(['p', 'q'])
})

test('a program is let go once there is a newer one, asked or not, and so are all before it', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const domains = { 'a.com': [live('p')] }
  const earlier: WeakRef<object>[] = []
  let last: Program | null = null
  for (let turn = 0; turn < 4; turn += 1) {
    last = program(domains, [], last, turn > 0)
    // A host without plugins: what a known host has stays until it is asked for again.
    last.match(request('unknown.com'))
    earlier.push(new WeakRef(last.domains))
  }
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  expect(earlier.map((each) => each.deref() === undefined)).toEqual([true, true, true, false])
  const newest = program(domains, [], last, true)
  last = null
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  expect(earlier.at(-1)?.deref()).toBeUndefined()
  expect(namesFor(newest, 'a.com')).toEqual(['p'])
})
