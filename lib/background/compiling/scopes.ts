import type { ESTree } from 'meriyah'
import { childrenOf, FUNCTIONS, type FunctionNode, type Node } from './syntax-tree.ts'

/**
 * Whether the body of a function may stand in a block of its own. There, functions are block-scoped as `let` is, and so may
 * not share their names with each other or with variables; and `let` may have the names of parameters, as it else may not.
 */
export function fitsIntoBlock({ params, body }: FunctionNode): boolean {
  const statements = (body as ESTree.BlockStatement).body as Node[]
  const functions = statements.flatMap((node) => (node.type === 'FunctionDeclaration' ? namesIn(node.id as Node) : []))
  const taken = new Set((params as Node[]).flatMap(namesIn))
  if (functions.length > 0) for (const name of statements.flatMap(variablesIn)) taken.add(name)
  const lexical = statements.flatMap((node) => {
    if (node.type === 'ClassDeclaration') return namesIn(node.id as Node)
    return node.type === 'VariableDeclaration' && node.kind !== 'var' ? declaredBy(node) : []
  })
  return [...functions, ...lexical].every((name) => !taken.has(name) && taken.add(name))
}

function declaredBy(node: ESTree.VariableDeclaration): string[] {
  return node.declarations.flatMap(({ id }) => namesIn(id as Node))
}

/** Names of `var` below a statement, as far as they are the function's. */
function variablesIn(node: Node): string[] {
  if (FUNCTIONS.has(node.type)) return []
  const own = node.type === 'VariableDeclaration' && node.kind === 'var' ? declaredBy(node) : []
  return [...own, ...childrenOf(node).flatMap(variablesIn)]
}

/** Names that a pattern binds. */
export function namesIn(pattern: Node | null): string[] {
  if (pattern === null) return []
  if (pattern.type === 'Identifier') return [pattern.name]
  if (pattern.type === 'AssignmentPattern') return namesIn(pattern.left as Node)
  if (pattern.type === 'Property') return namesIn(pattern.value as Node)
  if (pattern.type === 'MemberExpression') return []
  return childrenOf(pattern).flatMap(namesIn)
}
