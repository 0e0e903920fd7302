import type { IncomingHttpHeaders } from 'node:http'
import fc from 'fast-check'
import type Koa from 'koa'
import { describe, expect, test } from 'vitest'
import { type Condition, conditionSchema, createPredicate } from '../../lib/matching/condition.ts'
import { describeMismatch } from '../../lib/validation/schema-error.ts'
import { createContext, type RequestFields } from '../fixtures/context.ts'
import { tries } from '../fixtures/tries.ts'

const holds = (condition: unknown, request: RequestFields = {}): boolean =>
  createPredicate(conditionSchema.parse(condition))(createContext(request))

/** What is wrong with a condition, as the document's reader says it. */
function faultOf(condition: unknown): string {
  const read = conditionSchema.safeParse(condition)
  if (read.success) return ''
  const { path, message } = describeMismatch(read.error, condition)
  return `${path}: ${message}`
}

const withHeaders = (headers: IncomingHttpHeaders): RequestFields => ({ headers })
const proxied = (forwarded: string, configure = (_app: Koa) => {}): RequestFields => ({
  ip: '10.0.0.1',
  headers: { 'x-forwarded-for': forwarded },
  configure(app) {
    app.proxy = true
    configure(app)
  },
})

test('no condition holds for every request', () => {
  expect([holds({}), holds({ not: {} })]).toEqual([true, true])
})

describe('methods', () => {
  test.each<[unknown, string, boolean]>([
    ['POST', 'POST', true],
    ['post', 'POST', true],
    ['POST', 'GET', false],
    [['PUT', 'delete'], 'DELETE', true],
    [['PUT', 'DELETE'], 'GET', false],
    ['GET', 'HEAD', false],
    ['M-SEARCH', 'M-SEARCH', true],
  ])('%j: a request with %s: %j', (methods, method, expected) => {
    expect(holds({ methods }, { method })).toBe(expected)
  })
})

describe('paths', () => {
  test.each<[unknown, string, boolean]>([
    ['/', '/', true],
    ['/', '/a', false],
    ['/a', '/a', true],
    ['/a', '/a/', true],
    ['/a', '/A', true],
    ['/a', '/a?b=/c', true],
    ['/a', '/ab', false],
    ['/a', '/a/b', false],
    ['/a', '//a', true],
    ['/users/:id', '/users/7', true],
    ['/users/:id', '/users/', false],
    ['/users/:id', '/users/7/edit', false],
    ['/users/:id', '/users/a%2Fb', true],
    ['/users{/:id}', '/users', true],
    ['/static/*file', '/static/css/site.css', true],
    ['/static/*file', '/static', false],
    [['/a', '/b/:c'], '/b/1', true],
    [['/a', '/b/:c'], '/c', false],
    // As it was sent: nothing is decoded, as koa-router does it, too.
    ['/admin', '/%61dmin', true],
    ['/a b', '/a%20b', true],
    ['/café', '/caf%C3%A9', true],
    ['/caf%C3%A9', '/caf%c3%a9', true],
    ['/日本/:id', '/%E6%97%A5%E6%9C%AC/1', true],
    // Whole addresses, as clients send them to proxies.
    ['/a', 'http://a.com/a?b', true],
    ['/a', 'http://a.com', false],
    ['/a', '*', false],
    ['/a', '/%', false],
    ['/:a', '/%', true],
    ['/:a', '/%E0%A4%A', true],
    ['/', '', false],
    ['/*rest', '', false],
  ])('%j: a request for %s: %j', (paths, url, expected) => {
    expect(holds({ paths }, { url })).toBe(expected)
  })

  test.each([
    ['/admin', '/admin', true],
    ['/admin', '/%61dmin', false],
    ['/%61dmin', '/%61dmin', true],
    ['/admin', '//admin', false],
    ['/x/*rest', '/x/../admin', true],
  ])('as they were sent, %j: a request for %s: %j', (paths_raw, url, expected) => {
    expect(holds({ paths_raw }, { url })).toBe(expected)
  })

  test.each([
    ['/public/a', true],
    ['/public/./a', true],
    ['/public/b/../a', true],
    ['/public/../admin', false],
    ['/public/..%2fadmin', false],
    ['/public/%2e%2e/admin', false],
    ['/public/..;/admin', false],
    ['/public\\..\\admin', false],
    ['//public/../admin', false],
  ])('an exclusion of /public takes a path that is below it however it is taken: %s: %j', (url, excluded) => {
    expect(holds({ not: { paths: '/public/*rest' } }, { url })).toBe(!excluded)
  })

  test('are those that the request has when the condition is looked at', () => {
    const ctx = createContext({ url: '/old' })
    const isNew = createPredicate({ paths: '/new' })
    expect(isNew(ctx)).toBe(false)
    ctx.path = '/new'
    expect(isNew(ctx)).toBe(true)
  })
})

