import type { Terminal } from './terminal.ts'

/** Lines shown before the one that is meant, and after it. */
const AROUND = 1
/** Longer lines are cut. */
const WIDTH = 100

/** Draws the lines around a place in code, with a caret below it. Lines and columns count from 1. */
export function drawFrame(code: string, line: number, column: number | undefined, { paint }: Terminal): string {
  const lines = code.split(/\r\n|[\n\r\u2028\u2029]/)
  const from = Math.max(1, line - AROUND)
  const to = Math.min(lines.length, line + AROUND)
  const margin = String(to).length
  const rows: string[] = []
  for (let number = from; number <= to; number += 1) {
    const text = lines[number - 1] as string
    // Of a long line the part is shown that is meant.
    const start = number === line && column !== undefined ? Math.max(0, column - WIDTH + 20) : 0
    const shown = text.slice(start, start + WIDTH).replaceAll('\t', ' ')
    const mark = number === line ? paint('red', '>') : ' '
    rows.push(`  ${mark} ${paint('dim', `${String(number).padStart(margin)} |`)} ${shown}`.trimEnd())
    if (number !== line || column === undefined) continue
    rows.push(`    ${' '.repeat(margin)} ${paint('dim', '|')} ${' '.repeat(column - 1 - start)}${paint('red', '^')}`)
  }
  return rows.join('\n')
}
