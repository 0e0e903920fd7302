import type { ESTree } from 'meriyah'
import { CALL_WEIGHT } from '../../program.ts'
import type { Edit } from './code-edits.ts'
import { afterArrow } from './code-positions.ts'
import { marksFor } from './function-text.ts'
import type { GuardNames } from './guard-names.ts'
import {
  askedFor,
  countPlainCalls,
  dealsWithPromises,
  hasCall,
  isCallback,
  isFunctionName,
  isHandled,
  isPlain,
} from './plugin-calls.ts'
import { fitsIntoBlock } from './scopes.ts'
import {
  awaitsInHead,
  childrenOf,
  FUNCTIONS,
  type FunctionNode,
  isSpine,
  isValue,
  LOOPS,
  type Loop,
  lastDirective,
  leadingArrow,
  mentions,
  methodOf,
  type Node,
} from './syntax-tree.ts'

/** What `track` is told of a value beside itself: it was handed to another function; or its `promise` is what counts. */
const GIVEN = 1
const PAIR = 2
/** What `hold` is told of what a loop awaits one by one. */
const EACH = 2
/** What `resume` is told beside the value: an asynchronous generator goes on, wherever it is asked to; a callback of a promise begins. */
const ANYWHERE = 1
const CALLED = 2
/** What an async function may return that is no promise. */
const NO_PROMISE = new Set(
  'Literal TemplateLiteral ArrayExpression ObjectExpression BinaryExpression UnaryExpression AwaitExpression ClassExpression'.split(
    ' ',
  ),
)

/** What a function is, as far as its promise is concerned: the plugin's own code and generators are looked after elsewhere. */
type Kind = 'plain' | 'async' | 'other'

/** A loop's turn that calls anything counts for so many more calls: a loop is where slow ones add up. */
const REPEATED = 4
/** Where statements stand in a row, so that one more can stand behind any of them. */
const LISTS = new Set(['BlockStatement', 'StaticBlock', 'SwitchCase', 'Program'])
const LISTENING = new Set(['on', 'once', 'addListener', 'prependListener', 'prependOnceListener', 'addEventListener'])
/** What is put somewhere by these still has nobody who waits for it. */
const STORING = new Set(['push', 'unshift', 'add', 'set'])
const UNLISTENING = new Set(['off', 'removeListener', 'removeEventListener'])

/**
 * Inserts the guard's checks into a plugin's code: at every loop's turn and every function's entry, around what may be
 * a promise nobody waits for, around what is awaited. No line is added, so every line keeps its number.
 *
 * @param offset position of the code's first character in the tree's numbers
 */
