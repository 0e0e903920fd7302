import { type ESTree, parse } from 'meriyah'
import { ParseFault } from '../../errors.ts'
import type { Node } from './syntax-tree.ts'

/** What the parser learns about a plugin's code. */
export interface ParsedCode {
  /** Whether the code itself awaits, so that it has to run as an async function. */
  readonly awaits: boolean
  /** Every name that the code uses or declares as a variable. */
  readonly names: ReadonlySet<string>
  /** The block that the code makes up; positions in it count from `offset`. */
  readonly block: Node
  readonly offset: number
}

// The code goes into a block of its own, so that it may declare names that are parameters of the function around it.
const BEFORE = '(async function () { "use strict"; {'
const AFTER = '\n}})'

/**
 * Checks that the code is the body of an async function and nothing else, and looks at what it uses. Only a parser can
 * tell: `}; evil(); {` fits between braces, and would be compiled without complaint.
 *
 * @throws ParseFault
 */
export function parseCode(code: string): ParsedCode {
  const program = parseWrapped(code)
  const block = findBlock(program)
  if (block?.start !== BEFORE.length - 1 || block.end !== BEFORE.length + code.length + 2) {
    throw new ParseFault('the code closes a brace that it did not open')
  }
  const names = new Set<string>()
  const awaits = visit(block, names, true)
  return { awaits, names, block, offset: BEFORE.length }
}

function parseWrapped(code: string): ESTree.Program {
  try {
    // `webcompat` makes the parser take `<!--` and `-->` as V8 does: as comments.
    return parse(BEFORE + code + AFTER, { ranges: true, webcompat: true, validateRegex: true })
  } catch (cause) {
    const { loc, description } = cause as { loc?: ESTree.SourceLocation; description?: string }
    const line = loc?.start.line
    const column = loc && loc.start.column + 1 - (line === 1 ? BEFORE.length : 0)
    const lines = code.trimEnd().split(/\r\n|[\n\r\u2028\u2029]/).length
    const message = description ?? (cause as Error).message
    if (line === undefined || line <= lines) throw new ParseFault(message, line, column)
    // Beyond the last line stands nothing but the braces that the code was put between.
    const unbalanced = /^(Unexpected token|Expected '\)')/.test(message)
    throw new ParseFault(unbalanced ? 'the code ends with a bracket or brace too many or too few' : message, lines)
  }
}

/** The block that the code went into, when the program is still one function with that block as its whole body. */
function findBlock({ body }: ESTree.Program): Node | undefined {
  const [statement] = body
  if (body.length !== 1 || statement?.type !== 'ExpressionStatement') return undefined
  const { expression } = statement
  if (expression.type !== 'FunctionExpression' || (expression as Node).start !== 1) return undefined
  const statements = expression.body?.body
  return statements?.length === 2 ? (statements[1] as Node) : undefined
}

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])

/** Collects names below a node, and tells whether it awaits outside of functions of its own. */
function visit(root: Node, names: Set<string>, own: boolean): boolean {
  let awaits = false
  // A stack of our own: how deeply the code nests is its author's choice.
  const pending: { node: Node; own: boolean }[] = [{ node: root, own }]
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    const { node } = item
    if (node.type === 'Identifier') names.add(node.name)
    const label = propertyName(node)
    if (item.own && isWaiting(node)) awaits = true
    const inner = item.own && !FUNCTIONS.has(node.type)
    for (const key in node) {
      const value = (node as unknown as Record<string, unknown>)[key]
      if (typeof value !== 'object' || value === null || value === label) continue
      if (!Array.isArray(value)) {
        if ('type' in value) pending.push({ node: value as Node, own: inner })
        continue
      }
      for (const child of value) {
        if (typeof child !== 'object' || child === null || !('type' in child) || child === label) continue
        pending.push({ node: child as Node, own: inner })
      }
    }
  }
  return awaits
}

/** Whether only an async function may have this node. */
function isWaiting(node: Node): boolean {
  if (node.type === 'ForOfStatement') return node.await === true
  return node.type === 'AwaitExpression' || (node.type === 'VariableDeclaration' && node.kind === 'await using')
}

/** The identifier below this node that names a property rather than a variable. */
function propertyName(node: Node): unknown {
  if ('computed' in node && node.computed) return undefined
  if (node.type === 'MemberExpression') return node.property
  // In `{ exit }` key and value are one name, and it is a variable.
  if (node.type === 'Property') return node.shorthand ? undefined : node.key
  if (node.type === 'MethodDefinition' || node.type === 'PropertyDefinition') return node.key
  return undefined
}
