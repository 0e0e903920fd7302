import type { ESTree } from 'meriyah'
import { ENVIRONMENT_NAMES, type Uses } from '../../program.ts'
import { findBindings } from './bindings.ts'
import {
  BODIES,
  BODY_HEADERS,
  CALLING_METHODS,
  HEADER_WRITING,
  NOTED_HEADERS,
  OWN_METHODS,
  PLAIN_CONSTRUCTORS,
  PLAIN_FUNCTIONS,
  PLAIN_METHODS,
  PLAIN_NAMES,
  PLAIN_STATICS,
  READABLE,
  READING,
  THROWING,
  WRITABLE,
  WRITING,
} from './koa-names.ts'
import { FUNCTIONS, type FunctionNode, type Node, pushChildren } from './syntax-tree.ts'

/** What code may change of its request and the response to it. */
export type Writes = Pick<Uses, 'writes' | 'headers' | 'kept' | 'checked' | 'throws'>

const NOTHING: Writes = Object.freeze({
  writes: 'nothing',
  headers: Object.freeze([]),
  kept: 0,
  checked: true,
  throws: false,
})
const ANYTHING: Writes = Object.freeze({ writes: 'anything', headers: null, kept: 0, checked: false, throws: true })

/** Nodes that are what the nodes below them are. */
const TRANSPARENT = new Set(
  'ArrayExpression AwaitExpression BinaryExpression BlockStatement BreakStatement ChainExpression ConditionalExpression ContinueStatement DoWhileStatement EmptyStatement ExpressionStatement ForStatement IfStatement Literal LogicalExpression ObjectExpression ReturnStatement SequenceExpression SpreadElement SwitchCase SwitchStatement TemplateElement TemplateLiteral ThrowStatement TryStatement UnaryExpression WhileStatement YieldExpression'.split(
    ' ',
  ),
)

/** Expressions whose value is neither a function nor a `Response`. */
const VALUES = new Set(
  'ArrayExpression BinaryExpression Literal ObjectExpression TemplateLiteral UnaryExpression'.split(' '),
)

/** Of these, those whose value is no object. */
const TEXTS = new Set('BinaryExpression Literal TemplateLiteral'.split(' '))

/**
 * Tells what code may change, by its text: it knows the ways in which plugins are commonly written, and takes whatever else
 * there is, a context that goes elsewhere above all, for code that may change anything. What an app puts in the place of
 * Koa's own methods is taken for these.
 *
 * @param isGiven whether the app gives plugins something of its own by this name
 */
