import { ParseFault } from '../../errors.ts'

/** Around the code, which may return and await; on its first line, so that every line keeps its number. */
const BEFORE = 'async function plugin() {'
const AFTER = '\n}'

/** Whether a file has types to be taken off, by its name. */
export function isTypeScript(file: string): boolean {
  return /\.[cm]?ts$/.test(file)
}

/**
 * Takes the types off a plugin that is written in TypeScript: blanks take their place, so that the rest stays in its line
 * and column. Types are not checked.
 *
 * @throws ParseFault for what is no TypeScript, or more than types: enums, namespaces, parameter properties
 */
export async function stripTypes(code: string): Promise<string> {
  // Not before it is needed: it takes a while to load.
  const { transformSync } = await import('amaro')
  try {
    const { code: stripped } = transformSync(BEFORE + code + AFTER, { mode: 'strip-only' })
    return align(stripped.slice(BEFORE.length, stripped.length - AFTER.length), code)
  } catch (cause) {
    throw readFault(String(cause), code)
  }
}

/** amaro throws a drawing: a message, lines of the code with their numbers, and carets below the place. */
function readFault(drawing: string, code: string): ParseFault {
  const rows = drawing.split('\n')
  const said = /^\s*x (.*)$/.exec(rows[0] ?? '')?.[1] ?? drawing.trim()
  const message = said.replace(
    / (is|are) not supported in (strip-only|type strip) mode/,
    ' $1 more than a type, and cannot be stripped',
  )
  const lines = code.split('\n')
  const carets = rows.findIndex((row) => /^\s*:\s*\^/.test(row))
  const shown = /^(\s*(\d+) \| )(.*)$/.exec(rows[carets - 1] ?? '')
  if (shown === null) {
    const line = Number(/^\s*,-\[(\d+):/.exec(rows[1] ?? '')?.[1] ?? Number.NaN)
    return new ParseFault(message, Number.isNaN(line) ? undefined : Math.min(line, lines.length))
  }
  const [, margin = '', number, text = ''] = shown
  const line = Number(number)
  // Beyond the last line stands nothing but the brace that the code was put between.
  if (line > lines.length)
    return new ParseFault('the code ends too early: a bracket, a brace or a value is missing', lines.length)
  const before = line === 1 ? BEFORE : ''
  const column = (rows[carets] as string).indexOf('^') - margin.length - before.length + 1
  // Where a tab or a wide character is drawn, the caret is somewhere else.
  const is_plain = text === before + (lines[line - 1] as string).trimEnd() && /^[ -~]*$/.test(text)
  return new ParseFault(message, line, is_plain ? column : undefined)
}

/** amaro counts its blanks in bytes; columns are counted in UTF-16 units. */
function align(stripped: string, code: string): string {
  const [before, after] = [Buffer.from(code), Buffer.from(stripped)]
  if (before.length === code.length || before.length !== after.length) return stripped
  let aligned = ''
  let at = 0
  for (const character of code) {
    const end = at + Buffer.byteLength(character)
    const part = after.subarray(at, end).toString()
    at = end
    aligned += part === character ? part : part.replace(/[^!-~]/g, '').padEnd(character.length)
  }
  return aligned
}