describe('ips', () => {
  test.each<[unknown, string | undefined, boolean]>([
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.3', '::ffff:10.1.2.3', true],
    ['::ffff:10.1.2.3', '10.1.2.3', true],
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.9.9.9', true],
    ['10.0.0.7/9', '10.127.0.1', true],
    ['10.0.0.7/9', '10.128.0.1', false],
    ['10.0.0.7/32', '10.0.0.8', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::1', '2001:DB8:0:0::1', true],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['::1', '::1', true],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['2001:DB8::00ff', '2001:db8:0::ff', true],
    ['::ffff:0a01:0203', '10.1.2.3', true],
    ['10.1.2.3', '0:0:0:0:0:FFFF:10.1.2.3', true],
    ['10.1.2.3', '::10.1.2.3', false],
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '11.1.2.3', false],
    ['fe80::1', 'fe80::1%eth0', true],
    ['fe80::1%eth1', 'fe80::1%eth0', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    [['192.0.2.1', '2001:db8::/32'], '2001:db8::5', true],
    [['192.0.2.1', '2001:db8::/32'], '192.0.2.2', false],
    // The socket is gone, or is none of the network's.
    ['0.0.0.0/0', undefined, false],
    ['::/0', '', false],
  ])('%j: a client at %s: %j', (ips, ip, expected) => {
    expect(holds({ ips }, { ip })).toBe(expected)
  })

  test('do not believe X-Forwarded-For unless the app trusts its proxy', () => {
    const { headers } = proxied('192.0.2.1')
    expect(holds({ ips: '192.0.2.1' }, { ip: '10.0.0.1', headers: headers as IncomingHttpHeaders })).toBe(false)
    expect(holds({ ips: '10.0.0.1' }, { ip: '10.0.0.1', headers: headers as IncomingHttpHeaders })).toBe(true)
  })

  test('are those that app.proxy gives, with its maxIpsCount', () => {
    expect(holds({ ips: '192.0.2.1' }, proxied('192.0.2.1'))).toBe(true)
    expect(holds({ ips: '10.0.0.1' }, proxied('192.0.2.1'))).toBe(false)
    expect(holds({ ips: '192.0.2.1' }, proxied('192.0.2.1, 10.0.0.2'))).toBe(true)
    const nearest = proxied('192.0.2.1, 203.0.113.7', (app) => {
      app.maxIpsCount = 1
    })
    expect(holds({ ips: '192.0.2.1' }, nearest)).toBe(false)
    expect(holds({ ips: '203.0.113.7' }, nearest)).toBe(true)
    for (const garbage of ['unknown', '192.0.2.1:5555', '999.1.1.1', '"']) {
      expect(holds({ ips: ['0.0.0.0/0', '::/0'] }, proxied(garbage))).toBe(false)
    }
  })

  test('may be tens of thousands: a client of none of them costs no more than one of a few', () => {
    const ips = Array.from({ length: 20_000 }, (_, index) => `10.${index >> 8}.${index & 255}.1`)
    const listed = createPredicate({ ips })
    const clients = Array.from({ length: 400 }, (_, index) =>
      createContext({ ip: `11.0.${index & 255}.${index >> 8}` }),
    )
    const timeOf = (asked: typeof listed) => {
      const started = process.cpuUsage()
      expect(clients.some((ctx) => asked(ctx))).toBe(false)
      return Math.max(process.cpuUsage(started).user, 1)
    }
    timeOf(listed)
    // One after the other, twenty thousand would take a thousand times as long as one. What was asked is remembered.
    const rounds = Array.from(
      { length: 3 },
      () => [createPredicate({ ips: '10.0.0.1' }), createPredicate({ ips })] as const,
    )
    const ratios = rounds.map(([one, all]) => timeOf(all) / timeOf(one))
    expect(Math.min(...ratios)).toBeLessThan(50)
    expect([listed(createContext({ ip: '10.78.31.1' })), listed(createContext({ ip: '10.78.32.1' }))]).toEqual([
      true,
      false,
    ])
  })

  test('are answered alike however many clients came before', () => {
    const inside = createPredicate({ ips: '10.0.0.0/9' })
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < 1200; index += 1) {
        const ip = `10.${index % 256}.${index >> 8}.1`
        expect(inside(createContext({ ip }))).toBe(index % 256 < 128)
      }
    }
  })
})

