import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCollector } from '../../../lib/sources/http/collector.ts'
import { runSteps, STRETCH, type Steps } from '../../../lib/time/steps.ts'
import { tries } from '../../fixtures/tries.ts'

const MAX = 10_000_000

function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at += 1) bytes[at] = (at * 7 + (at >> 8)) & 255
  return bytes
}

/** What some work makes, and in how many steps. */
function count<T>(steps: Steps<T>): { value: T; steps: number } {
  for (let step = 1; ; step += 1) {
    const next = steps.next()
    if (next.done === true) return { value: next.value, steps: step }
  }
}

describe('a body in chunks', () => {
  test('is the same whatever its chunks are, and whatever was said of its length', () => {
    const bytes = patterned(700_000)
    const sizes = fc.array(fc.oneof(fc.nat(10), fc.nat(70_000), fc.nat(400_000)), { maxLength: 12 })
    const expected = fc.option(fc.nat(800_000), { nil: undefined })
    fc.assert(
      fc.property(sizes, expected, fc.boolean(), (lengths, said, right) => {
        const ends = lengths.map((_, nth) =>
          Math.min(
            lengths.slice(0, nth + 1).reduce((sum, length) => sum + length, 0),
            bytes.length,
          ),
        )
        const total = ends.at(-1) ?? 0
        const collector = createCollector(MAX, right ? total : said)
        for (const [nth, end] of ends.entries()) runSteps(collector.add(bytes.subarray(ends[nth - 1] ?? 0, end)))
        const { bytes: collected, sha1 } = runSteps(collector.collected())
        expect(Buffer.from(collected).equals(bytes.subarray(0, total))).toBe(true)
        expect(sha1).toBe(createHash('sha1').update(bytes.subarray(0, total)).digest('hex'))
      }),
      tries(100),
    )
  })

  test('is the same whatever is known of it, and the known one itself where it comes once more', () => {
    const bytes = patterned(700_000)
    const sha1Of = (some: Uint8Array) => createHash('sha1').update(some).digest('hex')
    const known = { bytes, sha1: sha1Of(bytes) }
    const place = fc.option(fc.nat(bytes.length - 1), { nil: undefined })
    fc.assert(
      fc.property(
        place,
        fc.oneof(fc.constant(0), fc.integer({ min: -70_000, max: 70_000 })),
        // Chunks of a few bytes are tried above.
        fc.integer({ min: 1000, max: 300_000 }),
        (changed, longer, size) => {
          const came = Buffer.concat([bytes, patterned(70_000)]).subarray(0, bytes.length + longer)
          if (changed !== undefined && changed < came.length) came[changed] = (came[changed] as number) ^ 1
          const collector = createCollector(MAX, undefined, known)
          for (let at = 0; at < came.length; at += size) runSteps(collector.add(came.subarray(at, at + size)))
          const collected = runSteps(collector.collected())
          expect(collected === known).toBe(came.equals(bytes))
          expect(Buffer.from(collected.bytes).equals(came)).toBe(true)
          expect(collected.sha1).toBe(sha1Of(came))
        },
      ),
      tries(50),
    )
  })

  test('is counted against the limit while it is the known one, too', () => {
    const bytes = patterned(2000)
    const collector = createCollector(1000, undefined, { bytes, sha1: '' })
    expect(() => runSteps(collector.add(bytes))).toThrow('the document has more than 1000 bytes')
  })

  test('is where it shall be when its last byte comes, if its length was said', () => {
    const collector = createCollector(MAX, 3_000_000)
    const bytes = patterned(3_000_000)
    for (let at = 0; at < bytes.length; at += 65_536) runSteps(collector.add(bytes.subarray(at, at + 65_536)))
    const { value, steps } = count(collector.collected())
    expect(steps).toBe(1)
    // Nothing was allocated beside it.
    expect(value.bytes.buffer.byteLength).toBe(3_000_000)
  })

  test('is put together piece by piece, if its length was not said', () => {
    const collector = createCollector(MAX, undefined)
    const bytes = patterned(3_000_000)
    for (let at = 0; at < bytes.length; at += 65_536) runSteps(collector.add(bytes.subarray(at, at + 65_536)))
    const { value, steps } = count(collector.collected())
    expect(steps).toBeGreaterThan(bytes.length / STRETCH)
    expect(Buffer.from(value.bytes).equals(bytes)).toBe(true)
  })

  test('is taken piece by piece where a chunk is large', () => {
    const collector = createCollector(MAX, undefined)
    expect(count(collector.add(patterned(3_000_000))).steps).toBe(Math.ceil(3_000_000 / STRETCH))
    expect(count(collector.add(patterned(65_536))).steps).toBe(1)
  })

  test('takes no more memory than it may have bytes, whatever was said', () => {
    const collector = createCollector(1000, 1e15)
    runSteps(collector.add(patterned(10)))
    expect(runSteps(collector.collected()).bytes.buffer.byteLength).toBe(1000)
  })

  test('is refused as soon as it is too large', () => {
    const collector = createCollector(1000, undefined)
    runSteps(collector.add(patterned(1000)))
    runSteps(collector.add(patterned(0)))
    expect(() => runSteps(collector.add(patterned(1)))).toThrow('more than 1000 bytes (plugin_api_max_bytes)')
    expect(collector.refusal()).toMatchObject({ code: 'ERR_DYNACODE_FETCH_TOO_LARGE' })
  })
})
