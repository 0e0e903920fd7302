import { childrenOf, type Node } from '../../background/compiling/syntax-tree.ts'
import type { Lint } from './rule.ts'
import { isFunction, readNames, type Visit } from './syntax-tree.ts'

const LEAVING_CALLS = new Set(['exit', 'ctx.throw', 'process.exit'])
const LEAVING_NODES: ReadonlySet<string> = new Set(['ReturnStatement', 'ThrowStatement', 'YieldExpression'])
const LOOPS: ReadonlySet<string> = new Set([
  'ForStatement',
  'ForInStatement',
  'ForOfStatement',
  'WhileStatement',
  'DoWhileStatement',
])

/** Finds loops whose condition always holds, and that nothing in them leaves. */
export const findEndlessLoops: Lint = ({ visits }) =>
  visits.flatMap((visit) => {
    const { node } = visit
    if (!goesOnForEver(node) || leaves((node as Node & { body: Node }).body, labelOf(visit), false, false)) return []
    const message = 'this loop never ends: its condition always holds, and nothing in it breaks, returns or throws'
    return [{ rule: 'endless-loop', severity: 'error', message, node }]
  })

function goesOnForEver(node: Node): boolean {
  if (node.type === 'ForStatement') return node.test == null || isAlwaysTrue(node.test as Node)
  if (node.type !== 'WhileStatement' && node.type !== 'DoWhileStatement') return false
  return isAlwaysTrue(node.test as Node)
}

function isAlwaysTrue(test: Node): boolean {
  if (test.type === 'Literal') return Boolean(test.value)
  if (test.type !== 'UnaryExpression' || test.operator !== '!' || test.argument.type !== 'Literal') return false
  return !test.argument.value
}

function labelOf({ parent }: Visit): string | undefined {
  return parent?.node.type === 'LabeledStatement' ? parent.node.label.name : undefined
}

/**
 * Whether anything leaves the loop that this node is in.
 *
 * @param in_loop whether a loop inside is what `continue` and `break` mean
 * @param in_switch whether a switch inside is what `break` means
 */
function leaves(node: Node, label: string | undefined, in_loop: boolean, in_switch: boolean): boolean {
  if (isFunction(node) || node.type === 'ClassExpression' || node.type === 'ClassDeclaration') return false
  if (LEAVING_NODES.has(node.type)) return true
  if (node.type === 'CallExpression' && LEAVING_CALLS.has(readNames(node.callee) ?? '')) return true
  // One with another label leads out of a block inside, or out of a loop around: the latter cannot be ruled out.
  if (node.type === 'BreakStatement') return node.label == null ? !in_loop && !in_switch : true
  if (node.type === 'ContinueStatement') return node.label != null && node.label.name !== label
  const inner_loop = in_loop || LOOPS.has(node.type)
  const inner_switch = in_switch || node.type === 'SwitchStatement'
  return childrenOf(node).some((child) => leaves(child, label, inner_loop, inner_switch))
}
