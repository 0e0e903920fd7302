import { ANYWHERE, type Around, CALLED, type GuardTexts } from './guard-texts.ts'
import { countPlainCalls, hasCall, isCallback } from './plugin-calls.ts'
import { fitsIntoBlock } from './scopes.ts'
import { awaitsInHead, type FunctionNode, type Loop, type Node } from './syntax-tree.ts'

/** What a function is, as far as its promise is concerned: the plugin's own code and generators are looked after elsewhere. */
export type FunctionKind = 'plain' | 'async' | 'other'

/** A loop's turn that calls anything counts for so many more calls: a loop is where slow ones add up. */
const REPEATED = 4

export function kindOf(node: FunctionNode): FunctionKind {
  if (!node.async) return 'plain'
  return node.generator ? 'other' : 'async'
}

/** What stands at both ends of a function's body. What the queue of microtasks calls tells when it has come to its end. */
export function functionFrame(node: Node & FunctionNode, parent: Node | undefined, texts: GuardTexts): Around {
  const kind = kindOf(node)
  const check = texts.check(countPlainCalls(node.body as Node))
  const how = kind === 'other' ? ANYWHERE : isCallback(node, parent) ? CALLED : undefined
  const begun = how === undefined ? check : `${texts.begun(how)}${check}`
  const isBlock = (node.body as Node).type === 'BlockStatement'
  if ((how === undefined && kind === 'plain') || (isBlock && !fitsIntoBlock(node))) return { before: begun, after: '' }
  const { before, after } = texts.frame(kind === 'async')
  return { before: `${begun}${before}`, after }
}

/** What stands at both ends of each turn of a loop. */
export function loopFrame(node: Node & Loop, texts: GuardTexts): Around {
  if (awaitsInHead(node)) return texts.turn
  return { before: texts.check(countPlainCalls(node) + (hasCall(node) ? REPEATED : 0)), after: '' }
}
