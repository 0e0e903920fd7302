import type { Steps } from '../time/steps.ts'
import { BEGIN, type Clause, END } from './required-literals.ts'

/** More than these are many, where all of them have to have the same string. */
const FEW = 4

/**
 * Finds the most things that one text can have by its strings. A text that somebody makes up has any number of strings
 * somewhere in it, but begins and ends in one way only: of what has to be there, no more counts than goes together.
 *
 * @param clauses of each thing, strings of which it has to have one; undefined: none
 * @returns their numbers, ascending. Not those whose string is one of few: of these a text has no more than it has room for
 */
export function* findAlike(clauses: readonly (Clause | undefined)[]): Steps<readonly number[]> {
  const found = new Set<number>()
  const byString = new Map<string, number[]>()
  for (const [thing, clause] of clauses.entries()) {
    if (clause === undefined) found.add(thing)
    for (const string of clause ?? []) {
      const things = byString.get(string)
      if (things === undefined) byString.set(string, [thing])
      else things.push(thing)
    }
    yield
  }
  const sides = { begin: new Set<number>(), end: new Set<number>() }
  for (const string of byString.keys()) {
    const side = sideOf(string)
    if (side !== undefined) sides[side].add(string.length)
    yield
  }
  const most = { begin: [] as number[], end: [] as number[] }
  for (const [string, things] of byString) {
    const side = sideOf(string)
    if (side !== undefined) {
      const together = listTogether(byString, string, side, sides[side])
      if (together.length > Math.max(most[side].length, FEW)) most[side] = together
    } else if (things.length > FEW) {
      for (const thing of things) found.add(thing)
    }
    yield
  }
  for (const thing of [...most.begin, ...most.end]) found.add(thing)
  return [...found].sort((a, b) => a - b)
}

type Side = 'begin' | 'end'

function sideOf(string: string): Side | undefined {
  if (string.startsWith(BEGIN)) return 'begin'
  return string.endsWith(END) ? 'end' : undefined
}

/**
 * The things of every string that a text begins, or ends, with that does so with this one.
 *
 * @param lengths of the strings that there are
 */
function listTogether(
  byString: ReadonlyMap<string, readonly number[]>,
  string: string,
  side: Side,
  lengths: ReadonlySet<number>,
): number[] {
  const things: number[] = []
  for (const length of lengths) {
    if (length > string.length) continue
    const part = side === 'begin' ? string.slice(0, length) : string.slice(-length)
    for (const thing of byString.get(part) ?? []) things.push(thing)
  }
  return things
}
