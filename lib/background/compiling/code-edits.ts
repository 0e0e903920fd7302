/** A text to be put into the source. */
export interface Edit {
  readonly at: number
  readonly text: string
}

/** Puts the edits into the code. */
export function applyEdits(code: string, edits: readonly Edit[]): string {
  const parts: string[] = []
  let from = 0
  for (const { at, text } of inOrder(edits)) {
    parts.push(code.slice(from, at), text)
    from = at
  }
  return parts.join('') + code.slice(from)
}

/**
 * Finds where something in the instrumented code stands in the code as it was written. Lines are the same in both.
 *
 * @param line from 1
 * @param column from 1, in the instrumented code
 * @returns the column in the original, from 1
 */
export function originalColumn(code: string, edits: readonly Edit[], line: number, column: number): number {
  const start = lineStart(code, line)
  let shift = 0
  for (const { at, text } of inOrder(edits)) {
    if (at < start) continue
    const shown = at - start + 1 + shift
    if (shown >= column) break
    // Inside an inserted text: where it was inserted is the nearest place that its author knows.
    if (column < shown + text.length) return at - start + 1
    shift += text.length
  }
  return column - shift
}

function lineStart(code: string, line: number): number {
  const breaks = code.matchAll(/\r\n|[\n\r\u2028\u2029]/g)
  let start = 0
  for (let at = 1; at < line; at += 1) {
    const next = breaks.next().value
    if (next === undefined) break
    start = next.index + next[0].length
  }
  return start
}

function inOrder(edits: readonly Edit[]): readonly Edit[] {
  return edits.toSorted((a, b) => a.at - b.at)
}
