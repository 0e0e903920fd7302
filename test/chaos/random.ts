/** Chance that can be had again: the same seed gives the same numbers. */
export interface Random {
  /** From 0 to 1, without 1. */
  next(): number
  /** A whole number from `from` to `to`, both among them. */
  between(from: number, to: number): number
  pick<T>(items: readonly T[]): T
}

/** Makes a source of chance (xorshift, 32 bits). */
export function createRandom(seed: number): Random {
  // Nought would stay nought; neighbouring seeds begin far apart.
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  const between = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return { next, between, pick: (items) => items[between(0, items.length - 1)] as (typeof items)[number] }
}
