import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Edit, editBytes, partsOf, sliceOf, wholeOf } from '../../../lib/background/reading/rope.ts'
import { runSteps } from '../../../lib/time/steps.ts'
import { tries } from '../../fixtures/tries.ts'

const buffer = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes))
const changes = fc.array(fc.array(fc.tuple(fc.nat(9), fc.nat(9), buffer), { maxLength: 4 }), { maxLength: 80 })

/** Edits in order, as far as there is room for them. */
function editsFor(length: number, wanted: readonly (readonly [number, number, Buffer])[]): Edit[] {
  const edits: Edit[] = []
  let last = 0
  for (const [skipped, replaced, text] of wanted) {
    const [start, end] = [last + skipped, last + skipped + replaced]
    if (end > length) break
    edits.push({ start, end, text })
    last = end
  }
  return edits
}

const edited = (bytes: Buffer, edits: readonly Edit[]) =>
  Buffer.concat([
    ...edits.flatMap(({ start, text }, nth) => [bytes.subarray(edits[nth - 1]?.end ?? 0, start), text]),
    bytes.subarray(edits.at(-1)?.end ?? 0),
  ])

test('bytes that are edited again and again are what they would be at one place', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), changes, fc.nat(30), fc.nat(30), (first, all, from, length) => {
      let expected = Buffer.from(first)
      let rope: Parameters<typeof editBytes>[0] = first
      for (const wanted of all) {
        const edits = editsFor(expected.length, wanted)
        expected = edited(expected, edits)
        rope = runSteps(editBytes(rope, edits))
        expect(rope.length).toBe(expected.length)
        expect(Buffer.concat(partsOf(rope)).equals(expected)).toBe(true)
        expect(partsOf(rope).length).toBeLessThanOrEqual(100)
      }
      expect(runSteps(wholeOf(rope)).equals(expected)).toBe(true)
      expect(sliceOf(rope, from, from + length).equals(expected.subarray(from, from + length))).toBe(true)
    }),
    tries(200),
  )
})

test('what was left as it was is not copied', () => {
  const bytes = Buffer.alloc(1000, 'x')
  const { parts } = runSteps(editBytes(bytes, [{ start: 500, end: 501, text: Buffer.from('y') }]))
  expect(parts.map(({ buffer, byteOffset, length }) => [buffer === bytes.buffer, byteOffset, length])).toEqual([
    [true, bytes.byteOffset, 500],
    [expect.any(Boolean), expect.any(Number), 1],
    [true, bytes.byteOffset + 501, 499],
  ])
})
