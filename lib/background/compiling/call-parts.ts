import { type Around, GIVEN, type GuardTexts, PAIR } from './guard-texts.ts'
import { dealsWithPromises, isFunctionName } from './plugin-calls.ts'
import { isValue, methodOf, type Node } from './syntax-tree.ts'

const LISTENING = new Set(['on', 'once', 'addListener', 'prependListener', 'prependOnceListener', 'addEventListener'])
const UNLISTENING = new Set(['off', 'removeListener', 'removeEventListener'])
/** What is put somewhere by these still has nobody who waits for it. */
const STORING = new Set(['push', 'unshift', 'add', 'set'])

/** What is put around a call whose promise nobody may wait for. What is handed to another function is that function's to wait for. */
export function trackingOf(node: Node, parent: Node | undefined, texts: GuardTexts): Around {
  const isGiven =
    (parent?.type === 'CallExpression' || parent?.type === 'NewExpression') &&
    (parent.callee as Node) !== node &&
    !STORING.has(methodOf(parent.callee as Node))
  const isPair = node.type === 'CallExpression' && methodOf(node.callee as Node) === 'withResolvers'
  const how = isGiven ? GIVEN : isPair ? PAIR : undefined
  // Only promises that the code goes about by name: for every call it would cost too much.
  return dealsWithPromises(node) ? texts.trackedWithRoom(how) : texts.tracked(how)
}

/** What is done to one part of a call: listeners are guarded, sources are instrumented. */
export function hookOf(node: Node, texts: GuardTexts): { part: Node; around: Around } | undefined {
  if (node.type !== 'CallExpression' && node.type !== 'NewExpression') return undefined
  const callee = node.callee as Node
  const isNew = node.type === 'NewExpression'
  const [first, second] = node.arguments as Node[]
  const { compiling } = texts
  if (isFunctionName(callee)) {
    return {
      part: callee,
      around: isNew ? { before: `(${compiling.before}`, after: `${compiling.after})` } : compiling,
    }
  }
  if (isNew || !isValue(first)) return undefined
  if (callee.type === 'Identifier' && callee.name === 'eval') return { part: first, around: texts.evaluated }
  const name = methodOf(callee)
  if (name === 'construct' && isFunctionName(first)) return { part: first, around: compiling }
  if (!isValue(second)) return undefined
  if (LISTENING.has(name)) return { part: second, around: texts.listening }
  if (UNLISTENING.has(name)) return { part: second, around: texts.unlistening }
  return undefined
}

/** The calls along what `new` is applied to. A call in their place would be the constructor itself. */
export function constructorParts(callee: Node): Node[] {
  const parts: Node[] = []
  for (let node: Node | undefined = callee; node !== undefined; ) {
    parts.push(node)
    if (node.type === 'MemberExpression') node = node.object as Node
    else node = node.type === 'TaggedTemplateExpression' ? (node.tag as Node) : undefined
  }
  return parts
}
