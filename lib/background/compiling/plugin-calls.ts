import type { ESTree } from 'meriyah'
import { childrenOf, FUNCTIONS, LOOPS, leadingArrow, methodOf, type Node } from './syntax-tree.ts'

/** A promise that is the object of these has a handler by then. */
const HANDLING = new Set(['then', 'catch', 'finally'])

/** Namespaces and constructors of the language that never make promises; calls of them cost nothing extra. */
const PLAIN = new Set(
  'Math JSON Object Number String Boolean Date RegExp Map Set WeakMap WeakSet URL URLSearchParams Error TypeError RangeError Buffer Symbol BigInt parseInt parseFloat isNaN encodeURIComponent decodeURIComponent exit say log'.split(
    ' ',
  ),
)

/** Methods of strings and numbers whose names hardly anything that makes promises has. */
const PLAIN_METHODS = new Set(
  'split trim trimStart trimEnd toLowerCase toUpperCase charAt charCodeAt codePointAt startsWith endsWith indexOf lastIndexOf padStart padEnd substring toFixed toString localeCompare hasOwnProperty'.split(
    ' ',
  ),
)

/** Whether a promise that this node makes has somebody to handle it, by where it stands. */
export function isHandled(
  node: Node,
  parent: Node | undefined,
  async: boolean,
  awaited: ReadonlySet<unknown>,
): boolean {
  if (parent === undefined) return false
  if (parent.type === 'AwaitExpression' || parent.type === 'ThrowStatement') return true
  if (async && (parent.type === 'ReturnStatement' || parent.type === 'ArrowFunctionExpression')) return true
  return awaited.has(node)
}

/** The promise whose outcome a call asks for, unless it may throw before it comes to that. */
export function askedFor({ callee, arguments: given }: ESTree.CallExpression): unknown {
  const isSafe = given.every(({ type }) => FUNCTIONS.has(type) || type === 'Identifier' || type === 'Literal')
  return isSafe && HANDLING.has(methodOf(callee as Node)) ? (callee as ESTree.MemberExpression).object : undefined
}

/** Whether a function is what a promise is to call. */
export function isCallback(node: Node, parent: Node | undefined): boolean {
  if (parent?.type !== 'CallExpression' || (parent.callee as Node) === node) return false
  return HANDLING.has(methodOf(parent.callee as Node))
}

/** Whether an expression names what compiles the text of a function. */
export function isFunctionName(node: Node): boolean {
  if (node.type === 'Identifier') return node.name === 'Function'
  if (node.type !== 'MemberExpression' || methodOf(node) !== 'Function') return false
  const object = node.object as Node
  return object.type === 'Identifier' && (object.name === 'globalThis' || object.name === 'global')
}

/** Whether a call goes about promises by name. */
export function dealsWithPromises(node: Node): boolean {
  if (node.type === 'ChainExpression') return dealsWithPromises(node.expression as Node)
  if (node.type !== 'CallExpression' && node.type !== 'NewExpression') return false
  const callee = node.callee as Node
  const base = callee.type === 'MemberExpression' ? (callee.object as Node) : callee
  return (base.type === 'Identifier' && base.name === 'Promise') || HANDLING.has(methodOf(callee))
}

/** Calls in a loop or function, but for those in loops and functions inside of it, that only its own check can stand for. */
export function countPlainCalls(root: Node): number {
  let count = 0
  for (const child of childrenOf(root)) {
    if (FUNCTIONS.has(child.type) || LOOPS.has(child.type)) continue
    count += countPlainCalls(child) + (isPlain(child) ? 1 : 0)
  }
  return count
}

/** Whether each turn of a loop calls something, other than in loops and functions inside of it. */
export function hasCall(root: Node): boolean {
  return childrenOf(root).some((child) => {
    if (FUNCTIONS.has(child.type) || LOOPS.has(child.type)) return false
    return child.type === 'CallExpression' || child.type === 'NewExpression' || hasCall(child)
  })
}

/** Whether a call is of something that, by its name, never makes promises. */
export function isPlain(node: Node): boolean {
  if (node.type !== 'CallExpression' && node.type !== 'NewExpression') return false
  const callee = node.callee as Node
  if (callee.type === 'Super') return true
  const base = callee.type === 'MemberExpression' ? (callee.object as Node) : callee
  if (base.type === 'Identifier' && PLAIN.has(base.name)) return true
  if (callee.type !== 'MemberExpression' || callee.computed || callee.property.type !== 'Identifier') return false
  return PLAIN_METHODS.has(callee.property.name)
}

/** What an async function may return that is no promise. */
const NO_PROMISE = new Set(
  'Literal TemplateLiteral ArrayExpression ObjectExpression BinaryExpression UnaryExpression AwaitExpression ClassExpression'.split(
    ' ',
  ),
)

/** Whether what a function returns may be a promise. */
export function mayBePromise(value: unknown): boolean {
  if (value === null || value === undefined) return false
  const node = value as Node
  return !NO_PROMISE.has(node.type) && !FUNCTIONS.has(node.type) && leadingArrow(node) === undefined
}
