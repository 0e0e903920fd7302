import type { FunctionNode, Node } from './syntax-tree.ts'

/** White space and comments, those of HTML among them: V8 takes these as well. */
const TRIVIA = /(?:\s|\/\*[\s\S]*?\*\/|(?:\/\/|<!--|(?<=[\n\r\u2028\u2029]\s*)-->)[^\n\r\u2028\u2029]*)*/y

function skipTrivia(code: string, from: number): number {
  TRIVIA.lastIndex = from
  TRIVIA.test(code)
  return TRIVIA.lastIndex
}

/** Where the parameters end, with their parenthesis if they have one; `from` is where they begin at the earliest. */
function afterParameters(code: string, { params }: FunctionNode, from: number, offset: number): number {
  const last = params.at(-1) as Node | undefined
  let at = last === undefined ? from : last.end - offset
  let end = at
  // Between the last parameter and the body there is nothing but commas and what closes; `async` before an empty list.
  for (let next = skipTrivia(code, at); isClosing(code, next); next = skipTrivia(code, at)) {
    at = next + (code.startsWith('async', next) ? 'async'.length : 1)
    if (code[next] === ')') end = at
  }
  return end
}

function isClosing(code: string, at: number): boolean {
  return code.startsWith('async', at) || '(),'.includes(code[at] ?? ' ')
}

/** Where the body of an arrow function begins that is an expression, with its parentheses. */
export function afterArrow(code: string, node: Node & FunctionNode, offset: number): number {
  const arrow = skipTrivia(code, afterParameters(code, node, node.start - offset, offset))
  return skipTrivia(code, arrow + '=>'.length)
}
