/** Of these names the one that somebody may have meant: the nearest in its letters, if it is near at all. */
export function suggest(unknown: string, names: readonly string[]): string {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z]/g, '')
  const near = names
    .map((name) => ({ name, ...compare(plain(name), plain(unknown)) }))
    .filter(({ changed }) => changed <= 2)
    .sort((a, b) => a.changed - b.changed || b.common - a.common)[0]
  return near === undefined ? '' : `; did you mean ${near.name}?`
}

/** How many letters two words share at their start, and how many differ between that and what they share at their end. */
function compare(a: string, b: string): { common: number; changed: number } {
  let start = 0
  while (start < a.length && a[start] === b[start]) start += 1
  let end = 0
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1
  return { common: start, changed: Math.max(a.length, b.length) - start - end }
}