describe('a value', () => {
  test.each<[unknown, string | undefined, boolean]>([
    ['a', 'a', true],
    ['a', 'A', false],
    ['a', 'ab', false],
    ['a', '', false],
    ['a', undefined, false],
    ['', '', true],
    [['a', 'b'], 'b', true],
    [['a', 'b'], 'c', false],
    [['a', 'b'], undefined, false],
    [{ regex: 'b+' }, 'abbc', true],
    [{ regex: '^b' }, 'abbc', false],
    [{ regex: '' }, '', true],
    [{ regex: '' }, undefined, false],
    [{ regex: 'undefined' }, undefined, false],
    [{ present: true }, 'a', true],
    [{ present: true }, '', true],
    [{ present: true }, undefined, false],
    [{ present: false }, 'a', false],
    [{ present: false }, '', false],
    [{ present: false }, undefined, true],
  ])('%j: %j: %j', (wanted, came, expected) => {
    const given = came === undefined ? {} : { 'x-a': came, 'user-agent': came }
    expect(holds({ headers: { 'x-a': wanted } }, withHeaders(given))).toBe(expected)
    expect(holds({ headers: { 'X-A': wanted } }, withHeaders(given))).toBe(expected)
    expect(holds({ user_agent: wanted }, withHeaders(given))).toBe(expected)
    expect(holds({ query: { a: wanted } }, { url: came === undefined ? '/?b=1' : `/?a=${came}` })).toBe(expected)
    const cookie = came === undefined ? {} : { cookie: `z=1; a=${came}; y=2` }
    expect(holds({ cookies: { a: wanted } }, withHeaders(cookie))).toBe(expected)
  })

  test('may be one of several headers or parameters: all of them must hold', () => {
    const condition = { headers: { a: '1', b: '2' }, query: { c: '3', d: { present: false } } }
    const request = { headers: { a: '1', b: '2' }, url: '/?c=3' }
    expect(holds(condition, request)).toBe(true)
    expect(holds(condition, { ...request, headers: { a: '1' } })).toBe(false)
    expect(holds(condition, { ...request, url: '/?c=3&d' })).toBe(false)
  })
})

