import { describeValue } from '../../validation/schema-error.ts'

/** Where a text stops being JSON, from 1, and what was expected there. */
export interface JsonFault {
  readonly line: number
  readonly column: number
  readonly message: string
}

const SPACE = /[ \t\r\n]*/y
/** A mark, a string, or a number or word; RFC 8259. Strings hold no control characters. */
const TOKEN =
  /[[\]{},:]|"[ !#-[\]-\uffff]*(?:\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})[ !#-[\]-\uffff]*)*"|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y
/** As much as a message shows of what came. */
const SHOWN = /[^\r\n]{1,20}/y

/**
 * Finds the fault in text that JSON.parse refuses. Its own messages name a place in some cases only, and in words of their
 * own in each version of Node.
 *
 * @returns undefined when it is JSON
 */
export function findJsonFault(text: string): JsonFault | undefined {
  const closers: string[] = []
  let [at, expected, last] = [0, 'a value', '']
  for (;;) {
    at += read(SPACE, text, at).length
    const token = read(TOKEN, text, at)
    const next = follow(expected, last, token, closers)
    if (next === undefined)
      return at === text.length && expected === 'the end' ? undefined : describe(text, at, expected)
    at += token.length
    expected = next
    last = token
  }
}

/** What is expected after the token; undefined where it is not what was expected. */
function follow(expected: string, last: string, token: string, closers: string[]): string | undefined {
  const isEmpty = (last === '{' && token === '}') || (last === '[' && token === ']')
  if (token === '') return undefined
  if (isEmpty || (expected.startsWith('","') && token === closers.at(-1))) {
    closers.pop()
    return afterValue(closers)
  }
  if (expected.startsWith('","')) return token !== ',' ? undefined : closers.at(-1) === '}' ? KEY : 'a value'
  if (expected === KEY) return token.startsWith('"') ? '":"' : undefined
  if (expected === '":"') return token === ':' ? 'a value' : undefined
  if (expected === 'the end' || /[\]},:]/.test(token[0] as string)) return undefined
  if (token !== '{' && token !== '[') return afterValue(closers)
  closers.push(token === '{' ? '}' : ']')
  return token === '{' ? KEY : 'a value'
}

const KEY = 'a name in double quotes'

function afterValue(closers: readonly string[]): string {
  const closer = closers.at(-1)
  return closer === undefined ? 'the end' : `"," or "${closer}"`
}

function describe(text: string, at: number, expected: string): JsonFault {
  const lines = text.slice(0, at).split('\n')
  const came = at === text.length ? 'the end' : describeValue(read(SHOWN, text, at))
  return {
    line: lines.length,
    column: (lines.at(-1) as string).length + 1,
    message: `expected ${expected}, got ${came}`,
  }
}

function read(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? ''
}
