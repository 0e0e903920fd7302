import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyEdits, type GivenEdit, mergeFields, putInOrder } from '../server/changes/apply-edits.ts'
import { findChangedPlugins, findEdits } from '../server/changes/find-edits.ts'
import { isSame, type PlainDocument, readPlain, writeDomains } from '../server/changes/plain-document.ts'

const names = fc.constantFrom('a', 'b', 'c', 'd')
const fields = fc.record(
  { code: fc.constantFrom('1', '2'), priority: fc.constantFrom(1, 2) },
  { requiredKeys: ['code'] },
)
const documents: fc.Arbitrary<PlainDocument> = fc.record({
  general: fc.record({ skip_domains: fc.constantFrom(['x'], ['y']) }, { requiredKeys: [] }),
  domains: fc.uniqueArray(
    fc.record({
      name: names,
      plugins: fc.uniqueArray(fc.record({ name: names, phase: fc.constantFrom('log', 'access'), fields }), {
        selector: ({ name, phase }) => `${name} ${phase}`,
        maxLength: 5,
      }),
    }),
    { selector: ({ name }) => name, maxLength: 4 },
  ),
})

test('the edits that are found make one document of the other, and say just what is different', () => {
  fc.assert(
    fc.property(documents, documents, (live, wanted) => {
      const { document, conflicts } = applyEdits(live, findEdits(live, wanted))
      expect(document).toEqual(wanted)
      expect(conflicts).toEqual([])
      expect(findEdits(live, live)).toEqual([])
      expect(readPlain(`{"general":{},"domains":${writeDomains(wanted.domains)}}`).domains).toEqual(wanted.domains)
      expect(findChangedPlugins(live, live)).toEqual([])
    }),
    { seed: 7, numRuns: 300 },
  )
})

test('what went live meanwhile is kept, where both say nothing of the same', () => {
  fc.assert(
    fc.property(documents, documents, documents, (base, mine, live) => {
      const { document, conflicts } = applyEdits(live, findEdits(base, mine))
      const of = ({ domains }: PlainDocument) =>
        new Map(
          domains.flatMap(({ name: domain, plugins }) =>
            plugins.map((each) => [`${domain} ${each.name} ${each.phase}`, each.fields]),
          ),
        )
      const [was, here, there, made] = [of(base), of(mine), of(live), of(document)]
      const removed = new Set(
        base.domains.map(({ name }) => name).filter((name) => !mine.domains.some((each) => each.name === name)),
      )
      for (const key of new Set([...here.keys(), ...there.keys()])) {
        if (removed.has(key.split(' ')[0] as string)) continue
        if (isSame(was.get(key), here.get(key))) expect(made.get(key)).toEqual(there.get(key))
        else if (isSame(was.get(key), there.get(key))) expect(made.get(key)).toEqual(here.get(key))
        else if (conflicts.length === 0 && here.has(key) && there.has(key)) expect(made.has(key)).toBe(true)
      }
    }),
    { seed: 11, numRuns: 300 },
  )
})

test.each([
  ['nothing', { a: 1 }, { a: 1 }, { a: 1 }, { a: 1 }, []],
  ['here alone', { a: 1 }, { a: 2 }, { a: 1 }, { a: 2 }, []],
  ['live alone', { a: 1 }, { a: 1 }, { a: 2 }, { a: 2 }, []],
  ['two fields', { a: 1, b: 1 }, { a: 2, b: 1 }, { a: 1, b: 2 }, { a: 2, b: 2 }, []],
  ['a field that is gone here', { a: 1, b: 1 }, { a: 1 }, { a: 2, b: 1 }, { a: 2 }, []],
  ['both to the same', { a: 1 }, { a: 2 }, { a: 2 }, { a: 2 }, []],
  ['both to something else', { a: 1 }, { a: 2 }, { a: 3 }, { a: 2 }, ['a']],
  ['both new', null, { a: 1, b: 1 }, { a: 1, b: 2 }, { a: 1, b: 1 }, ['b']],
  ['removed here, changed live', { a: 1 }, null, { a: 2 }, null, ['']],
  ['changed here, removed live', { a: 1 }, { a: 2 }, null, { a: 2 }, ['']],
  ['removed by both', { a: 1 }, null, null, null, []],
])('merges %s', (_, base, mine, live, merged, fields) => {
  const made = mergeFields(base, mine, live)
  expect(made.fields).toEqual(merged)
  expect(made.conflicts.map(({ field }) => field)).toEqual(fields)
})

test('a domain that is to go, and was changed in what is live, is somebody’s to choose', () => {
  const domain = (code: string) => ({ name: 'a', plugins: [{ name: 'p', phase: 'log', fields: { code } }] })
  const edits = findEdits({ general: {}, domains: [domain('1')] }, { general: {}, domains: [] })
  expect(applyEdits({ general: {}, domains: [domain('1')] }, edits).conflicts).toEqual([])
  const { document, conflicts } = applyEdits({ general: {}, domains: [domain('2')] }, edits)
  expect(document.domains).toEqual([])
  expect(conflicts).toMatchObject([{ kind: 'domain', domain: 'a', conflicts: [{ field: '' }] }])
})

test('an order leaves what it does not name where it is', () => {
  expect(putInOrder(['a', 'x', 'b', 'c'], (each) => each, ['c', 'b', 'gone', 'a'])).toEqual(['c', 'x', 'b', 'a'])
  const order: GivenEdit = { kind: 'order', domain: 'none', name: '', phase: '', base: [], after: ['x'] }
  expect(applyEdits({ general: {}, domains: [] }, [order]).document.domains).toEqual([])
})
