import { PLAIN_CONSTRUCTORS } from './koa-names.ts'
import { namesIn } from './scopes.ts'
import { FUNCTIONS, type Node, pushChildren } from './syntax-tree.ts'

/** Names that code binds, whatever part of it they are in scope of. */
export interface Bindings {
  readonly names: ReadonlySet<string>
  /** Those that are of one function each. */
  readonly functions: ReadonlySet<string>
  /** Those that are of one object each that the code has made, in which nothing is. */
  readonly objects: ReadonlySet<string>
  /** Those of one list, Map, Set or the like. */
  readonly collections: ReadonlySet<string>
}

/** Collects what code binds. */
export function findBindings(block: Node): Bindings {
  const names = new Set<string>()
  const functions = new Set<string>()
  const objects = new Set<string>()
  const collections = new Set<string>()
  const kinds = [functions, objects, collections]

  function bind(pattern: unknown, kind?: Set<string>): void {
    if (pattern === null || pattern === undefined) return
    for (const name of namesIn(pattern as Node)) {
      if (!names.has(name)) kind?.add(name)
      else for (const each of kinds) each.delete(name)
      names.add(name)
    }
  }

  function kindOf(init: Node | null | undefined): Set<string> | undefined {
    if (init === null || init === undefined) return undefined
    if (FUNCTIONS.has(init.type)) return functions
    if (init.type === 'ObjectExpression') return objects
    if (init.type === 'ArrayExpression') return collections
    const { callee } = init as { callee?: Node }
    const isMade = init.type === 'NewExpression' && callee?.type === 'Identifier' && PLAIN_CONSTRUCTORS.has(callee.name)
    return isMade ? collections : undefined
  }

  const pending: Node[] = [block]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.type === 'Identifier' || node.type === 'Literal') continue
    if (node.type === 'VariableDeclaration') {
      for (const { id, init } of node.declarations) {
        const isPlain = node.kind === 'const' && id.type === 'Identifier'
        bind(id, isPlain ? kindOf(init as Node) : undefined)
      }
    } else if (node.type === 'CatchClause') bind(node.param)
    else if (node.type === 'ClassDeclaration' || node.type === 'ClassExpression') bind(node.id)
    else if (FUNCTIONS.has(node.type)) {
      const { id, params } = node as { id?: unknown; params?: unknown[] }
      bind(id, functions)
      for (const param of params ?? []) bind(param)
    }
    pushChildren(node, pending)
  }
  return { names, functions, objects, collections }
}
