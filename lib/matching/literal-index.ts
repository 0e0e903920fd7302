import type { Clause } from './required-literals.ts'

/** Tells which of many things may be in a text, each of which has strings of which one must be there. */
export interface LiteralIndex {
  /** Of each thing the clause that it is known by; undefined: without any it may be in every text. */
  readonly chosen: readonly (Clause | undefined)[]
  /** Adds a thing, numbered by how many there are, by that of its clauses which tells it best from the others. */
  add(clauses: readonly Clause[]): void
  /** The things that may be in a text, each once. */
  candidates(text: string): Iterable<number>
}

/** A piece of a string, which the string is known by. */
interface Piece {
  readonly hash: number
  readonly length: number
  /** How many others are known by the same. */
  readonly load: number
}

const BASE = 0x01000193
/** How long pieces are: as long as the string allows. With the power of the base that takes what is before them off a hash. */
const LENGTHS = Object.freeze(
  [12, 8, 5, 3, 2, 1].map((length) => {
    let power = 1
    for (let count = 0; count < length; count += 1) power = Math.imul(power, BASE)
    return { length, power }
  }),
)

/**
 * Makes an index of things by the hashes of the rarest pieces of their strings. To ask it costs what the text is long, and a
 * little for each thing whose piece is in the text; it does not cost more for there being many things.
 */
export function createLiteralIndex(): LiteralIndex {
  const byPiece = new Map<number, number[]>()
  const chosen: (Clause | undefined)[] = []
  const always: number[] = []
  const used = new Set<number>()

  function findRarest(string: string): Piece {
    const { length, power } = LENGTHS.find((each) => each.length <= string.length) as (typeof LENGTHS)[number]
    const hashes = hashBeginnings(string)
    let rarest: Piece = { hash: 0, length, load: Number.POSITIVE_INFINITY }
    for (let end = length; end <= string.length; end += 1) {
      const hash = hashPiece(hashes, end - length, end, power)
      const load = byPiece.get(hash)?.length ?? 0
      if (load < rarest.load) rarest = { hash, length, load }
    }
    return rarest
  }

  return {
    chosen,
    add(clauses) {
      let best: { clause: Clause; pieces: Piece[]; cost: number } | undefined
      for (const clause of clauses) {
        const pieces = clause.map(findRarest)
        // A short piece is in many texts, even where few others are known by it.
        const cost = pieces.reduce((sum, { length, load }) => sum + load + 1 / length ** 3, 0)
        if (best === undefined || cost < best.cost) best = { clause, pieces, cost }
      }
      const thing = chosen.push(best?.clause) - 1
      if (best === undefined) always.push(thing)
      for (const { hash, length } of best?.pieces ?? []) {
        used.add(length)
        const things = byPiece.get(hash)
        if (things === undefined) byPiece.set(hash, [thing])
        else things.push(thing)
      }
    },
    candidates(text) {
      const hashes = hashBeginnings(text)
      const found = new Set(always)
      // A text may have the same piece many times over.
      const seen = new Set<readonly number[]>()
      for (const { length, power } of LENGTHS) {
        if (!used.has(length)) continue
        for (let end = length; end <= text.length; end += 1) {
          const things = byPiece.get(hashPiece(hashes, end - length, end, power))
          if (things === undefined || seen.has(things)) continue
          seen.add(things)
          for (const thing of things) if (chosen[thing]?.some((string) => text.includes(string))) found.add(thing)
        }
      }
      return found
    },
  }
}

/** The hash of each beginning of a text, by its length. */
function hashBeginnings(text: string): Int32Array {
  const hashes = new Int32Array(text.length + 1)
  for (let index = 0; index < text.length; index += 1) {
    hashes[index + 1] = (Math.imul(hashes[index] as number, BASE) + text.charCodeAt(index)) | 0
  }
  return hashes
}

/** The hash of what stands from one place to another. */
function hashPiece(hashes: Int32Array, from: number, to: number, power: number): number {
  return ((hashes[to] as number) - Math.imul(hashes[from] as number, power)) | 0
}
