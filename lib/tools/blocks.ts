/** How many there were of each group, and how many of them were bad. */
export interface Compared {
  readonly inside: number
  readonly inside_bad: number
  readonly outside: number
  readonly outside_bad: number
}

/** No report speaks for more than this: what is odd in one of them, such as a share that changed in an outage, stops nothing. */
const MOST_BLOCKS = 8
/** More are not dealt out one by one: a process that counts so many judges by itself. */
const MOST_DEALT = 5000

/**
 * Deals the requests of one report out to blocks, each with some of both groups, as if they had come in an order of chance: they were
 * only counted. Where both groups are bad alike, the differences of the blocks are 0 on average, each as well as all of them.
 *
 * @returns the difference of the rates in each block, from -1 to 1; none where one group is empty. The same counts give the same
 */
export function dealBlocks({ inside, inside_bad, outside, outside_bad }: Compared): number[] {
  const most = Math.min(inside, outside, MOST_BLOCKS)
  if (!(most > 0)) return []
  const is_whole = [inside, inside_bad, outside, outside_bad].every(Number.isInteger)
  const is_dealt = is_whole && inside + outside <= MOST_DEALT && inside_bad <= inside && outside_bad <= outside
  if (!is_dealt) return [inside_bad / inside - outside_bad / outside]
  const next = createChance(inside * 31 + inside_bad * 17 + outside * 7 + outside_bad)
  const of_inside = deal(inside, inside_bad, most, next)
  const of_outside = deal(outside, outside_bad, most, next)
  return of_inside.map((rate, at) => rate - (of_outside[at] as number))
}

/** The rate of what is bad in each block. The sizes differ by 1 at most. */
function deal(all: number, bad: number, blocks: number, next: () => number): number[] {
  let [left, bad_left] = [all, bad]
  return Array.from({ length: blocks }, (_, at) => {
    const size = Math.floor(((at + 1) * all) / blocks) - Math.floor((at * all) / blocks)
    let drawn = 0
    for (let each = 0; each < size; each += 1) {
      if (next() * left < bad_left) {
        drawn += 1
        bad_left -= 1
      }
      left -= 1
    }
    return drawn / size
  })
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32, in the public domain). */
function createChance(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
