import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyDelta } from '../../lib/sources/http/delta.ts'
import { runSteps } from '../../lib/time/steps.ts'
import { create_delta } from '../../lib/tools/index.ts'
import { tries } from '../fixtures/tries.ts'

const domain = (n: number, code: string) => ({ name: `${n}.com`, plugins: [{ name: 'p', phase: 'access', code }] })
const many = (count: number) => Array.from({ length: count }, (_, n) => domain(n, ';'.repeat(200 + n)))
const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value))

/** What comes out of the change, if there is one, at the one who has the document before. */
const applied = (before: Uint8Array, delta: string) =>
  Buffer.from(runSteps(applyDelta(before, Buffer.from(delta), 1e9)).bytes).toString()

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

  test('there is none where the whole is as good', () => {
    expect(create_delta(bytesOf({ domains: many(20) }), bytesOf({ domains: many(20).toReversed() }))).toBeUndefined()
    expect(create_delta(bytesOf({ domains: many(20) }), Buffer.from([0xf0, 0x90, 0x80]))).toBeUndefined()
  })
})

describe('a delta', () => {
  const before = Buffer.from('{"domains":[]}')
  const good = { length: 14, digest: '0'.repeat(64), edits: [] as unknown[] }
  test.each<[string, unknown]>([
    ['no JSON', '{'],
    ['nothing', null],
    ['no edits', { ...good, edits: undefined }],
    ['a digest that is none', { ...good, digest: 'x' }],
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
    expect(() => runSteps(applyDelta(before, text, 100))).toThrow(
      expect.objectContaining({ code: 'ERR_DYNACODE_FETCH_CONTENT', message: expect.stringMatching(message) }),
    )
  })
})
