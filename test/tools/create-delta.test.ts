import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { wholeOf } from '../../lib/background/reading/rope.ts'
import { createDeltas } from '../../lib/sources/http/delta.ts'
import { runSteps } from '../../lib/time/steps.ts'
import { create_delta } from '../../lib/tools/index.ts'
import { tries } from '../fixtures/tries.ts'

const domain = (n: number, code: string) => ({ name: `${n}.com`, plugins: [{ name: 'p', phase: 'access', code }] })
const many = (count: number) => Array.from({ length: count }, (_, n) => domain(n, ';'.repeat(200 + n)))
const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value))

/** What comes out of the change, if there is one, at the one who has the document before. */
const applied = (before: Uint8Array, delta: string) =>
  runSteps(wholeOf(runSteps(createDeltas()(known(before), Buffer.from(delta), 1e9)).bytes)).toString()
const sha1Of = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex')
const known = (bytes: Uint8Array) => ({ bytes, sha1: sha1Of(bytes) })

describe('create_delta', () => {
  test('what is applied is the document after, to the byte, whatever the two are', () => {
    const code = fc.string({ unit: 'binary', maxLength: 12 })
    const list = fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.tuple(fc.nat(9), code).map((each) => domain(...each)) },
        fc.constantFrom(1, 12, null, 'ü'),
      ),
      { maxLength: 8 },
    )
    const edit = fc.tuple(fc.nat(8), fc.nat(2), list, fc.nat(3))
    const text = fc.oneof(
      fc
        .tuple(list, list, fc.nat(20))
        .map(([domains, plugins, version]) => ({ general: { version }, domains, plugins })),
      fc.string({ unit: 'binary', maxLength: 30 }),
    )
    fc.assert(
      fc.property(
        text,
        edit,
        fc.constantFrom(0, 1),
        text,
        fc.boolean(),
        (before, [at, count, added, version], space, other, isOther) => {
          const changed =
            isOther || typeof before === 'string'
              ? other
              : {
                  ...before,
                  general: { version },
                  domains: (before.domains as unknown[]).toSpliced(at, count, ...added.slice(0, 2)),
                }
          const write = (value: unknown) =>
            Buffer.from(typeof value === 'string' ? value : JSON.stringify(value, null, space))
          const [old, now] = [write(before), write(changed)]
          const delta = create_delta(old, now)
          if (delta !== undefined) expect(applied(old, delta)).toBe(now.toString())
        },
      ),
      tries(200),
    )
  })

  test.each<[string, unknown, unknown]>([
    ['one plugin and the version', { version: 41 }, many(2000).with(1000, domain(1000, 'changed'))],
    ['one more at the front, and another version', { version: 42 }, [domain(7000, 'new'), ...many(2000)]],
    ['some removed', { version: 4 }, many(2000).toSpliced(500, 300)],
    ['nothing', { version: 1 }, many(2000)],
  ])('is small where little changed: %s', (_, general, domains) => {
    const [old, now] = [bytesOf({ general: { version: 1 }, domains: many(2000) }), bytesOf({ general, domains })]
    const delta = create_delta(old, now) as string
    expect(delta.length).toBeLessThan(500)
    expect(applied(old, delta)).toBe(now.toString())
  })

  test('there is none where there would be more of it than is taken', () => {
    const old = many(3000)
    const now = (length: number, every: number) =>
      old.map((each, n) => (n % every === 0 ? domain(n, 'x'.repeat(length)) : each))
    const isThere = (domains: unknown[]) => create_delta(bytesOf({ domains: old }), bytesOf({ domains })) !== undefined
    expect([isThere(now(100, 30)), isThere(now(10_000, 30)), isThere(now(10, 2))]).toEqual([true, false, false])
  })

  test('one delta after another is applied to what came out of the one before', () => {
    const apply = createDeltas()
    const versions = Array.from({ length: 250 }, (_, n) =>
      bytesOf({ general: { version: n }, domains: many(60).with(n % 60, domain(n % 60, `changed ${n}`)) }),
    )
    let before: Parameters<typeof apply>[0] = known(versions[0] as Buffer)
    for (const [nth, now] of versions.entries()) {
      if (nth === 0) continue
      const delta = Buffer.from(create_delta(versions[nth - 1] as Buffer, now) as string)
      before = runSteps(apply(before, delta, 1e9))
      expect(runSteps(wholeOf(before.bytes)).equals(now)).toBe(true)
      expect(before.sha1).toBe(sha1Of(now))
    }
  })

  test('there is none where the whole is as good', () => {
    expect(create_delta(bytesOf({ domains: many(20) }), bytesOf({ domains: many(20).toReversed() }))).toBeUndefined()
    expect(create_delta(bytesOf({ domains: many(20) }), Buffer.from([0xf0, 0x90, 0x80]))).toBeUndefined()
  })
})

describe('a delta', () => {
  test('that gives what changed the name of what was there is refused', () => {
    const [old, now] = [bytesOf({ domains: many(20) }), bytesOf({ domains: many(20).with(3, domain(3, 'changed')) })]
    const delta = { ...JSON.parse(create_delta(old, now) as string), sha1: sha1Of(old) }
    expect(() => applied(old, JSON.stringify(delta))).toThrow('its sha1 is that of the earlier document')
  })

  const before = Buffer.from('{"domains":[]}')
  const good = { length: 14, sha1: '0'.repeat(40), digest: '0'.repeat(64), edits: [] as unknown[] }
  test.each<[string, unknown]>([
    ['no JSON', '{'],
    ['nothing', null],
    ['no edits', { ...good, edits: undefined }],
    ['a digest that is none', { ...good, digest: 'x' }],
    ['a SHA-1 that is none', { ...good, sha1: 'x' }],
    ['more edits than there may be', { ...good, edits: Array.from({ length: 1001 }, () => [0, 0, '']) }],
    ['one of another document', good],
    ['another length', { ...good, length: 15 }],
    ['a place behind the end', { ...good, edits: [[0, 15, '']] }],
    ['a place that is no number', { ...good, edits: [['0', 1, '']] }],
    ['a place before the start', { ...good, edits: [[-1, 1, '']] }],
    ['an end before its start', { ...good, edits: [[3, 2, '']] }],
    [
      'places that overlap',
      {
        ...good,
        edits: [
          [0, 3, ''],
          [2, 4, ''],
        ],
      },
    ],
    ['a text that is none', { ...good, edits: [[0, 1, 7]] }],
    ['more than there may be', { ...good, edits: [[0, 0, 'x'.repeat(100)]] }],
  ])('with %s is refused, and says nothing of the document', (_, given) => {
    const text = Buffer.from(typeof given === 'string' ? given : JSON.stringify(given))
    const message = /^the plugin API's delta cannot be used: [^{;]*; the whole document is fetched instead$/
    expect(() => runSteps(createDeltas()(known(before), text, 100))).toThrow(
      expect.objectContaining({ code: 'ERR_DYNACODE_FETCH_CONTENT', message: expect.stringMatching(message) }),
    )
  })
})
