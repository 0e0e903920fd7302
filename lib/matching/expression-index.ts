import type { Steps } from '../time/steps.ts'
import { findAlike } from './alike-clauses.ts'
import { createLiteralIndex, type LiteralIndex } from './literal-index.ts'
import { BEGIN, type Clause, END, requireLiterals } from './required-literals.ts'

/** An expression, and what tells from afar that it does not match. */
interface Known {
  readonly expression: RegExp
  readonly clauses: readonly Clause[]
}

/** Many expressions, of which those that match a host are found without asking each. */
export interface ExpressionIndex {
  /** The expressions by their source, each with the number that `search` has for it. */
  readonly numbers: ReadonlyMap<string, number>
  readonly known: readonly Known[]
  /** As many expressions as there is a host for which all of them may have to be tried. */
  readonly alike: readonly RegExp[]
  /** The numbers of the expressions that match. */
  search(host: string): readonly number[]
}

/**
 * No name in DNS is longer. Over a Host header of many KB an expression that backtracks would hold up everybody; of such a
 * host the beginning is searched, so that `.*` stays every host and nobody gets past a plugin by an overlong name.
 */
const LONGEST_SEARCHED_HOST = 255

/**
 * Makes the index of some expressions.
 *
 * @param previous an earlier one: what it knows of an expression need not be found out again
 * @returns the earlier one itself where it has just the same expressions, so that what it has said of a host still holds
 */
export function* buildExpressionIndex(
  expressions: Iterable<RegExp>,
  previous: ExpressionIndex | undefined,
): Steps<ExpressionIndex> {
  const numbers = new Map<string, number>()
  const given: RegExp[] = []
  for (const expression of expressions) {
    if (numbers.has(expression.source)) continue
    numbers.set(expression.source, given.length)
    given.push(expression)
    yield
  }
  if (previous?.numbers.size === numbers.size && given.every(({ source }) => previous.numbers.has(source))) {
    return previous
  }
  const index = createLiteralIndex()
  const known: Known[] = []
  for (const expression of given) {
    const earlier = previous?.known[previous.numbers.get(expression.source) ?? -1]
    // The earlier one is compiled already, where it was asked.
    const each = earlier ?? { expression, clauses: requireLiterals(expression) }
    known.push(each)
    index.add(each.clauses)
    yield
  }
  const alike: RegExp[] = []
  for (const number of yield* findAlike(index.chosen)) {
    const { expression } = known[number] as Known
    // V8 compiles an expression when it is first used, and again when it is used more: not while a request waits for all of them.
    for (const host of ['', 'a']) expression.test(host)
    alike.push(expression)
    yield
  }
  return createIndex(numbers, known, index, alike)
}

// Apart from where it is built: a function made there would hold on to the earlier index, and that to the one before it.
function createIndex(
  numbers: ReadonlyMap<string, number>,
  known: readonly Known[],
  index: LiteralIndex,
  alike: readonly RegExp[],
): ExpressionIndex {
  return Object.freeze({
    numbers,
    known,
    alike,
    search(host) {
      const searched = host.slice(0, LONGEST_SEARCHED_HOST)
      const found: number[] = []
      for (const number of index.candidates(BEGIN + searched + END)) {
        if (known[number]?.expression.test(searched)) found.push(number)
      }
      return found
    },
  } satisfies ExpressionIndex)
}
