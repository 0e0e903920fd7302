import type { ESTree } from 'meriyah'
import { CALL_WEIGHT } from '../../program.ts'
import type { Edit } from './code-edits.ts'
import { afterArrow, afterParameters, findAsync, findParameters } from './code-positions.ts'
import { askedFor, countPlainCalls, dealsWithPromises, hasCall, isHandled, isPlain } from './plugin-calls.ts'
import {
  awaitsInHead,
  childrenOf,
  FUNCTIONS,
  type FunctionNode,
  isMethod,
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

/** Names of the guard's functions inside instrumented code. None of them occurs in the code itself. */
export interface GuardNames {
  /** What all of them begin with. */
  readonly prefix: string
  /** The record of the run. */
  readonly run: string
  /** Called when the run's quota is used up. */
  readonly over: string
  /** Called with the result of calls that may be promises nobody waits for. */
  readonly track: string
  /** Called before something is done with promises that needs room on the stack. */
  readonly room: string
  /** Called with what an async function does, and with what it was called with. */
  readonly begin: string
  /** Called with what the code is about to await. */
  readonly hold: string
  /** Called with what was awaited. */
  readonly resume: string
  /** Called with functions that are handed over as event listeners, and with those that are taken back. */
  readonly listen: string
  /** Called with the source that the code hands to `eval`. */
  readonly evaluate: string
}

/** What `track` is told of a value beside itself: it was handed to another function; or its `promise` is what counts. */
const GIVEN = 1
const PAIR = 2
/** What `hold` is told beside a value that is not awaited at once: each of what it holds will be; or it may be, elsewhere. */
const EACH = 1
const ITSELF = 2
/** What `resume` is told beside the value of an asynchronous generator, which goes on wherever it is asked to. */
const ANYWHERE = 1
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
  const check = checkFor(0)
  const resumed = `${names.resume}(${names.run});`
  const restarted = `${names.resume}(${names.run},0,${ANYWHERE});`
  const checked = `(--${names.run}.n<0&&${names.over}(${names.run}),`

  /** A check for itself and so many calls that none is put around. */
  function checkFor(calls: number): string {
    const count = calls === 0 ? `--${names.run}.n` : `(${names.run}.n-=${1 + calls * CALL_WEIGHT})`
    return `if(${count}<0)${names.over}(${names.run});`
  }

  const insert = (at: number, text: string, skip = 0) => {
    edits.push({ at: at - offset, text, skip })
  }

  function wrap(node: Node, before: string, inside: () => void, after = ')'): void {
    // What stands in parentheses of its own begins inside of these: its commas would become the call's.
    const isSequence = node.type === 'SequenceExpression'
    // The space keeps a keyword that stands right before a parenthesis from growing into the name.
    insert(node.start, isSequence ? ` ${before}(` : ` ${before}`)
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

  /** Visits a node; `parent` tells what its value is used for, `async` whether the innermost function is. */
  function visit(node: Node, parent: Node | undefined, async: boolean, chained: boolean): void {
    const descend = () => visitChildren(node, async, chained)
    if (FUNCTIONS.has(node.type)) return visitFunction(node as Node & FunctionNode, parent)
    if (LOOPS.has(node.type)) return visitLoop(node as Node & Loop, parent, async)
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
        return visitField(node as Node & ESTree.PropertyDefinition, async)
      case 'AwaitExpression':
        return wrap(node, `${names.resume}(${names.run},`, () => {
          const argument = node.argument as Node
          wrap(argument, `${names.hold}(${names.run},`, () => visit(argument, node, async, false))
        })
      case 'YieldExpression':
        return visitYield(node as Node & ESTree.YieldExpression, async)
      case 'ChainExpression':
        if (node.expression.type !== 'CallExpression' || isHandled(node, parent, async, asked)) {
          return visitChildren(node, async, true)
        }
        return wrapTracked(node, parent, () => visitChildren(node, async, true))
      case 'CallExpression':
      case 'NewExpression':
      case 'TaggedTemplateExpression':
      case 'ImportExpression':
        if (node.type === 'NewExpression') leaveConstructor(node.callee as Node)
        if (node.type === 'CallExpression') asked.add(askedFor(node))
        if (chained || left.has(node) || leadingArrow(node) || isPlain(node) || isHandled(node, parent, async, asked))
          return visitCall(node, async, chained)
        return wrapTracked(node, parent, () => visitCall(node, async, false))
      default:
        return descend()
    }
  }

  function visitChildren(node: Node, async: boolean, chained: boolean): void {
    for (const child of childrenOf(node)) {
      // Only the objects and callees along an optional chain belong to it; what stands in its arguments does not.
      const spine = chained && isSpine(node, child)
      visit(child, node, async, spine)
    }
  }

  function visitFunction(node: Node & FunctionNode, parent: Node | undefined): void {
    const async = node.async === true
    const body = node.body as Node & (ESTree.BlockStatement | ESTree.Expression)
    const isArrow = node.type === 'ArrowFunctionExpression'
    const close = async && !node.generator ? startAsync(node, parent) : ''
    for (const parameter of node.params ?? []) visit(parameter as Node, node, async, false)
    if (body.type === 'BlockStatement') {
      if (close !== '' && !isArrow)
        edits.push({ at: afterParameters(code, node, openOf(node, parent), offset), text: '=>', skip: 0 })
      const last = lastDirective(body)
      const isOpen = last !== undefined && code[last.end - offset - 1] !== ';'
      const entry = `${checkFor(countPlainCalls(body))}${async && node.generator ? restarted : ''}`
      insert(last?.end ?? body.start + 1, isOpen ? `;${entry}` : entry)
      visitChildren(body, async, false)
    } else {
      // A body in parentheses would end otherwise than one in braces where semicolons are left out.
      edits.push({ at: afterArrow(code, node, offset), text: `{${checkFor(countPlainCalls(body))}return `, skip: 0 })
      visit(body, node, async, false)
      insert(leadingArrow(body)?.end ?? node.end, '}')
    }
    if (close !== '') insert(node.end, close)
  }

  /**
   * Makes an async function a plain one that runs an async arrow function and keeps an eye on its promise: wherever the
   * function is called from, by whatever code, its rejection is then known. `this` and `arguments` stay what they were.
   */
  function startAsync(node: Node & FunctionNode, parent: Node | undefined): string {
    const parameters = parametersOf(node, names.prefix)
    const begin = `return ${names.begin}(${names.run},`
    const end = `,[${parameters}])}`
    if (node.type === 'ArrowFunctionExpression') {
      insert(node.start, `(${parameters})=>{${begin}`)
      return end
    }
    // A method's `async` stands before its key, which belongs to the parent.
    const keyword = findAsync(code, (isMethod(node, parent) ? parent.start : node.start) - offset)
    edits.push({ at: keyword, text: '     ', skip: 5 })
    edits.push({ at: openOf(node, parent), text: `(${parameters}){${begin}async`, skip: 0 })
    return end
  }

  /** Where the parameters of an async function that is no arrow function begin. */
  function openOf(node: Node & FunctionNode, parent: Node | undefined): number {
    return isMethod(node, parent) ? node.start - offset : findParameters(code, node, offset)
  }

  function visitYield(node: Node & ESTree.YieldExpression, async: boolean): void {
    const argument = node.argument as Node | null
    if (argument === null || node.delegate) return visitChildren(node, async, false)
    const inside = () => visit(argument, node, async, false)
    // A generator hands over what it yields; only an asynchronous one awaits it, and then goes on when it is asked to.
    if (!async) return wrap(argument, `${names.hold}(${names.run},`, inside, `,${ITSELF})`)
    const held = () => wrap(argument, `${names.hold}(${names.run},`, inside)
    wrap(node, `${names.resume}(${names.run},`, held, `,${ANYWHERE})`)
  }

  function visitLoop(node: Node & Loop, parent: Node | undefined, async: boolean): void {
    if (!awaitsInHead(node) || parent?.type === 'LabeledStatement') return visitLoopParts(node, async)
    checkAfter(node, parent, () => visitLoopParts(node, async))
  }

  function visitLoopParts(node: Node & Loop, async: boolean): void {
    const turn = awaitsInHead(node) ? resumed : checkFor(countPlainCalls(node) + (hasCall(node) ? REPEATED : 0))
    for (const child of childrenOf(node)) {
      const inside = () => visit(child, node, async, false)
      if (child !== node.body) {
        // Each of what a plain iterable holds is awaited as it comes.
        if (awaitsInHead(node) && child === node.right) wrap(child, `${names.hold}(${names.run},`, inside, `,${EACH})`)
        else inside()
      } else if (child.type === 'BlockStatement') {
        insert(child.start + 1, turn)
        visitChildren(child, async, false)
      } else {
        insert(child.start, `{${turn}`)
        inside()
        insert(child.end, '}')
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
  function visitField(node: Node & ESTree.PropertyDefinition, async: boolean): void {
    const key = node.key as Node
    if (node.computed) visit(key, node, async, false)
    const value = node.value as Node | null
    if (value === null) return
    // A function or class without a name of its own takes the field's, but only where it stands alone.
    if (FUNCTIONS.has(value.type) || value.type === 'ClassExpression') return visit(value, node, false, false)
    insert(value.start, checked)
    visit(value, node, false, false)
    insert(value.end, ')')
    // An arrow function at the value's end would have ended the field, wherever the next one begins with.
    insert(node.end, ';')
  }

  function visitCall(node: Node, async: boolean, chained: boolean): void {
    const hook = node.type === 'CallExpression' ? hookOf(node as Node & ESTree.CallExpression) : undefined
    if (hook === undefined) return visitChildren(node, async, chained)
    for (const child of childrenOf(node)) {
      const inside = () => visit(child, node, async, chained && isSpine(node, child))
      if (child === hook.argument) wrap(child, hook.text, inside)
      else inside()
    }
  }

  /** What is done to one argument of a call: listeners are guarded, sources are instrumented. */
  function hookOf({ callee, arguments: given }: ESTree.CallExpression): { argument: Node; text: string } | undefined {
    if (callee.type === 'Identifier' && callee.name === 'eval' && isValue(given[0])) {
      return { argument: given[0] as Node, text: `${names.evaluate}(` }
    }
    const name = methodOf(callee as Node)
    if (!isValue(given[1]) || given[0]?.type === 'SpreadElement') return undefined
    if (LISTENING.has(name)) return { argument: given[1] as Node, text: `${names.listen}(${names.run},` }
    if (UNLISTENING.has(name)) return { argument: given[1] as Node, text: `${names.listen}(null,` }
    return undefined
  }

  visitChildren(root, true, false)
  return edits
}

/** Parameters for the function around an async arrow function: as many as `length` counts, then the rest. */
function parametersOf({ params }: FunctionNode, prefix: string): string {
  const simple = params.findIndex(({ type }) => type === 'AssignmentPattern' || type === 'RestElement')
  const counted = Array.from({ length: simple === -1 ? params.length : simple }, (_, index) => `${prefix}${index}`)
  return [...counted, `...${prefix}r`].join(',')
}
