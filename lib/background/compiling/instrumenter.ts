import type { ESTree } from 'meriyah'
import { constructorParts, hookOf, trackingOf } from './call-parts.ts'
import type { Edit } from './code-edits.ts'
import { afterArrow } from './code-positions.ts'
import { type FunctionKind, functionFrame, kindOf, loopFrame } from './frames.ts'
import type { GuardNames } from './guard-names.ts'
import { ANYWHERE, EACH, GIVEN, guardTexts } from './guard-texts.ts'
import { createInsertions } from './insertions.ts'
import { askedFor, isHandled, isPlain, mayBePromise } from './plugin-calls.ts'
import {
  awaitsInHead,
  childrenOf,
  FUNCTIONS,
  type FunctionNode,
  isSpine,
  LOOPS,
  type Loop,
  lastDirective,
  leadingArrow,
  mentions,
  type Node,
} from './syntax-tree.ts'

/** Where statements stand in a row, so that one more can stand behind any of them. */
const LISTS = new Set(['BlockStatement', 'StaticBlock', 'SwitchCase', 'Program'])

/**
 * Inserts the guard's checks into a plugin's code: at every loop's turn and every function's entry, around what may be
 * a promise nobody waits for, around what is awaited. No line is added, so every line keeps its number.
 *
 * @param offset position of the code's first character in the tree's numbers
 */
export function findEdits(code: string, root: Node, offset: number, names: GuardNames): readonly Edit[] {
  const texts = guardTexts(names)
  const { edits, insert, wrap, begin } = createInsertions(code, offset, names.prefix)
  const left = new Set<Node>()
  const asked = new Set<unknown>()
  const check = texts.check(0)
  let isSuspicious = false

  /** Visits a node; `parent` tells what its value is used for, `kind` what the innermost function is. */
  function visit(node: Node, parent: Node | undefined, kind: FunctionKind, chained: boolean): void {
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
        return visitAwaited(node, node.argument as Node, kind)
      case 'ReturnStatement':
        if (kind !== 'async' || !mayBePromise(node.argument)) return descend()
        return wrap(node.argument as Node, texts.given, descend)
      case 'YieldExpression':
        return visitYield(node as Node & ESTree.YieldExpression, kind)
      case 'ChainExpression':
        if (node.expression.type !== 'CallExpression' || isHandled(node, parent, kind !== 'plain', asked)) {
          return visitChildren(node, kind, true)
        }
        return wrap(node, trackingOf(node, parent, texts), () => visitChildren(node, kind, true))
      case 'CallExpression':
      case 'NewExpression':
      case 'TaggedTemplateExpression':
      case 'ImportExpression':
        // A call in place of what `new` is applied to would be the constructor itself.
        if (node.type === 'NewExpression') for (const part of constructorParts(node.callee as Node)) left.add(part)
        if (node.type === 'CallExpression') asked.add(askedFor(node))
        if (
          chained ||
          left.has(node) ||
          leadingArrow(node) ||
          isPlain(node) ||
          isHandled(node, parent, kind !== 'plain', asked)
        )
          return visitCall(node, kind, chained)
        return wrap(node, trackingOf(node, parent, texts), () => visitCall(node, kind, false))
      default:
        return descend()
    }
  }

  function visitChildren(node: Node, kind: FunctionKind, chained: boolean): void {
    for (const child of childrenOf(node)) {
      // Only the objects and callees along an optional chain belong to it; what stands in its arguments does not.
      const spine = chained && isSpine(node, child)
      visit(child, node, kind, spine)
    }
  }

  function visitFunction(node: Node & FunctionNode, parent: Node | undefined): void {
    const body = node.body as Node & (ESTree.BlockStatement | ESTree.Expression)
    const kind = kindOf(node)
    for (const parameter of node.params ?? []) {
      isSuspicious ||= kind === 'async' && (parameter as Node).type !== 'Identifier'
      visit(parameter as Node, node, 'plain', false)
    }
    const { before: entry, after: exit } = functionFrame(node, parent, texts)
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
    insert(afterArrow(code, node, offset) + offset, `{${entry}return ${isGiven ? texts.given.before : ''}`)
    visit(body, node, kind, false)
    insert(leadingArrow(body)?.end ?? node.end, `${isGiven ? texts.given.after : ''}${exit}}`)
  }

  function visitYield(node: Node & ESTree.YieldExpression, kind: FunctionKind): void {
    const argument = node.argument as Node | null
    if (argument === null || node.delegate) return visitChildren(node, kind, false)
    // A generator hands over what it yields; only an asynchronous one awaits it, and then goes on when it is asked to.
    if (kind !== 'plain') return visitAwaited(node, argument, kind, ANYWHERE)
    wrap(argument, texts.held(GIVEN), () => visit(argument, node, kind, false))
  }

  function visitAwaited(node: Node, argument: Node, kind: FunctionKind, how?: typeof ANYWHERE): void {
    wrap(node, texts.awaited(how), () => {
      wrap(argument, texts.held(), () => visit(argument, node, kind, false))
    })
  }

  function visitLoop(node: Node & Loop, parent: Node | undefined, kind: FunctionKind): void {
    if (!awaitsInHead(node) || parent?.type === 'LabeledStatement') return visitLoopParts(node, kind)
    checkAfter(node, parent, () => visitLoopParts(node, kind))
  }

  function visitLoopParts(node: Node & Loop, kind: FunctionKind): void {
    const awaits = awaitsInHead(node)
    const { before: turn, after: ended } = loopFrame(node, texts)
    for (const child of childrenOf(node)) {
      const inside = () => visit(child, node, kind, false)
      // Each of what a plain iterable holds is awaited as it comes.
      if (awaits && child === node.right) wrap(child, texts.held(EACH), inside)
      else if (child !== node.body) inside()
      else if (child.type === 'BlockStatement') {
        insert(child.start + 1, turn)
        visitChildren(child, kind, false)
        if (ended !== '') insert(child.end - 1, ended)
      } else {
        insert(child.start, `{${turn}`)
        inside()
        insert(child.end, `${ended}}`)
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

  /** A field's value is computed at each construction, and no function is entered for it. */
  function visitField(node: Node & ESTree.PropertyDefinition, kind: FunctionKind): void {
    const key = node.key as Node
    if (node.computed) visit(key, node, kind, false)
    const value = node.value as Node | null
    if (value === null) return
    // A function or class without a name of its own takes the field's, but only where it stands alone.
    if (FUNCTIONS.has(value.type) || value.type === 'ClassExpression') return visit(value, node, 'plain', false)
    insert(value.start, texts.checked.before)
    visit(value, node, 'plain', false)
    insert(value.end, texts.checked.after)
    // An arrow function at the value's end would have ended the field, wherever the next one begins with.
    insert(node.end, ';')
  }

  function visitCall(node: Node, kind: FunctionKind, chained: boolean): void {
    const hook = hookOf(node, texts)
    if (hook === undefined) return visitChildren(node, kind, chained)
    for (const child of childrenOf(node)) {
      const inside = () => visit(child, node, kind, chained && isSpine(node, child))
      if (child === hook.part) wrap(child, hook.around, inside)
      else inside()
    }
  }

  visitChildren(root, 'other', false)
  if (isSuspicious) begin(texts.suspect)
  return edits
}
