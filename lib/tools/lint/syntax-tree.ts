import type { ESTree } from 'meriyah'
import { childrenOf, FUNCTIONS, type FunctionNode, type Node } from '../../background/compiling/syntax-tree.ts'

/** A node, and what it is part of. */
export interface Visit {
  readonly node: Node
  readonly parent: Visit | null
}

/** Every node of a plugin's code. */
export function listVisits(root: Node): readonly Visit[] {
  const visits: Visit[] = [{ node: root, parent: null }]
  for (let index = 0; index < visits.length; index += 1) {
    const parent = visits[index] as Visit
    for (const child of childrenOf(parent.node)) visits.push({ node: child, parent })
  }
  return visits
}

/** Whether a node is a function. */
export function isFunction(node: Node): node is Node & FunctionNode {
  return FUNCTIONS.has(node.type)
}

/** Names from the outside in, such as `ctx.response.set`; undefined for what is more than names. */
export function readNames(
  node: Node | ESTree.Expression | ESTree.Super | ESTree.PrivateIdentifier,
): string | undefined {
  if (node.type === 'Identifier') return node.name
  if (node.type === 'ChainExpression') return readNames(node.expression)
  if (node.type !== 'MemberExpression') return undefined
  const object = readNames(node.object)
  if (object === undefined) return undefined
  const { property } = node
  if (!node.computed && property.type === 'Identifier') return `${object}.${property.name}`
  const is_named = property.type === 'Literal' && typeof property.value === 'string'
  return is_named ? `${object}.${property.value}` : undefined
}

/** The names that a pattern declares. */
export function patternNames(pattern: unknown): string[] {
  const node = pattern as Node | null | undefined
  switch (node?.type) {
    case 'Identifier':
      return [node.name]
    case 'ObjectPattern':
      return node.properties.flatMap(patternNames)
    case 'ArrayPattern':
      return node.elements.flatMap(patternNames)
    case 'Property':
      return patternNames(node.value)
    case 'AssignmentPattern':
      return patternNames(node.left)
    case 'RestElement':
      return patternNames(node.argument)
    default:
      return []
  }
}
