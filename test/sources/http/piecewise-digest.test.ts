import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { editBytes } from '../../../lib/background/reading/rope.ts'
import { cutPieces, digestOf, editPieces } from '../../../lib/sources/http/piecewise-digest.ts'
import { runSteps } from '../../../lib/time/steps.ts'
import { tries } from '../../fixtures/tries.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** As docs/options.md has it, in the plainest way. */
function plainDigest(text: string): string {
  const bytes = Buffer.from(text)
  const pieces: Buffer[] = []
  let start = 0
  for (let at = 0; at < bytes.length; at += 1) {
    if (bytes.toString('latin1', at, at + 4) !== '},{"') continue
    let hash = 0x811c9dc5
    for (const byte of bytes.subarray(at + 2, at + 34))
      hash = Number(((BigInt(hash ^ byte) & 0xffffffffn) * 0x01000193n) % 2n ** 32n)
    if (hash < 2 ** 28) {
      pieces.push(bytes.subarray(start, at + 2))
      start = at + 2
    }
  }
  if (start < bytes.length || start === 0) pieces.push(bytes.subarray(start))
  return sha256(Buffer.concat(pieces.map(sha256))).toString('hex')
}

const token = fc.oneof(
  { weight: 5, arbitrary: fc.nat(99).map((n) => `{"name":"p${n}"},`) },
  fc.constantFrom('{"', '},{"', '},', '"', 'ü', ' ', '{"a":"'.padEnd(90, 'x'), '}'),
)
const text = fc.array(token, { maxLength: 120 }).map((tokens) => tokens.join(''))

describe('the digest of a document in pieces', () => {
  test('is what its description says', () => {
    fc.assert(
      fc.property(text, (each) => {
        expect(digestOf(runSteps(cutPieces(Buffer.from(each))))).toBe(plainDigest(each))
      }),
      tries(300),
    )
  })

  test('is the same whether a document was cut as a whole, or edited', () => {
    const edit = fc.tuple(fc.nat(600), fc.nat(200), text)
    fc.assert(
      fc.property(text, fc.array(fc.array(edit, { maxLength: 3 }), { maxLength: 4 }), (first, all) => {
        let bytes: Parameters<typeof editBytes>[0] = Buffer.from(first)
        let pieces = runSteps(cutPieces(bytes))
        for (const wanted of all) {
          let last = 0
          const edits = wanted.flatMap(([skipped, replaced, each]) => {
            const start = Math.min(last + skipped, bytes.length)
            const end = Math.min(start + replaced, bytes.length)
            last = end
            return [{ start, end, text: Buffer.from(each) }]
          })
          bytes = runSteps(editBytes(bytes, edits))
          pieces = runSteps(editPieces(pieces, edits, bytes))
          expect(pieces).toEqual(runSteps(cutPieces(bytes)))
        }
      }),
      tries(300),
    )
  })

  test('is found without hashing again what is not near an edit', () => {
    const objects = (changed: number) =>
      Array.from({ length: 5000 }, (_, n) => `{"name":"host${n}.example.com","code":"${n === changed ? 'x' : '-'}"}`)
    const [before, after] = [objects(-1), objects(2500)].map((each) => Buffer.from(`[${each}]`)) as [Buffer, Buffer]
    const at = before.findIndex((byte, place) => byte !== after[place])
    const edits = [{ start: at, end: at + 1, text: Buffer.from('x') }]
    const steps = (work: Generator) => {
      let count = 0
      while (work.next().done !== true) count += 1
      return count
    }
    const pieces = runSteps(cutPieces(before))
    expect(pieces.ends.length).toBeGreaterThan(200)
    expect(pieces.ends.length).toBeLessThan(500)
    expect(steps(editPieces(pieces, edits, after))).toBeLessThan(5)
    expect(digestOf(runSteps(editPieces(pieces, edits, after)))).toBe(digestOf(runSteps(cutPieces(after))))
  })
})