describe('headers', () => {
  test('that came more than once are one value, as Node joins them', () => {
    expect(holds({ headers: { 'x-a': '1, 2' } }, withHeaders({ 'x-a': '1, 2' }))).toBe(true)
    expect(holds({ headers: { 'x-a': '2' } }, withHeaders({ 'x-a': '1, 2' }))).toBe(false)
  })

  test('that Node or a plugin keeps as a list are each of its values', () => {
    expect(holds({ headers: { 'set-cookie': 'b=2' } }, withHeaders({ 'set-cookie': ['a=1', 'b=2'] }))).toBe(true)
    expect(holds({ headers: { 'set-cookie': 'c=3' } }, withHeaders({ 'set-cookie': ['a=1', 'b=2'] }))).toBe(false)
  })

  test.each(['constructor', 'toString', 'valueOf', 'hasOwnProperty'])('are not there for being named %s', (name) => {
    expect(holds({ headers: { [name]: { present: true } } })).toBe(false)
    expect(holds({ headers: { [name]: { regex: '' } } })).toBe(false)
    expect(holds({ headers: { [name]: { present: false } } })).toBe(true)
    expect(holds({ headers: { [name]: 'x' } }, withHeaders({ [name.toLowerCase()]: 'x' }))).toBe(true)
  })
})

describe('query', () => {
  test.each<[unknown, string, boolean]>([
    [{ a: '2' }, '?a=1&a=2', true],
    [{ a: '3' }, '?a=1&a=2', false],
    [{ a: { present: false } }, '?a=1&a=2', false],
    [{ a: '' }, '?a', true],
    [{ a: 'é b' }, '?a=%C3%A9+b', true],
    [{ 'a[]': '1' }, '?a[]=1', true],
    [{ a: { present: true } }, '?%', false],
    [{ a: '%' }, '?a=%', true],
    [{ a: { regex: '\ufffd' } }, '?a=%E0%A4', true],
    [{ constructor: { present: true } }, '?a=1', false],
    [{ constructor: { present: true } }, '?constructor', true],
    [{ toString: { present: false } }, '', true],
    [{ name: { present: true } }, '?constructor', false],
    [{ constructor: { present: true } }, '?__proto__', false],
    [{ a: '1' }, '?__proto__=1&a=1', true],
  ])('%j: %s: %j', (query, search, expected) => {
    expect(holds({ query }, { url: `/${search}` })).toBe(expected)
  })
})

describe('cookies', () => {
  test.each<[unknown, string, boolean]>([
    [{ a: '1' }, 'a=1', true],
    [{ a: '1' }, 'b=2; a=1', true],
    [{ a: '1' }, 'a="1"', true],
    [{ a: '1' }, 'xa=1', false],
    // The app finds the first one, too.
    [{ a: '2' }, 'a=1; a=2', false],
    [{ a: '%E0%A4%A' }, 'a=%E0%A4%A', true],
    [{ a: { present: true } }, '=;;; =a; a', false],
    [{ a: { present: true } }, ';a=\u0000', true],
    [{ constructor: { present: true } }, 'a=1', false],
    [{ 'a.b*c': '1' }, 'a.b*c=1', true],
    [{ 'a.c': '1' }, 'abc=1', false],
  ])('%j: %j: %j', (cookies, cookie, expected) => {
    expect(holds({ cookies }, withHeaders({ cookie }))).toBe(expected)
  })

  test('are looked at without asking whether they are signed', () => {
    const configure = (app: Koa) => {
      app.keys = ['secret']
    }
    expect(holds({ cookies: { a: '1' } }, { headers: { cookie: 'a=1' }, configure })).toBe(true)
  })
})

