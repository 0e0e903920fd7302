/** A line of two texts: in both, or in one of them. */
export interface LineChange {
  readonly kind: ' ' | '-' | '+'
  readonly line: string
}

/** Beyond so many pairs of lines, the part that changed is shown as a whole: to compare all would take too long. */
const MOST_PAIRS = 4_000_000

/** Tells how one text became another, line by line: as many lines as possible are in both. */
export function diffLines(before: string, after: string): LineChange[] {
  const [a, b] = [before.split('\n'), after.split('\n')]
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1
  let end = 0
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1
  const same = (line: string): LineChange => ({ kind: ' ', line })
  return [
    ...a.slice(0, start).map(same),
    ...diffMiddle(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...a.slice(a.length - end).map(same),
  ]
}

/** The longest common subsequence, by the table of its lengths. */
function diffMiddle(a: readonly string[], b: readonly string[]): LineChange[] {
  const removed = (line: string): LineChange => ({ kind: '-', line })
  const added = (line: string): LineChange => ({ kind: '+', line })
  if (a.length * b.length > MOST_PAIRS) return [...a.map(removed), ...b.map(added)]
  const width = b.length + 1
  const lengths = new Uint32Array((a.length + 1) * width)
  const at = (i: number, j: number) => lengths[i * width + j] as number
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const changes: LineChange[] = []
  let [i, j] = [0, 0]
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      changes.push({ kind: ' ', line: a[i] as string })
      i += 1
      j += 1
    } else if (at(i + 1, j) >= at(i, j + 1)) {
      changes.push(removed(a[i] as string))
      i += 1
    } else {
      changes.push(added(b[j] as string))
      j += 1
    }
  }
  return [...changes, ...a.slice(i).map(removed), ...b.slice(j).map(added)]
}
