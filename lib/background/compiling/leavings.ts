import { KIT_NAMES } from '../../program.ts'
import type { ParsedCode } from './parser.ts'
import { FUNCTIONS, type Node, pushChildren } from './syntax-tree.ts'

/** Names by which code gets at more than its text says, or at what lives longer than a run. */
const FAR_REACHING = Object.freeze([...KIT_NAMES, 'eval', 'Function', 'arguments', 'fetch', 'signal'])
/** What is made for a run, and must not be at hand after it. */
const OF_THE_RUN: ReadonlySet<string> = new Set(['exit', 'say'])
const GOING_ON: ReadonlySet<string> = new Set([
  ...FUNCTIONS,
  'ClassDeclaration',
  'ClassExpression',
  'ImportExpression',
  'TaggedTemplateExpression',
])

/**
 * Whether code is over when it returns: it has no function of its own, awaits nothing, and does nothing with `exit` and `say`
 * but call them. In doubt it may go on.
 */
export function leavesNothing({ awaits, names, block }: ParsedCode): boolean {
  if (awaits || FAR_REACHING.some((name) => names.has(name))) return false
  const pending: Node[] = [block]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (GOING_ON.has(node.type)) return false
    if (node.type === 'Identifier' && OF_THE_RUN.has(node.name)) return false
    if (node.type === 'CallExpression' && (node.callee as Node).type === 'Identifier') {
      pending.push(...(node.arguments as Node[]))
    } else pushChildren(node, pending)
  }
  return true
}
