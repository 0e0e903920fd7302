import type { Context } from 'koa'
import { describe, expect, test } from 'vitest'
import { createDraw } from '../../lib/matching/request-key.ts'
import { createShare, rolloutSchema, type Share } from '../../lib/matching/rollout.ts'
import { describeMismatch } from '../../lib/validation/schema-error.ts'
import { createContext, type RequestFields } from '../fixtures/context.ts'

const KEYS = 100_000
const share = (fields: Partial<Share> = {}) =>
  createShare({ by: 'header:x-user', from: 0, to: 10, salt: 'banner', ...fields }, createDraw())
/** Not a whole request: there are a hundred thousand of them. */
const requestOf = (user: string) => ({ req: { headers: { 'x-user': user } } }) as unknown as Context
const isIn = (fields: Partial<Share>, request: RequestFields) => share(fields)(createContext(request))

/** Keys as they come: numbers one after the other, names, addresses, random ones. */
const KINDS: Readonly<Record<string, (index: number) => string>> = {
  numbers: (index) => String(index),
  'addresses of version 4': (index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
  'addresses of version 6': (index) => `2001:db8::${index.toString(16)}`,
  'what looks like chance': (index) => (Math.imul(index, 2_654_435_761) >>> 0).toString(16).padStart(8, '0'),
  'other scripts': (index) => `用户${index}`,
}

describe.each(Object.entries(KINDS))('among 100 000 keys that are %s', (_, keyOf) => {
  const requests = Array.from({ length: KEYS }, (_, index) => requestOf(keyOf(index)))
  const membersOf = (fields: Partial<Share>) => requests.map(share(fields))
  const ratioOf = (members: readonly boolean[]) => (members.filter(Boolean).length / KEYS) * 100

  test.each([0, 0.1, 1, 10, 50, 90, 100])('%d percent are that many, give or take half a percent', (to) => {
    const ratio = ratioOf(membersOf({ to }))
    expect(Math.abs(ratio - to)).toBeLessThan(0.5)
    if (to === 0 || to === 100) expect(ratio).toBe(to)
  })

  test('a higher percentage only adds', () => {
    const shares = [1, 10, 10.5, 50, 100].map((to) => membersOf({ to }))
    for (const [index, members] of shares.entries()) {
      const before = shares[index - 1] ?? []
      expect(members.filter((member, key) => before[key] === true && !member)).toEqual([])
    }
  })

  test('plugins of other names have other members: who is in one is as likely in the next as anybody', () => {
    const names = ['banner', 'banner2', 'bannes', 'a']
    const shares = names.map((salt) => membersOf({ salt, to: 20 }))
    for (const [index, one] of shares.entries()) {
      for (const other of shares.slice(index + 1)) {
        expect(Math.abs(ratioOf(one.map((member, key) => member && other[key] === true)) - 4)).toBeLessThan(0.3)
      }
    }
  })

  test('shares side by side add up, and nobody is in two of them', () => {
    const thirds = [
      [0, 33.333],
      [33.333, 66.666],
      [66.666, 100],
    ] as const
    const shares = thirds.map(([from, to]) => membersOf({ from, to }))
    for (const members of shares) expect(Math.abs(ratioOf(members) - 33.333)).toBeLessThan(0.5)
    const times = requests.map((_, key) => shares.filter((members) => members[key]).length)
    expect(times.filter((count) => count !== 1)).toEqual([])
  })
})

describe('the same keys are in', () => {
  test('in every version: these numbers never change, or everybody would change sides', () => {
    const members = Array.from({ length: 60 }, (_, index) => `user-${index}`).filter((user) => share()(requestOf(user)))
    expect(members).toEqual(['user-8', 'user-14', 'user-59'])
  })
})

describe('what is counted', () => {
  const keys = Array.from({ length: 500 }, (_, index) => `k${index}`)
  const inside = keys.find((user) => share()(requestOf(user))) as string
  const outside = keys.find((user) => !share()(requestOf(user))) as string
  const ofAddress = { by: 'ip', salt: 'address' }
  const addresses = Array.from({ length: 500 }, (_, index) => `192.0.2.${index % 256}`)
  const insideAddress = addresses.find((ip) => isIn(ofAddress, { ip })) as string

  test.each<[string, (key: string) => RequestFields]>([
    ['header:x-user', (key) => ({ headers: { 'x-user': key } })],
    ['header:X-User', (key) => ({ headers: { 'x-user': key } })],
    ['cookie:sid', (key) => ({ headers: { cookie: `a=1; sid=${key}` } })],
    ['query:user', (key) => ({ url: `/?a=1&user=${key}` })],
    ['query:user', (key) => ({ url: `/?user=${key}&user=another` })],
    ['ip', (key) => ({ ip: key })],
  ])('by %s: its value, wherever it comes from', (by, requestWith) => {
    expect(isIn({ by }, requestWith(inside))).toBe(true)
    expect(isIn({ by }, requestWith(outside))).toBe(false)
  })

  test('the same address on a socket for both kinds of addresses', () => {
    expect(isIn(ofAddress, { ip: insideAddress })).toBe(true)
    expect(isIn(ofAddress, { ip: `::ffff:${insideAddress}` })).toBe(true)
  })

  test('the address that app.proxy gives', () => {
    const headers = { 'x-forwarded-for': insideAddress }
    const configure = (app: { proxy: boolean }) => {
      app.proxy = true
    }
    const outer = addresses.find((ip) => !isIn(ofAddress, { ip })) as string
    expect(isIn(ofAddress, { ip: outer, headers })).toBe(false)
    expect(isIn(ofAddress, { ip: outer, headers, configure })).toBe(true)
  })

  test.each<[string, RequestFields]>([
    ['header:x-user', {}],
    ['header:x-user', { headers: { 'x-user': '' } }],
    ['header:constructor', {}],
    ['cookie:sid', {}],
    ['cookie:sid', { headers: { cookie: 'sid=; a=1' } }],
    ['cookie:sid', { headers: { cookie: '%;;=' } }],
    ['query:user', {}],
    ['query:user', { url: '/?user=' }],
    ['query:constructor', { url: '/?a' }],
    ['query:toString', { url: '/?__proto__' }],
    ['ip', { ip: undefined }],
  ])('nothing: by %s in %j nobody is in a share below 100, and everybody in 100', (by, request) => {
    for (const to of [99.999, 50]) expect(isIn({ by, to }, request)).toBe(false)
    expect(isIn({ by, from: 50, to: 100 }, request)).toBe(false)
    expect(isIn({ by, to: 100 }, request)).toBe(true)
  })
})

describe('of a list of keys, the first that the request has counts', () => {
  const BY = ['cookie:sid', 'header:x-user', 'ip'] as const
  const keys = Array.from({ length: 500 }, (_, index) => `k${index}`)
  const inside = keys.find((user) => share()(requestOf(user))) as string
  const outside = keys.find((user) => !share()(requestOf(user))) as string

  test.each<[string, RequestFields, boolean]>([
    ['the first', { headers: { cookie: `sid=${inside}`, 'x-user': outside }, ip: outside }, true],
    ['and no other', { headers: { cookie: `sid=${outside}`, 'x-user': inside }, ip: inside }, false],
    ['the second without it', { headers: { 'x-user': inside }, ip: outside }, true],
    ['or where it is empty', { headers: { cookie: 'sid=', 'x-user': inside }, ip: outside }, true],
    ['the last', { ip: inside }, true],
    ['the last, outside', { headers: { cookie: 'sid=', 'x-user': '' }, ip: outside }, false],
    ['none', {}, false],
  ])('%s', (_, request, expected) => {
    expect(isIn({ by: BY }, request)).toBe(expected)
    expect(isIn({ by: BY, to: 100 }, request)).toBe(true)
  })

  test('a value is at the same point by whatever key it comes: a list of one is that key', () => {
    for (const user of keys) {
      const request = { headers: { 'x-user': user } }
      expect(isIn({ by: ['header:x-user'] }, request)).toBe(isIn({}, request))
      expect(isIn({ by: ['cookie:sid', 'header:x-user'] }, request)).toBe(isIn({}, request))
    }
  })

  test('chance decides where none of the others is there', () => {
    const ask = share({ by: ['header:x-user', 'random'], to: 50 })
    const answers = (request: Context) => new Set(Array.from({ length: 64 }, () => ask({ ...request } as Context)))
    expect(answers(requestOf(inside))).toEqual(new Set([true]))
    expect(answers({ req: { headers: {} } } as Context)).toEqual(new Set([true, false]))
  })
})

describe('by chance', () => {
  test('each request is counted for itself', () => {
    const ask = share({ by: 'random', to: 30 })
    const members = Array.from({ length: 20_000 }, () => ask({} as Context)).filter(Boolean)
    expect(Math.abs(members.length / 200 - 30)).toBeLessThan(2)
  })

  test('a request is in one variant, and in the same whenever it is asked', () => {
    const draw = createDraw()
    const shares = [0, 25, 50, 75].map((from) =>
      createShare({ by: 'random', from, to: from + 25, salt: 'price' }, draw),
    )
    for (let index = 0; index < 2000; index += 1) {
      const ctx = {} as Context
      const answers = shares.map((ask) => ask(ctx))
      expect(answers.filter(Boolean)).toHaveLength(1)
      expect(shares.map((ask) => ask(ctx))).toEqual(answers)
    }
  })

  test('other plugins draw anew', () => {
    const draw = createDraw()
    const [one, other] = ['a', 'b'].map((salt) => createShare({ by: 'random', from: 0, to: 50, salt }, draw))
    const both = Array.from({ length: 20_000 }, () => ({}) as Context).filter((ctx) => one?.(ctx) && other?.(ctx))
    expect(Math.abs(both.length / 200 - 25)).toBeLessThan(2)
  })
})

describe('a fault in a share is named', () => {
  const NAMES = '"ip", "random", "header:…", "cookie:…" or "query:…"'
  const BY = `by: expected ${NAMES}, got `

  test.each<[unknown, string]>([
    [{ percent: '10' }, 'percent: expected a finite number, got "10"'],
    [{ percent: 101 }, 'percent: expected a number of at most 100, got 101'],
    [{ percent: -1 }, 'percent: expected a number of at least 0, got -1'],
    [{ percent: null }, 'percent: expected a finite number, got null'],
    [{ percent: 1, by: 'IP' }, `${BY}"IP"`],
    [{ percent: 1, by: 'header:' }, `${BY}"header:"`],
    [{ percent: 1, by: 'header:x user' }, `${BY}"header:x user"`],
    [{ percent: 1, by: 'cookie:a=b' }, `${BY}"cookie:a=b"`],
    [{ percent: 1, by: 'session:a' }, `${BY}"session:a"`],
    [{ percent: 1, by: ['ip', 'session:a'] }, `by[1]: expected ${NAMES}, got "session:a"`],
    [{ percent: 1, by: 5 }, 'by: expected a string or an array, got 5'],
    [{ percent: 1, by: [] }, 'by: expected an array of at least 1, got an array of 0'],
    [{ percentage: 1 }, 'percentage: is not known'],
    [10, ': expected an object, got 10'],
  ])('%j: %s', (rollout, fault) => {
    const read = rolloutSchema.safeParse(rollout)
    const { path, message } = describeMismatch(read.error!, rollout)
    expect(`${path}: ${message}`).toBe(fault)
  })
})
