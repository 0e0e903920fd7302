import type { Node } from '../../background/compiling/syntax-tree.ts'
import type { Lint, Subject } from './rule.ts'
import { isFunction, readNames } from './syntax-tree.ts'

const COMBINATORS = new Set(['all', 'allSettled', 'any', 'race', 'reject'].map((name) => `Promise.${name}`))

/** Finds promises that nobody waits for: they outlive the plugin, and what they reject with is reported too late. */
export const findFloatingPromises: Lint = (subject) => {
  const asynchronous = namesOfAsync(subject)
  return subject.visits.flatMap(({ node }) => {
    if (node.type !== 'ExpressionStatement') return []
    return floating(node.expression as Node, subject, asynchronous).map(({ node: promise, what }) => ({
      rule: 'floating-promise',
      severity: 'warning',
      message: `nobody waits for ${what}: await it, add .catch(…), or write void before it if that is meant`,
      node: promise,
    }))
  })
}

interface Floating {
  readonly node: Node
  readonly what: string
}

function floating(node: Node, subject: Subject, asynchronous: ReadonlySet<string>): Floating[] {
  const inside = (part: unknown) => floating(part as Node, subject, asynchronous)
  switch (node.type) {
    case 'ChainExpression':
      return inside(node.expression)
    case 'SequenceExpression':
      return node.expressions.flatMap(inside)
    case 'ConditionalExpression':
      return [...inside(node.consequent), ...inside(node.alternate)]
    case 'LogicalExpression':
      return inside(node.right)
    case 'ImportExpression':
      return [{ node, what: 'this import()' }]
    case 'NewExpression':
      return readNames(node.callee) === 'Promise' ? [{ node, what: 'this promise' }] : []
    case 'CallExpression': {
      const what = describeCall(node, subject, asynchronous)
      return what === undefined ? [] : [{ node, what }]
    }
    default:
      return []
  }
}

/** Names a call whose value is a promise for sure. */
function describeCall(
  node: Node & { type: 'CallExpression' },
  { declared }: Subject,
  asynchronous: ReadonlySet<string>,
): string | undefined {
  const callee = node.callee as Node
  if (isFunction(callee)) return callee.async ? 'this async function' : undefined
  const names = readNames(callee) ?? ''
  const is_fetch = (names === 'fetch' || names === 'globalThis.fetch') && !declared.has('fetch')
  if (is_fetch || asynchronous.has(names) || COMBINATORS.has(names)) return `${names}()`
  if (callee.type !== 'MemberExpression' || callee.computed || callee.property.type !== 'Identifier') return undefined
  const method = callee.property.name
  if (method === 'then' && node.arguments.length === 1) return 'what .then() returns'
  const [first] = node.arguments as Node[]
  if (method === 'forEach' && first !== undefined && isFunction(first) && first.async) {
    return 'what this async function does for each of them'
  }
  return undefined
}

function namesOfAsync({ visits }: Subject): ReadonlySet<string> {
  const names = visits.flatMap(({ node }) => {
    if (node.type === 'FunctionDeclaration' && node.async && !node.generator) return [node.id?.name ?? '']
    if (node.type !== 'VariableDeclarator' || node.id.type !== 'Identifier') return []
    const value = node.init as Node | null
    return value !== null && isFunction(value) && value.async && !isGenerator(value) ? [node.id.name] : []
  })
  return new Set(names)
}

function isGenerator(node: Node): boolean {
  return 'generator' in node && node.generator === true
}
