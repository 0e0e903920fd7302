import { KNOWN_STRETCH, STRETCH, type Steps } from '../../time/steps.ts'
import { endOfValue, nextItem, type Places, type TakeList, takeItems } from './json-splitter.ts'
import { digestOf, type LiveList } from './live-text.ts'

/** A list's items, each with the place in the live list of the one that has the same text; -1: there is none. */
export interface Matches extends Places {
  readonly live: number[]
}

/** Where an item is looked for in the live list, from the place where it would be expected: some were added, or removed. */
const NEAR = [0, 1, -1, 2, -2]
/** So many items that are not found near by are read anew, before all of the live list is hashed to find others. */
const FEW = 8

/**
 * Splits a list into its items, and finds which of them are live. What is the same is compared, many items at a time, and not
 * looked into: the end of an object's text is that of every text that begins with it.
 */
export function matchList({ starts, ends, live: places }: Matches, live: LiveList<object>): TakeList {
  const taken = new Uint8Array(live.starts.length)
  let expected = 0
  let missed = 0
  let index: Map<string, number> | undefined

  function add(start: number, end: number, place: number): void {
    starts.push(start)
    ends.push(end)
    places.push(place)
    if (place !== -1) taken[place] = 1
  }

  const isFree = (place: number) => live.parts[place] !== undefined && taken[place] === 0

  return (bytes, start, end) => {
    /** Whether the text from one live place to another stands here, too. */
    function isSame(at: number, text: Buffer, from: number, to: number): boolean {
      const after = at + to - from
      return to > from && after <= end && bytes.compare(text, from, to, at, after) === 0
    }

    function findNear(at: number): number {
      for (const offset of NEAR) {
        const place = expected + offset
        if (!isFree(place)) continue
        if (isSame(at, live.texts[place] as Buffer, live.starts[place] as number, live.ends[place] as number)) {
          return place
        }
      }
      return -1
    }

    /** Finds the last live item up to which all stands here as it does there; at worst it is the first. */
    function* findLast(at: number, first: number): Steps<number> {
      const text = live.texts[first] as Buffer
      const from = live.starts[first] as number
      let last = first
      let growing = true
      for (let step = 1; step > 0; ) {
        const next = last + step
        const [known, to] = [live.ends[last] as number, live.ends[next] ?? 0]
        const isLonger = live.texts[next] === text && isSame(at + known - from, text, known, to)
        if (isLonger) last = next
        else growing = false
        // What is compared at once takes no longer than a moment.
        if (!growing) step >>= 1
        else if (to - known < STRETCH / 2) step *= 2
        if (to - known > STRETCH / 4) yield
      }
      return last
    }

    /** Takes a live item, and those behind it that stand here as they do there. */
    function* takeRun(at: number, first: number): Steps<number> {
      const last = yield* findLast(at, first)
      const shift = at - (live.starts[first] as number)
      let after = 0
      for (let place = first; place <= last; place += 1) {
        const [begin, stop] = [(live.starts[place] as number) + shift, (live.ends[place] as number) + shift]
        // Something else may have stood between the two.
        if (place > first && (!isFree(place) || nextItem(bytes, after, end) !== begin)) break
        add(begin, stop, place)
        after = stop
        expected = place + 1
        if (place % KNOWN_STRETCH === 0) yield
      }
      return after
    }

    function* findFar(at: number, after: number): Steps<number> {
      index ??= yield* indexTexts(live)
      const place = index.get(yield* digestOf(bytes, at, after)) ?? -1
      return isFree(place) ? place : -1
    }

    return takeItems(bytes, start, end, function* take(at) {
      const near = findNear(at)
      if (near !== -1) return yield* takeRun(at, near)
      const after = yield* endOfValue(bytes, at, end)
      if (after === undefined) return undefined
      if (isFree(expected)) missed += 1
      const place = missed > FEW ? yield* findFar(at, after) : -1
      add(at, after, place)
      expected = (place === -1 ? expected : place) + 1
      return after
    })
  }
}

function* indexTexts({ texts, starts, ends, parts }: LiveList<object>): Steps<Map<string, number>> {
  const index = new Map<string, number>()
  for (let place = 0; place < parts.length; place += 1) {
    if (parts[place] === undefined) continue
    index.set(yield* digestOf(texts[place] as Buffer, starts[place] as number, ends[place] as number), place)
    yield
  }
  return index
}
