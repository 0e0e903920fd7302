import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Reading, readBytes } from '../../../lib/background/reading/document-reader.ts'
import { readEdits } from '../../../lib/background/reading/edits-reader.ts'
import { type LiveText, NO_TEXT } from '../../../lib/background/reading/live-text.ts'
import { editBytes, wholeOf } from '../../../lib/background/reading/rope.ts'
import { DEFAULT_RULES, readDocument } from '../../../lib/background/reading/validator.ts'
import type { ProgramDomain } from '../../../lib/program.ts'
import { runSteps } from '../../../lib/time/steps.ts'
import { listEdits } from '../../../lib/tools/create-delta.ts'
import { tries } from '../../fixtures/tries.ts'

const plugin = (name: string, fields: object = {}) => ({ name, phase: 'access', code: 'say(1)', ...fields })
const DOCUMENT = {
  general: { version: 7, skip_domains: ['x.com'] },
  plugins: [plugin('s', { id: 1 }), plugin('t', { id: 2, params: { domains: [] } })],
  domains: [
    { name: 'a.com', plugins: [plugin('p'), 1] },
    { name: 'ü.com', plugins: [] },
    { name: '*.c.com', plugins: [plugin('p'), plugin('q', { when: { paths: '/a' } }), 2] },
  ],
}

const asLive = (read: object) => ({ ...read, plugins: [] }) as unknown as ProgramDomain

/** What is known once a document is live, as if all had been built that can be. */
function live(bytes: Uint8Array, before: LiveText = NO_TEXT): LiveText {
  const { learn } = runSteps(readBytes(bytes, DEFAULT_RULES, before, 0))
  return runSteps(learn(asLive))
}

const read = (edits: [number, number, string][], bytes: Buffer, known = live(bytes)) => {
  const all = edits.map(([start, end, text]) => ({ start, end, text: Buffer.from(text) }))
  return {
    reading: runSteps(readEdits(all, DEFAULT_RULES, known)),
    text: runSteps(wholeOf(runSteps(editBytes(bytes, all)))),
  }
}

describe('a document that is edited', () => {
  test('is read as one that came whole, or not at all, whatever is put where', () => {
    const texts = [
      JSON.stringify(DOCUMENT),
      JSON.stringify(DOCUMENT, null, 1),
      JSON.stringify({ domains: DOCUMENT.domains, plugins: DOCUMENT.plugins, general: DOCUMENT.general }),
    ]
    const token = fc.constantFrom('"', '{', '}', '[', ']', ',', ':', 'x', '\\', '1', 'ü', '"domains":[],', '},{', '')
    const edit = fc.tuple(fc.nat(250), fc.oneof(fc.constantFrom(0, 1), fc.nat(60)), fc.array(token, { maxLength: 3 }))
    let used = 0
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 2 }), (text, wanted) => {
        const bytes = Buffer.from(text)
        let last = 0
        const edits = wanted.map(([skipped, replaced, tokens]): [number, number, string] => {
          const start = Math.min(last + skipped, bytes.length)
          last = Math.min(start + replaced, bytes.length)
          return [start, last, tokens.join('')]
        })
        const all = edits.map(([start, end, by]) => ({ start, end, text: Buffer.from(by) }))
        const after = runSteps(wholeOf(runSteps(editBytes(bytes, all)))).toString()
        const reading = runSteps(readEdits(all, DEFAULT_RULES, live(bytes)))
        if (reading === undefined) return
        used += 1
        const whole = readDocument(after, DEFAULT_RULES)
        const { domains, edited, ...rest } = reading.document
        const { domains: expected, ...others } = whole
        expect(rest).toEqual(others)
        expect(edited).toEqual(domains.flatMap((each, at) => ('domain' in each ? [] : [at])))
        expect(domains.map((each) => ('domain' in each ? each.domain.name : each.name))).toEqual(
          expected.map(({ name }) => name),
        )
        for (const [at, domain] of domains.entries()) if (!('domain' in domain)) expect(domain).toEqual(expected[at])
      }),
      tries(2000),
    )
    expect(used).toBeGreaterThan(100)
  })

  const text = JSON.stringify(DOCUMENT)
  const replace = (what: string, by: string): [number, number, string] => {
    const start = Buffer.byteLength(text.slice(0, text.indexOf(what)))
    return [start, start + Buffer.byteLength(what), by]
  }
  test.each<[string, [number, number, string][], number[] | undefined]>([
    ['within a domain', [replace('say(1)"},1', 'say(22)"},1')], [0]],
    [
      'in two of them, and the version',
      [replace(':7', ':10'), replace('say(1)"},1', 'x"},1'), replace('"/a"', '"/b"')],
      [0, 2],
    ],
    ['of a shared plugin', [replace('"s"', '"shared"')], undefined],
    ['that renames a domain', [replace('ü.com', 'other.com')], undefined],
    ['of a plugin that makes it faulty', [replace('"name":"q","phase":"access"', '"name":"q","phase":7')], [2]],
    ['that adds a domain', [replace('{"name":"ü', '{"name":"b.com","plugins":[]},{"name":"ü')], undefined],
    ['that removes one', [replace(',{"name":"ü.com","plugins":[]}', '')], undefined],
    ['that ends a list sooner', [replace(',"domains":[{"name":"a', '],"other":[],"domains":[{"name":"a')], undefined],
    ['that names a list otherwise', [replace('"plugins"', '"others"')], undefined],
    ['that is not JSON', [replace('a.com"', 'a.com')], undefined],
    [
      'that is no UTF-8 any more',
      [[Buffer.from(text).indexOf('ü') + 1, Buffer.from(text).indexOf('ü') + 2, '']],
      undefined,
    ],
    ['that passes a cap', [replace('say(1)"},1', `${'x'.repeat(2 ** 20 + 1)}"},1`)], undefined],
    ['that names a field of the document wrongly', [replace('"general"', '"genral"')], undefined],
    ['of nothing', [], []],
  ])('reads no more than that where there is one %s', (_, edits, expected) => {
    const { reading } = read(edits, Buffer.from(text))
    const places = reading?.document.domains.flatMap((each, at) => ('domain' in each ? [] : [at]))
    expect(places).toEqual(expected)
  })

  test('and edited again, has every place where it is by then; and one that comes whole is compared with that', () => {
    const versionOf = (version: number, code: string) => {
      const [first, ...others] = DOCUMENT.domains
      const domains = [...others, { ...first, plugins: [plugin('p', { code })] }]
      return Buffer.from(JSON.stringify({ ...DOCUMENT, general: { version }, domains }))
    }
    let bytes = versionOf(1, 'a')
    let known = live(bytes)
    for (const [version, code] of [
      [2, 'a much longer one'],
      [1234, 'b'],
      [5, 'cc'],
      [6, 'cc'],
    ] as const) {
      const next = versionOf(version, code)
      const reading = runSteps(readEdits(listEdits(bytes, next), DEFAULT_RULES, known)) as Reading
      expect(reading.document.version).toBe(version)
      expect(reading.document.edited).toEqual(version === 6 ? [] : [2])
      bytes = next
      known = runSteps(reading.learn(asLive))
    }
    const { document } = runSteps(readBytes(bytes, DEFAULT_RULES, known, 0))
    expect(document.domains.every((each) => 'domain' in each)).toBe(true)
  })

  test('is read whole where it begins with a mark, or nothing is known of where anything stands', () => {
    const bytes = Buffer.from(`\ufeff${text}`)
    expect(read([[30, 30, ' ']], bytes).reading).toBeUndefined()
    expect(read([], bytes, NO_TEXT).reading).toBeUndefined()
  })
})