export function findWrites(block: Node, isGiven: (name: string) => boolean): Writes {
  const bindings = findBindings(block)
  // One name for two things: which of them is meant where is not looked into.
  for (const name of bindings.names)
    if (ENVIRONMENT_NAMES.has(name) || isGiven(name) || name in globalThis) return ANYTHING
  const headers = new Set<string>()
  const pending: Node[] = [block]
  let writes: Uses['writes'] = 'nothing'
  let checked = true
  let throws = false

  /** @param names without any, something other than a header changes */
  function add(names: readonly string[], isChecked = true): boolean {
    if (names.length === 0 || names.some((name) => NOTED_HEADERS.has(name))) writes = 'anything'
    else if (writes === 'nothing') writes = 'headers'
    // What follows the body fits it; by itself such a header may be anything.
    if (!isChecked || (names.length === 1 && NOTED_HEADERS.has(names[0] as string))) checked = false
    for (const name of names) headers.add(name)
    return true
  }

  function put(...nodes: readonly unknown[]): boolean {
    for (const node of nodes) if (node !== null && node !== undefined) pending.push(node as Node)
    return true
  }

  /** The names that lead from `ctx` or another name to here, where nothing else does. */
  function pathOf(node: Node): string | undefined {
    const parts: string[] = []
    let at = node
    while (at.type === 'MemberExpression') {
      const name = keyOf(at)
      if (name === undefined) return undefined
      parts.unshift(name)
      at = at.object as Node
    }
    return at.type === 'Identifier' && !isGiven(at.name) ? [at.name, ...parts].join('.') : undefined
  }

  /** @returns whether it can be told what the node does; the same below */
  function judge(node: Node): boolean {
    if (TRANSPARENT.has(node.type)) {
      if (node.type === 'ThrowStatement') throws = true
      if (node.type === 'BreakStatement' || node.type === 'ContinueStatement') return true
      if (node.type === 'UnaryExpression' && node.operator === 'delete') return judgeTarget(node.argument as Node)
      pushChildren(node, pending)
      return true
    }
    if (FUNCTIONS.has(node.type)) return judgeFunction(node as FunctionNode)
    switch (node.type) {
      case 'Identifier':
        return judgeName(node.name)
      case 'MemberExpression':
        return judgeRead(node)
      case 'CallExpression':
        return judgeCall(node)
      case 'NewExpression':
        return isPlain(node.callee as Node, PLAIN_CONSTRUCTORS) && put(...node.arguments)
      case 'Property':
        if (!node.computed && nameOf(node.key as Node) === '__proto__') return false
        return put(node.computed ? node.key : null, node.value)
      case 'AssignmentExpression':
        return judgeTarget(node.left as Node, node) && put(node.right)
      case 'UpdateExpression':
        return judgeTarget(node.argument as Node)
      case 'VariableDeclaration':
        if (node.kind.includes('using')) return false
        return node.declarations.every(({ id, init }) => judgeBinding(id as Node) && put(init))
      case 'ForInStatement':
      case 'ForOfStatement': {
        const left = node.left as Node
        if (left.type !== 'VariableDeclaration' && !judgeTarget(left)) return false
        return put(left.type === 'VariableDeclaration' ? left : null, node.right, node.body)
      }
      case 'CatchClause':
        return (node.param === null || node.param === undefined || judgeBinding(node.param as Node)) && put(node.body)
      case 'LabeledStatement':
        return put(node.body)
      default:
        return false
    }
  }

  function judgeName(name: string): boolean {
    if (bindings.names.has(name)) return true
    if (isGiven(name)) return false
    if (name === 'say') return add(BODY_HEADERS)
    return PLAIN_NAMES.has(name) || PLAIN_FUNCTIONS.has(name)
  }

  function judgeFunction({ params, body }: FunctionNode): boolean {
    return params.every((param) => judgeBinding(param as Node)) && put(body)
  }

  /** What is declared: only values to begin with, and computed keys, do anything. */
  function judgeBinding(pattern: Node): boolean {
    switch (pattern.type) {
      case 'Identifier':
        return true
      case 'AssignmentPattern':
        return judgeBinding(pattern.left as Node) && put(pattern.right)
      case 'RestElement':
        return judgeBinding(pattern.argument as Node)
      case 'ArrayPattern':
        return pattern.elements.every((element) => element === null || judgeBinding(element as Node))
      case 'ObjectPattern':
        return pattern.properties.every((property) => {
          if (property.type === 'RestElement') return judgeBinding(property as Node)
          return put(property.computed ? property.key : null) && judgeBinding(property.value as Node)
        })
      default:
        return false
    }
  }

  function judgeRead(node: ESTree.MemberExpression & Node): boolean {
    const path = pathOf(node)
    if (path !== undefined && (path === 'ctx' || path.startsWith('ctx.'))) {
      for (let end = path.length; end > 0; end = path.lastIndexOf('.', end - 1)) {
        if (READABLE.has(path.slice(0, end))) return true
      }
      return false
    }
    return put(node.object, node.computed ? node.property : null)
  }

  function judgeTarget(target: Node, assignment?: ESTree.AssignmentExpression): boolean {
    if (target.type === 'Identifier') return bindings.names.has(target.name) && !bindings.functions.has(target.name)
    if (target.type !== 'MemberExpression') return false
    const { object, property, computed } = target
    const path = pathOf(target)
    const headers = path === undefined ? undefined : WRITABLE.get(path)
    if (headers !== undefined) {
      return add(headers, headers.length > 1 || (assignment !== undefined && isText(assignment.right as Node)))
    }
    if (path !== undefined && BODIES.has(path)) {
      return assignment !== undefined && isNoResponse(assignment) && add(BODY_HEADERS)
    }
    if (keyOf(target) === '__proto__') return false
    const isOwn = isOneOf(object as Node, bindings.objects) || pathOf(object as Node) === 'ctx.state'
    return isOwn && put(computed ? property : null)
  }

  function judgeCall({ callee: called, arguments: given }: ESTree.CallExpression): boolean {
    const callee = called as Node
    if (FUNCTIONS.has(callee.type)) return put(callee, ...given)
    if (callee.type === 'Identifier') {
      if (callee.name === 'say') return add(BODY_HEADERS) && put(...given)
      return (isOneOf(callee, bindings.functions) || isPlain(callee, PLAIN_FUNCTIONS)) && put(...given)
    }
    if (callee.type !== 'MemberExpression') return false
    const path = pathOf(callee)
    if (path !== undefined && HEADER_WRITING.has(path)) return judgeHeader(given as Node[])
    const written = path === undefined ? undefined : WRITING.get(path)
    if (written !== undefined) return add(written) && put(...given)
    if (path !== undefined && THROWING.has(path)) throws = true
    if (path !== undefined && READING.has(path)) return put(...given)
    const method = keyOf(callee)
    if (method === undefined) return false
    const receiver = callee.object as Node
    if (path !== undefined && PLAIN_STATICS.has(path)) {
      return (!path.startsWith('JSON.') || given.slice(1).every(isKnown)) && put(...given)
    }
    if (OWN_METHODS.has(method) && (receiver.type === 'Literal' || isOneOf(receiver, bindings.collections))) {
      return put(...given)
    }
    if (CALLING_METHODS.has(method)) return given.every(isKnown) && put(receiver, ...given)
    return PLAIN_METHODS.has(method) && put(receiver, ...given)
  }

  function judgeHeader([name, ...others]: Node[]): boolean {
    if (name?.type !== 'Literal' || typeof name.value !== 'string') return false
    return add([name.value.toLowerCase()], others.every(isText)) && put(...others)
  }

  /** Whether a value is no object but of JSON: what there is to find fault with in it Node sees at once. */
  function isText(node: Node): boolean {
    if (node.type === 'ConditionalExpression') return isText(node.consequent as Node) && isText(node.alternate as Node)
    if (node.type === 'LogicalExpression') return isText(node.left as Node) && isText(node.right as Node)
    return TEXTS.has(node.type) || pathOf(node)?.startsWith('params.') === true
  }

  function isPlain(node: Node, names: ReadonlySet<string>): boolean {
    return node.type === 'Identifier' && !isGiven(node.name) && names.has(node.name)
  }

  function isOneOf(node: Node, names: ReadonlySet<string>): boolean {
    return node.type === 'Identifier' && names.has(node.name)
  }

  /** Whether what a method is given is no function, or one of the code. */
  function isKnown(given: unknown): boolean {
    const node = given as Node
    return VALUES.has(node.type) || FUNCTIONS.has(node.type) || isOneOf(node, bindings.functions)
  }

  for (let node = pending.pop(); node !== undefined; node = pending.pop()) if (!judge(node)) return ANYTHING
  if (writes === 'nothing') return throws ? { ...NOTHING, throws } : NOTHING
  const others = [...headers].filter((name) => !BODY_HEADERS.includes(name)).sort()
  const names = new Set([...others, ...BODY_HEADERS.filter((name) => headers.has(name))])
  return { writes, headers: keysOf(names), kept: others.length, checked, throws }
}

/** As names of properties, which V8 need not look for among all its strings before it can look them up. */
function keysOf(names: ReadonlySet<string>): readonly string[] {
  return Object.freeze(Object.keys(Object.fromEntries([...names].map((name) => [name, true]))))
}

/** The name of the property that an expression is about, where that is in the text. */
function keyOf({ property, computed }: ESTree.MemberExpression): string | undefined {
  const key = property as Node
  const name = computed && key.type === 'Identifier' ? undefined : nameOf(key)
  return name?.includes('.') ? undefined : name
}

function nameOf(key: Node): string | undefined {
  if (key.type === 'Identifier') return key.name
  return key.type === 'Literal' && typeof key.value === 'string' ? key.value : undefined
}

/** Whether the value that is assigned is no `Response`. */
function isNoResponse({ operator, right }: ESTree.AssignmentExpression): boolean {
  return !['=', '||=', '&&=', '??='].includes(operator) || VALUES.has(right.type)
}