describe('several keys', () => {
  const condition = {
    methods: ['GET', 'HEAD'],
    paths: '/users/:id',
    ips: '127.0.0.0/8',
    headers: { 'x-a': '1' },
    cookies: { sid: { present: true } },
    query: { debug: ['1', 'yes'] },
    user_agent: { regex: 'curl|wget' },
  }
  const request = {
    url: '/users/7?debug=yes',
    headers: { 'x-a': '1', cookie: 'sid=s', 'user-agent': 'curl/8' },
  }

  test('must all hold', () => {
    expect(holds(condition, request)).toBe(true)
    for (const key of Object.keys(condition) as (keyof typeof condition)[]) {
      const { [key]: _left_out, ...rest } = condition
      expect(holds(rest, request)).toBe(true)
    }
  })

  test.each<[string, RequestFields]>([
    ['methods', { method: 'POST' }],
    ['paths', { url: '/?debug=yes' }],
    ['ips', { ip: '10.0.0.1' }],
    ['headers', { headers: { ...request.headers, 'x-a': '2' } }],
    ['cookies', { headers: { ...request.headers, cookie: '' } }],
    ['query', { url: '/users/7?debug=no' }],
    ['user_agent', { headers: { ...request.headers, 'user-agent': 'Mozilla' } }],
  ])('do not hold together when %s does not; under "not", none of them may', (key, changed) => {
    expect(holds(condition, { ...request, ...changed })).toBe(false)
    const only = { [key]: condition[key as keyof typeof condition] }
    expect(holds({ not: only }, request)).toBe(false)
    expect(holds({ not: only }, { ...request, ...changed })).toBe(true)
    // One that holds is enough, whatever the others do.
    expect(holds({ not: { methods: 'TRACE', ...only } }, request)).toBe(false)
  })

  test('may stand beside "not"', () => {
    const both = { paths: '/api/*rest', not: { paths: '/api/health', methods: ['OPTIONS'] } }
    expect(holds(both, { url: '/api/users' })).toBe(true)
    expect(holds(both, { url: '/api/health' })).toBe(false)
    expect(holds(both, { url: '/api/users', method: 'OPTIONS' })).toBe(false)
    expect(holds(both, { url: '/other' })).toBe(false)
  })
})

describe('a fault in a condition is named', () => {
  test.each<[unknown, string]>([
    [{ method: 'GET' }, 'method: is not known'],
    [{ Paths: '/a' }, 'Paths: is not known'],
    [{ not: { not: {} } }, 'not.not: is not known'],
    [{ not: { path: '/a' } }, 'not.path: is not known'],
    [{ methods: 'GET, POST' }, 'methods: expected a method, got "GET, POST"'],
    [{ methods: [] }, 'methods: expected an array of at least 1, got an array of 0'],
    [{ methods: ['GET', 5] }, 'methods[1]: expected a string, got 5'],
    [{ methods: null }, 'methods: expected a string or an array, got null'],
    [{ paths: 'a' }, 'paths: expected a path that begins with /, got "a"'],
    [
      { paths: ['/a', '/b?'] },
      expect.stringMatching(/^paths\[1\]: expected a path of path-to-regexp \(.+\), got "\/b\?"$/),
    ],
    [{ paths: '/:' }, expect.stringContaining('paths: expected a path of path-to-regexp')],
    [{ paths: '/\ud800' }, expect.stringContaining('paths: expected a path of path-to-regexp')],
    [{ ips: '10.0.0.0/33' }, 'ips: expected an IP address or CIDR range, got "10.0.0.0/33"'],
    [{ ips: '::1/129' }, 'ips: expected an IP address or CIDR range, got "::1/129"'],
    [{ ips: ['10.0.0.1', '10.0.0'] }, 'ips[1]: expected an IP address or CIDR range, got "10.0.0"'],
    [{ ips: '010.0.0.1' }, 'ips: expected an IP address or CIDR range, got "010.0.0.1"'],
    [{ ips: '10.0.0.1/' }, 'ips: expected an IP address or CIDR range, got "10.0.0.1/"'],
    [{ ips: '10.0.0.1/1e1' }, 'ips: expected an IP address or CIDR range, got "10.0.0.1/1e1"'],
    [{ headers: {} }, 'headers: expected at least one name of headers, got an object'],
    [{ headers: [] }, 'headers: expected an object, got an array of 0'],
    [{ headers: { 'x a': '1' } }, 'headers: expected names of headers ("x a" is none), got an object'],
    [{ headers: { 'x-a:': '1' } }, 'headers: expected names of headers ("x-a:" is none), got an object'],
    [{ cookies: { 'a=b': '1' } }, 'cookies: expected names of cookies ("a=b" is none), got an object'],
    [{ query: { '': '1' } }, 'query: expected names of parameters ("" is none), got an object'],
    [{ query: {} }, 'query: expected at least one name of parameters, got an object'],
    [{ headers: { a: 5 } }, 'headers.a: expected a string or an array or an object, got 5'],
    [{ headers: { a: [] } }, 'headers.a: expected an array of at least 1, got an array of 0'],
    [{ headers: { a: [1] } }, 'headers.a[0]: expected a string, got 1'],
    [{ headers: { a: { regexp: 'x' } } }, 'headers.a.regexp: is not known'],
    [{ headers: { a: { regex: 'x', present: true } } }, 'headers.a: expected either regex or present, got an object'],
    [{ headers: { a: { regex: null } } }, 'headers.a.regex: expected a string, got null'],
    [{ headers: { a: { present: 'yes' } } }, 'headers.a.present: expected a boolean, got "yes"'],
    [{ headers: { a: {} } }, 'headers.a: expected either regex or present, got an object'],
    [
      { query: { a: { regex: '(' } } },
      expect.stringMatching(/^query\.a\.regex: expected a regular expression \(.+\), got "\("$/),
    ],
    [{ user_agent: { regex: '(?i)bot' } }, expect.stringContaining('user_agent.regex: expected a regular expression')],
    ['GET', ': expected an object, got "GET"'],
    [[], ': expected an object, got an array of 0'],
  ])('%j: %s', (condition, fault) => {
    expect(faultOf(condition)).toEqual(fault)
  })
})

