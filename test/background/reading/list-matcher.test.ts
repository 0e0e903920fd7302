import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Places, splitList } from '../../../lib/background/reading/json-splitter.ts'
import { type Matches, matchList } from '../../../lib/background/reading/list-matcher.ts'
import type { LiveList } from '../../../lib/background/reading/live-text.ts'
import { runSteps } from '../../../lib/time/steps.ts'
import { tries } from '../../fixtures/tries.ts'

const RULE = { max: 40 }
const item = fc.constantFrom(...Array.from({ length: RULE.max }, (_, n) => `{"n":${n},"x":"${'y'.repeat(n)}"}`))
const odd = fc.constantFrom('1', '12', '"a"', '"ab"', 'null', '[]', '[1]', '{}', 'x')
const separator = fc.constantFrom(',', ', ', '\n,', ' ,\t')

/** A list's text: its items, and what stands between them. */
const textOf = (items: readonly string[], between: readonly string[]) =>
  `[${items.map((each, at) => (at === 0 ? each : `${between[at % between.length]}${each}`)).join('')}]`

function split(text: string): { bytes: Buffer; after: number | undefined; places: Places } {
  const bytes = Buffer.from(text)
  const places: Places = { starts: [], ends: [] }
  return { bytes, after: runSteps(splitList(places)(bytes, 0, bytes.length)), places }
}

/** As it is once a document is live: only objects are known, and not all of these. */
function liveOf(text: string, isKnown: (at: number) => boolean): LiveList<object> {
  const { bytes, places } = split(text)
  const parts = places.starts.map((start, at) => (bytes[start] === 0x7b && isKnown(at) ? { at } : undefined))
  return { ...places, texts: parts.map(() => bytes), parts }
}

describe('a list beside the one that is live', () => {
  test('is split as by itself, and every match has the same text', () => {
    const list = fc.tuple(
      fc.array(fc.oneof({ weight: 9, arbitrary: item }, odd), { maxLength: 60 }),
      fc.array(separator, { minLength: 1, maxLength: 3 }),
    )
    const change = fc.tuple(fc.nat(60), fc.nat(12), fc.array(item, { maxLength: 12 }), fc.boolean())
    fc.assert(
      fc.property(list, fc.array(change, { maxLength: 3 }), fc.nat(7), ([items, between], changes, unknown) => {
        const live = liveOf(textOf(items, between), (at) => at % 8 !== unknown)
        const next = changes.reduce(
          (before, [at, count, added, isTurned]) =>
            (isTurned ? [...before.slice(at), ...before.slice(0, at)] : before).toSpliced(at, count, ...added),
          items,
        )
        const { bytes, after, places } = split(textOf(next, between))
        const matches: Matches = { starts: [], ends: [], live: [] }
        expect(runSteps(matchList(matches, live)(bytes, 0, bytes.length))).toBe(after)
        if (after === undefined) return
        expect(matches).toMatchObject(places)
        const found = matches.live.filter((place) => place !== -1)
        expect(new Set(found).size).toBe(found.length)
        for (const [at, place] of matches.live.entries()) {
          if (place === -1) continue
          expect(live.parts[place]).toBeDefined()
          const text = (live.texts[place] as Buffer).toString('utf8', live.starts[place], live.ends[place])
          expect(bytes.toString('utf8', matches.starts[at], matches.ends[at])).toBe(text)
        }
      }),
      tries(500),
    )
  })

  test.each([
    ['one changed', 299, (list: string[]) => list.with(150, '{"new":1}')],
    ['one added', 300, (list: string[]) => list.toSpliced(150, 0, '{"new":1}')],
    ['one removed', 299, (list: string[]) => list.toSpliced(150, 1)],
    ['one changed, and the next removed', 298, (list: string[]) => list.toSpliced(150, 2, '{"new":1}')],
    ['a hundred removed', 200, (list: string[]) => list.toSpliced(50, 100)],
    // The first few are read anew.
    ['the order turned round', 292, (list: string[]) => list.toReversed()],
  ])('has nearly all of it found where there is %s', (_, found, edit) => {
    const items = Array.from({ length: 300 }, (_, n) => `{"name":"${n}"}`)
    const live = liveOf(textOf(items, [',']), () => true)
    const bytes = Buffer.from(textOf(edit(items), [',']))
    const matches: Matches = { starts: [], ends: [], live: [] }
    runSteps(matchList(matches, live)(bytes, 0, bytes.length))
    expect(matches.live.filter((place) => place !== -1).length).toBeGreaterThanOrEqual(found - 8)
  })
})
