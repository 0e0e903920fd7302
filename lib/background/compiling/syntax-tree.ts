import type { ESTree } from 'meriyah'

/** A function of any kind. */
export type FunctionNode = ESTree.FunctionExpression | ESTree.FunctionDeclaration | ESTree.ArrowFunctionExpression

/** A loop of any kind. */
export type Loop = { readonly type: string; readonly body: Node; readonly right?: Node }

/** A node, and where its text begins and ends. */
export type Node = ESTree.Node & { start: number; end: number }

export const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])

export const LOOPS = new Set(['ForStatement', 'ForInStatement', 'ForOfStatement', 'WhileStatement', 'DoWhileStatement'])

/** The nodes right below a node, in the order of the text; what stands there once comes once. */
export function childrenOf(node: Node): Node[] {
  const children: Node[] = []
  // In `{ a }` key and value are one text.
  const twice = node.type === 'Property' && node.shorthand ? (node.key as unknown) : undefined
  let sorted = true
  let last = 0
  const add = (child: unknown) => {
    if (typeof child !== 'object' || child === null || !('type' in child) || child === twice) return
    children.push(child as Node)
    sorted &&= (child as Node).start >= last
    last = (child as Node).start
  }
  for (const key in node) {
    const value = (node as unknown as Record<string, unknown>)[key]
    if (typeof value !== 'object' || value === null || key === 'parent') continue
    if (Array.isArray(value)) for (const child of value) add(child)
    else add(value)
  }
  return sorted ? children : children.sort((a, b) => a.start - b.start)
}

/** Adds the nodes right below a node to a list, in any order; what stands there once may come twice. */
export function pushChildren(node: Node, list: Node[]): void {
  for (const key in node) {
    const value = (node as unknown as Record<string, unknown>)[key]
    if (typeof value !== 'object' || value === null || key === 'range') continue
    if (!Array.isArray(value)) {
      if ('type' in value) list.push(value as Node)
      continue
    }
    for (const child of value) if (typeof child === 'object' && child !== null && 'type' in child) list.push(child)
  }
}

/** The name of the method that is called; empty when what is called is something else. */
export function methodOf(callee: Node): string {
  if (callee.type !== 'MemberExpression' || callee.computed || callee.property.type !== 'Identifier') return ''
  return callee.property.name
}

/** Whether `child` is the part of `node` through which an optional chain goes on. */
export function isSpine(node: Node, child: Node): boolean {
  if (node.type === 'ChainExpression') return true
  if (node.type === 'CallExpression') return (node.callee as Node) === child
  if (node.type === 'MemberExpression') return (node.object as Node) === child
  return false
}

/** Whether an argument is there, as one value. */
export function isValue(argument: unknown): argument is Node {
  return argument !== undefined && (argument as Node).type !== 'SpreadElement'
}

/**
 * The arrow function that an expression begins with, if it does: what follows is then on a line of its own and belongs to
 * the next statement, whatever the parser made of it.
 */
export function leadingArrow(expression: Node): Node | undefined {
  let node: Node | undefined = expression
  while (node !== undefined && node.start === expression.start) {
    if (node.type === 'ArrowFunctionExpression') return node === expression ? undefined : node
    node = firstOf(node)
  }
  return undefined
}

/** What the text of an expression begins with, where that is an expression, too. */
function firstOf(node: Node): Node | undefined {
  const { left, object, callee, tag, test, expression } = node as unknown as Record<string, Node | undefined>
  return left ?? object ?? callee ?? tag ?? test ?? expression
}

/** The last of the directives, such as `"use strict"`, that a function begins with. */
export function lastDirective({ body }: ESTree.BlockStatement): Node | undefined {
  return (body as Node[]).findLast((statement) => 'directive' in statement && statement.directive !== undefined)
}

/** Whether a loop awaits what it goes through, at each turn and at its end. */
export function awaitsInHead(node: Node): boolean {
  if (node.type === 'LabeledStatement') return awaitsInHead(node.body as Node)
  return node.type === 'ForOfStatement' && node.await
}

/** Whether a name occurs below a node. */
export function mentions(root: Node, name: string): boolean {
  if (root.type === 'Identifier') return root.name === name
  return childrenOf(root).some((child) => mentions(child, name))
}
