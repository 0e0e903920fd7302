/** Finds of some names the one that somebody may have meant; undefined where none is like it. */
export type Suggester = (unknown: string) => string | undefined

/** How many letters may be wrong in a name of this length; of a short one almost any other word is not far. */
const mistakesIn = (length: number) => Math.min(2, Math.floor(Math.max(length, 3) / 3))
/** Of fewer letters, a part of a name says too little to mean it. */
const SHORTEST_PART = 4

/**
 * Makes the suggester for these names. A name is like one of them if it is written in other case or with other signs between
 * its words; has a letter or two wrong, missing, too many or in each other's place; or leaves out some of its words.
 */
export function createSuggester(names: Iterable<string>): Suggester {
  const known = [...names].map((name) => ({
    name,
    text: plain(name),
    letters: lettersIn(plain(name)),
    words: wordsOf(name),
  }))
  const longest = 2 * Math.max(0, ...known.map(({ name }) => name.length))
  return (unknown) => {
    // Whatever is far longer costs nothing.
    if (unknown.length > longest) return undefined
    const asked = plain(unknown)
    const letters = lettersIn(asked)
    let found: string | undefined
    let least = Number.POSITIVE_INFINITY
    let begins = 0
    for (const { name, text, letters: own } of known) {
      const most = Math.min(mistakesIn(text.length), least)
      // A mistake takes one letter away and brings another: most words are told apart by that alone.
      if (Math.abs(text.length - asked.length) > most || countBits(letters ^ own) > 2 * most) continue
      const mistakes = countMistakes(asked, text)
      const same = countSame(asked, text)
      if (mistakes > most || (mistakes === least && same <= begins)) continue
      found = name
      least = mistakes
      begins = same
    }
    if (found !== undefined || asked.length < SHORTEST_PART) return found
    const words = wordsOf(unknown)
    return known.find((each) => words.length < each.words.length && words.every((word) => each.words.includes(word)))
      ?.name
  }
}

/** What to say after a name that is not known: a question, if one of these names is like it. */
export function suggest(unknown: string, names: Iterable<string>): string {
  const name = createSuggester(names)(unknown)
  return name === undefined ? '' : `. Did you mean \`${name}\`?`
}

const plain = (name: string) => name.toLowerCase().replace(/[^a-z\d]/g, '')

/** Which letters are in a word, as bits. */
function lettersIn(word: string): number {
  let bits = 0
  for (let index = 0; index < word.length; index += 1) bits |= 1 << (word.charCodeAt(index) & 31)
  return bits
}

function countBits(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1
  return count
}

/** In lower case and without the s of a plural. */
const wordsOf = (name: string) =>
  name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z\d]+/)
    .map((word) => word.replace(/s$/, ''))

/** How many letters two words have in common at their beginning. */
function countSame(a: string, b: string): number {
  let count = 0
  while (count < a.length && a[count] === b[count]) count += 1
  return count
}

/** How many letters to change, add, drop or swap with their neighbour (Damerau-Levenshtein, no place twice). */
function countMistakes(a: string, b: string): number {
  let before: number[] = []
  let last: number[] = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row += 1) {
    const next = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const change = at(last, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1)
      const is_swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      const swap = is_swapped ? at(before, column - 2) + 1 : change
      next.push(Math.min(change, swap, at(last, column) + 1, at(next, column - 1) + 1))
    }
    before = last
    last = next
  }
  return at(last, b.length)
}

const at = (row: readonly number[], index: number) => row[index] as number