describe('whatever comes', () => {
  const url = fc.oneof(
    fc.webUrl({ withQueryParameters: true }),
    fc.string().map((text) => `/${text}`),
    fc.string(),
  )
  const headers = fc.dictionary(
    fc.constantFrom('cookie', 'x-a', 'user-agent', 'x-forwarded-for', 'constructor'),
    fc.oneof(fc.string(), fc.constant('a=%E0; a="')),
  )
  const wanted = fc.oneof<fc.Arbitrary<unknown>[]>(
    fc.string(),
    fc.constantFrom({ present: true }, { present: false }, { regex: 'a|^$' }, ['a', '']),
  )
  const condition = fc.record(
    {
      methods: fc.constantFrom('GET', ['POST', 'GET']),
      paths: fc.constantFrom('/', '/:a', ['/a', '/*rest']),
      ips: fc.constantFrom('127.0.0.1', '::/0'),
      headers: fc.record({ 'x-a': wanted }),
      cookies: fc.record({ a: wanted }),
      query: fc.record({ a: wanted }),
      user_agent: wanted,
    },
    { requiredKeys: [] },
  )

  test('a condition holds or does not, and its negation is the other way round', () => {
    fc.assert(
      fc.property(condition, url, headers, (given, address, came) => {
        const request = { url: address, headers: came }
        const parsed = conditionSchema.parse(given) as Condition
        let answer: boolean
        try {
          answer = createPredicate(parsed)(createContext(request))
        } catch (error) {
          // An address that Node cannot read: nobody could say what its path is.
          expect((error as { code?: string }).code).toBe('ERR_INVALID_URL')
          return
        }
        expect(typeof answer).toBe('boolean')
        const { not: _none, ...keys } = parsed
        const each = Object.entries(keys).map(([key, value]) => [key, holds({ [key]: value }, request)] as const)
        expect(answer).toBe(each.every(([, held]) => held))
        expect(holds({ not: keys }, request)).toBe(!each.some(([, held]) => held))
      }),
      tries(125),
    )
  })
})
