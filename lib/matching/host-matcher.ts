import type { Steps } from '../time/steps.ts'
import { buildExpressionIndex, type ExpressionIndex } from './expression-index.ts'
import type { HostPattern } from './host-pattern.ts'
import { createSuffixTree } from './suffix-tree.ts'

/** Tells which of many patterns a host matches, at a cost that does not grow with how many there are. */
export interface HostMatcher {
  /** Where the expressions among the patterns are asked; what it says of a host may be kept for as long as it is the same. */
  readonly expressions: ExpressionIndex
  /**
   * The places of the patterns that match, ascending.
   *
   * @param expressions what `expressions.search` said of the host
   */
  match(host: string, expressions: readonly number[]): readonly number[]
}

/** Patterns that are gathered without a pause: less than a tenth of a millisecond. */
const STRETCH = 256

/**
 * Makes the matcher of some patterns.
 *
 * @param previous an earlier one, from which expressions are taken over
 */
export function* buildHostMatcher(
  patterns: readonly HostPattern[],
  previous: HostMatcher | undefined,
): Steps<HostMatcher> {
  const any: number[] = []
  const literals = new Map<string, number | number[]>()
  const suffixes = createSuffixTree()
  const expressions: { expression: RegExp; place: number }[] = []
  for (const [place, pattern] of patterns.entries()) {
    if (pattern.kind === 'any') any.push(place)
    else if (pattern.kind === 'literal') addPlace(literals, pattern.host, place)
    else if (pattern.kind === 'suffix') suffixes.add(pattern.suffix, place)
    else expressions.push({ expression: pattern.expression, place })
    if (place % STRETCH === 0) yield
  }
  const index = yield* buildExpressionIndex(
    expressions.map(({ expression }) => expression),
    previous?.expressions,
  )
  const byExpression = new Map<number, number | number[]>()
  for (const { expression, place } of expressions) {
    addPlace(byExpression, index.numbers.get(expression.source) as number, place)
    yield
  }
  return Object.freeze({
    expressions: index,
    match(host, found) {
      const places = [...any]
      pushPlaces(places, literals.get(host))
      suffixes.find(host, places)
      for (const number of found) pushPlaces(places, byExpression.get(number))
      return places.sort((a, b) => a - b)
    },
  } satisfies HostMatcher)
}

// Nearly every name is there once, and an array for each would be most of what it takes.
function addPlace<K>(places: Map<K, number | number[]>, key: K, place: number): void {
  const known = places.get(key)
  if (known === undefined) places.set(key, place)
  else if (typeof known === 'number') places.set(key, [known, place])
  else known.push(place)
}

function pushPlaces(places: number[], more: number | number[] | undefined): void {
  if (typeof more === 'number') places.push(more)
  else for (const place of more ?? []) places.push(place)
}