export function findEdits(code: string, root: Node, offset: number, names: GuardNames): readonly Edit[] {
  const edits: Edit[] = []
  const left = new Set<Node>()
  const asked = new Set<unknown>()
  let isSuspicious = false
  const { open, close } = marksFor(code, names.prefix)
  const check = checkFor(0)
  const resumed = `${names.resume}(${names.run});`
  const ended = `}finally{${names.end}(${names.run})}`
  const compiling = `${names.compile}(${names.run},`
  const given = `${names.give}(${names.run},`
  const checked = `(--${names.run}.n<0&&${names.over}(${names.run}),`

  /** A check for itself and so many calls that none is put around. */
  function checkFor(calls: number): string {
    const count = calls === 0 ? `--${names.run}.n` : `(${names.run}.n-=${1 + calls * CALL_WEIGHT})`
    return `if(${count}<0)${names.over}(${names.run});`
  }

  const insert = (at: number, text: string) => {
    edits.push({ at: at - offset, text: `${open}${text}${close}` })
  }

  function wrap(node: Node, before: string, inside: () => void, after = ')'): void {
    // What stands in parentheses of its own begins inside of these: its commas would become the call's.
    const isSequence = node.type === 'SequenceExpression'
    insert(node.start, isSequence ? `${before}(` : before)
    inside()
    insert(node.end, isSequence ? `)${after}` : after)
  }

  /** What is handed to another function is that function's to wait for. */
  function wrapTracked(node: Node, parent: Node | undefined, inside: () => void): void {
    const isGiven =
      (parent?.type === 'CallExpression' || parent?.type === 'NewExpression') &&
      (parent.callee as Node) !== node &&
      !STORING.has(methodOf(parent.callee as Node))
    const isPair = node.type === 'CallExpression' && methodOf(node.callee as Node) === 'withResolvers'
    const how = isGiven ? `,${GIVEN})` : isPair ? `,${PAIR})` : ')'
    // Only promises that the code goes about by name: for every call it would cost too much.
    if (dealsWithPromises(node)) wrap(node, `${names.track}(${names.run},(${names.room}(),`, inside, `)${how}`)
    else wrap(node, `${names.track}(${names.run},`, inside, how)
  }

  /** Visits a node; `parent` tells what its value is used for, `kind` what the innermost function is. */
  function visit(node: Node, parent: Node | undefined, kind: Kind, chained: boolean): void {
    const descend = () => visitChildren(node, kind, chained)
    if (FUNCTIONS.has(node.type)) return visitFunction(node as Node & FunctionNode, parent)
    if (LOOPS.has(node.type)) return visitLoop(node as Node & Loop, parent, kind)
    switch (node.type) {
      case 'LabeledStatement':
        if (parent?.type === 'LabeledStatement' || !awaitsInHead(node)) return descend()
        return checkAfter(node, parent, descend)
      case 'CatchClause':
        insert((node.body as Node).start + 1, check)
        return descend()
      case 'TryStatement':
        if (node.finalizer) checkBeforeAnswering(node.finalizer as Node & ESTree.BlockStatement)
        return descend()
      case 'PropertyDefinition':
        return visitField(node as Node & ESTree.PropertyDefinition, kind)
      case 'AwaitExpression':
        return wrap(node, `${names.resume}(${names.run},`, () => {
          const argument = node.argument as Node
          wrap(argument, `${names.hold}(${names.run},`, () => visit(argument, node, kind, false))
        })
      case 'ReturnStatement':
        if (kind !== 'async' || !mayBePromise(node.argument)) return descend()
        return wrap(node.argument as Node, given, descend)
      case 'YieldExpression':
        return visitYield(node as Node & ESTree.YieldExpression, kind)
      case 'ChainExpression':
        if (node.expression.type !== 'CallExpression' || isHandled(node, parent, kind !== 'plain', asked)) {
          return visitChildren(node, kind, true)
        }
        return wrapTracked(node, parent, () => visitChildren(node, kind, true))
      case 'CallExpression':
      case 'NewExpression':
      case 'TaggedTemplateExpression':
      case 'ImportExpression':
        if (node.type === 'NewExpression') leaveConstructor(node.callee as Node)
        if (node.type === 'CallExpression') asked.add(askedFor(node))
        if (
          chained ||
          left.has(node) ||
          leadingArrow(node) ||
          isPlain(node) ||
          isHandled(node, parent, kind !== 'plain', asked)
        )
          return visitCall(node, kind, chained)
        return wrapTracked(node, parent, () => visitCall(node, kind, false))
      default:
        return descend()
    }
  }

  function visitChildren(node: Node, kind: Kind, chained: boolean): void {
    for (const child of childrenOf(node)) {
      // Only the objects and callees along an optional chain belong to it; what stands in its arguments does not.
      const spine = chained && isSpine(node, child)
      visit(child, node, kind, spine)
    }
  }

  function visitFunction(node: Node & FunctionNode, parent: Node | undefined): void {
    const body = node.body as Node & (ESTree.BlockStatement | ESTree.Expression)
    const kind = !node.async ? 'plain' : node.generator ? 'other' : 'async'
    for (const parameter of node.params ?? []) {
      isSuspicious ||= kind === 'async' && (parameter as Node).type !== 'Identifier'
      visit(parameter as Node, node, 'plain', false)
    }
    const { entry, exit } = frameOf(node, parent, kind)
    if (body.type === 'BlockStatement') {
      const last = lastDirective(body)
      const isOpen = last !== undefined && code[last.end - offset - 1] !== ';'
      insert(last?.end ?? body.start + 1, isOpen ? `;${entry}` : entry)
      visitChildren(body, kind, false)
      if (exit !== '') insert(body.end - 1, exit)
      return
    }
    // A body in parentheses would end otherwise than one in braces where semicolons are left out.
    const isGiven = kind === 'async' && mayBePromise(body)
    insert(afterArrow(code, node, offset) + offset, `{${entry}return ${isGiven ? given : ''}`)
    visit(body, node, kind, false)
    insert(leadingArrow(body)?.end ?? node.end, `${isGiven ? ')' : ''}${exit}}`)
  }

  /** What stands at both ends of a function's body. What the queue of microtasks calls tells when it has come to its end. */
  function frameOf(node: Node & FunctionNode, parent: Node | undefined, kind: Kind) {
    const check = checkFor(countPlainCalls(node.body as Node))
    const how = kind === 'other' ? ANYWHERE : isCallback(node, parent) ? CALLED : undefined
    const begun = how === undefined ? check : `${names.resume}(${names.run},0,${how});${check}`
    const isBlock = (node.body as Node).type === 'BlockStatement'
    if ((how === undefined && kind === 'plain') || (isBlock && !fitsIntoBlock(node))) return { entry: begun, exit: '' }
    const { caught, fail, run } = names
    const failed = kind === 'async' ? `}catch(${caught}){throw ${fail}(${run},${caught})` : ''
    // With the stack used up, Node loses sight of who handles what is awaited.
    return { entry: `${begun}try{${kind === 'async' ? `${names.room}();` : ''}`, exit: `${failed}${ended}` }
  }

  function visitYield(node: Node & ESTree.YieldExpression, kind: Kind): void {
    const argument = node.argument as Node | null
    if (argument === null || node.delegate) return visitChildren(node, kind, false)
    const inside = () => visit(argument, node, kind, false)
    // A generator hands over what it yields; only an asynchronous one awaits it, and then goes on when it is asked to.
    if (kind === 'plain') return wrap(argument, `${names.hold}(${names.run},`, inside, `,${GIVEN})`)
    const held = () => wrap(argument, `${names.hold}(${names.run},`, inside)
    wrap(node, `${names.resume}(${names.run},`, held, `,${ANYWHERE})`)
  }

  function visitLoop(node: Node & Loop, parent: Node | undefined, kind: Kind): void {
    if (!awaitsInHead(node) || parent?.type === 'LabeledStatement') return visitLoopParts(node, kind)
    checkAfter(node, parent, () => visitLoopParts(node, kind))
  }

  function visitLoopParts(node: Node & Loop, kind: Kind): void {
    const awaits = awaitsInHead(node)
    const turn = awaits ? `${resumed}try{` : checkFor(countPlainCalls(node) + (hasCall(node) ? REPEATED : 0))
    for (const child of childrenOf(node)) {
      const inside = () => visit(child, node, kind, false)
      // Each of what a plain iterable holds is awaited as it comes.
      if (awaits && child === node.right) wrap(child, `${names.hold}(${names.run},`, inside, `,${EACH})`)
      else if (child !== node.body) inside()
      else if (child.type === 'BlockStatement') {
        insert(child.start + 1, turn)
        visitChildren(child, kind, false)
        if (awaits) insert(child.end - 1, ended)
      } else {
        insert(child.start, `{${turn}`)
        inside()
        insert(child.end, awaits ? `${ended}}` : '}')
      }
    }
  }

  /** The end of a loop that awaits is awaited, too; nothing in the loop sees that. */
  function checkAfter(node: Node, parent: Node | undefined, inside: () => void): void {
    const isListed = parent !== undefined && LISTS.has(parent.type)
    if (!isListed) insert(node.start, '{')
    inside()
    insert(node.end, isListed ? check : `${check}}`)
  }

  /** A run whose time is over may clean up after itself, but has no say in the response any more. */
  function checkBeforeAnswering({ body }: ESTree.BlockStatement): void {
    const answering = (body as Node[]).find((statement) => mentions(statement, 'ctx'))
    if (answering !== undefined) insert(answering.start, check)
  }

  /** A call in place of what `new` is applied to would be the constructor itself. */
  function leaveConstructor(callee: Node): void {
    for (let node: Node | undefined = callee; node !== undefined; ) {
      left.add(node)
      if (node.type === 'MemberExpression') node = node.object as Node
      else node = node.type === 'TaggedTemplateExpression' ? (node.tag as Node) : undefined
    }
  }

  /** A field's value is computed at each construction, and no function is entered for it. */
  function visitField(node: Node & ESTree.PropertyDefinition, kind: Kind): void {
    const key = node.key as Node
    if (node.computed) visit(key, node, kind, false)
    const value = node.value as Node | null
    if (value === null) return
    // A function or class without a name of its own takes the field's, but only where it stands alone.
    if (FUNCTIONS.has(value.type) || value.type === 'ClassExpression') return visit(value, node, 'plain', false)
    insert(value.start, checked)
    visit(value, node, 'plain', false)
    insert(value.end, ')')
    // An arrow function at the value's end would have ended the field, wherever the next one begins with.
    insert(node.end, ';')
  }

  function visitCall(node: Node, kind: Kind, chained: boolean): void {
    const hook = hookOf(node)
    if (hook === undefined) return visitChildren(node, kind, chained)
    for (const child of childrenOf(node)) {
      const inside = () => visit(child, node, kind, chained && isSpine(node, child))
      if (child === hook.part) wrap(child, hook.text, inside, hook.after)
      else inside()
    }
  }

  /** What is done to one part of a call: listeners are guarded, sources are instrumented. */
  function hookOf(node: Node): { part: Node; text: string; after?: string } | undefined {
    if (node.type !== 'CallExpression' && node.type !== 'NewExpression') return undefined
    const callee = node.callee as Node
    const [first, second] = node.arguments as Node[]
    if (isFunctionName(callee)) {
      const isNew = node.type === 'NewExpression'
      return { part: callee, text: isNew ? `(${compiling}` : compiling, after: isNew ? '))' : ')' }
    }
    if (node.type === 'NewExpression' || !isValue(first)) return undefined
    if (callee.type === 'Identifier' && callee.name === 'eval') return { part: first, text: `${names.evaluate}(` }
    const name = methodOf(callee)
    if (name === 'construct' && isFunctionName(first)) return { part: first, text: compiling }
    if (!isValue(second)) return undefined
    if (LISTENING.has(name)) return { part: second, text: `${names.listen}(${names.run},` }
    if (UNLISTENING.has(name)) return { part: second, text: `${names.listen}(null,` }
    return undefined
  }

  visitChildren(root, 'other', false)
  if (isSuspicious) edits.unshift({ at: 0, text: `${open};${names.suspect}();${close}` })
  return edits
}

function mayBePromise(value: unknown): boolean {
  if (value === null || value === undefined) return false
  const node = value as Node
  return !NO_PROMISE.has(node.type) && !FUNCTIONS.has(node.type) && leadingArrow(node) === undefined
}
