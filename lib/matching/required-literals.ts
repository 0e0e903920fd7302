import { type AST, RegExpParser } from '@eslint-community/regexpp'

/** Strings of which at least one is in everything that an expression matches, once that stands between `BEGIN` and `END`. */
export type Clause = readonly string[]

/** Stand for where a text begins and ends, so that what has to be there is told from what may be anywhere. */
export const [BEGIN, END] = ['\u0002', '\u0003']

/** More than these are no help in telling expressions apart. */
const MOST_STRINGS = 32
/** Of a character that is repeated. */
const LONGEST_REPEAT = 12

const parser = new RegExpParser()

/**
 * What must be in a text for an expression to match it: one string of each clause. Where it is in doubt, there is no clause;
 * that none is wrong matters more than that there are many.
 */
export function requireLiterals({ source, flags }: RegExp): readonly Clause[] {
  // With `i`, `m` or `v` some of what follows would be wrong; no host pattern has flags.
  if (flags !== '') return []
  try {
    return ofAlternatives(parser.parsePattern(source).alternatives)
  } catch {
    // What a newer V8 has learned to read.
    return []
  }
}

function ofAlternatives(alternatives: readonly AST.Alternative[]): readonly Clause[] {
  const [first, ...others] = alternatives.map(ofAlternative)
  if (first === undefined || others.length === 0) return first ?? []
  // A match of the whole is one of any of them: something of each of them has to be asked for.
  const strings = [first, ...others].map((clauses) => clauses.toSorted(byUse)[0])
  const all = strings.every((clause) => clause !== undefined) ? [...new Set(strings.flat())] : []
  return all.length === 0 || all.length > MOST_STRINGS ? [] : [all]
}

function ofAlternative({ elements }: AST.Alternative): readonly Clause[] {
  const clauses: Clause[] = []
  let run = ''
  const endRun = () => {
    if (run !== '' && run !== BEGIN && run !== END) clauses.push([run])
    run = ''
  }
  for (const element of elements) {
    const character = readCharacter(element)
    if (character !== undefined) run += character
    // An assertion takes up no room, so that what stands around it stands together.
    else if (element.type === 'Assertion') run = assert(run, element)
    else {
      endRun()
      clauses.push(...ofElement(element))
    }
  }
  endRun()
  return clauses
}

/** `^^` says no more than `^`, and of what stands on the wrong side of one of them nothing is known. */
function assert(run: string, { kind }: AST.Assertion): string {
  if (kind === 'start' && run === '') return BEGIN
  return kind === 'end' && !run.endsWith(END) ? run + END : run
}

function ofElement(element: AST.Element): readonly Clause[] {
  if (element.type === 'CapturingGroup') return ofAlternatives(element.alternatives)
  // Modifiers: `(?i:a)` matches `A`.
  if (element.type === 'Group') return element.modifiers === null ? ofAlternatives(element.alternatives) : []
  if (element.type !== 'Quantifier' || element.min === 0) return []
  const character = readCharacter(element.element)
  return character === undefined
    ? ofElement(element.element)
    : [[character.repeat(Math.min(element.min, LONGEST_REPEAT))]]
}

/** The one character that an element stands for: `a`, `\.` or `[.]`. */
function readCharacter(element: AST.Element): string | undefined {
  if (element.type === 'Character') return String.fromCodePoint(element.value)
  if (element.type !== 'CharacterClass' || element.negate || element.elements.length !== 1) return undefined
  const [only] = element.elements
  return only?.type === 'Character' ? String.fromCodePoint(only.value) : undefined
}

/** The one of more use first: whose shortest string is longer. */
function byUse(a: Clause, b: Clause): number {
  return shortest(b) - shortest(a) || a.length - b.length
}

function shortest(clause: Clause): number {
  return Math.min(...clause.map(({ length }) => length))
}
