import type { ParsedCode } from '../../background/compiling/parser.ts'
import type { Node } from '../../background/compiling/syntax-tree.ts'
import type { PluginSpec } from '../../document.ts'
import { isFunction, listVisits, patternNames, type Visit } from './syntax-tree.ts'

/** How severe a finding is: an `error` will fail, a `warning` may fail, a `note` is information. */
export type Severity = 'error' | 'warning' | 'note'

/** Something found in a plugin's code. */
export interface Fault {
  readonly rule: string
  readonly severity: Severity
  readonly message: string
  /** The part of the code that is meant; undefined: the plugin as a whole. */
  readonly node?: Node | undefined
}

/** A plugin's code, as lints look at it. */
export interface Subject {
  readonly spec: PluginSpec
  /** Every node of the code. */
  readonly visits: readonly Visit[]
  /** Every name that the code declares, wherever. */
  readonly declared: ReadonlySet<string>
  /** The app's own names. */
  readonly globals: ReadonlySet<string>
  /** Whether the document itself says `"on_failure": "open"`. */
  readonly opens_on_purpose: boolean
}

/** Looks for one kind of fault. */
export type Lint = (subject: Subject) => Fault[]

/** Makes what lints look at. */
export function createSubject(
  spec: PluginSpec,
  { block }: ParsedCode,
  globals: ReadonlySet<string>,
  opens_on_purpose: boolean,
): Subject {
  const visits = listVisits(block)
  const declared = new Set(visits.flatMap(({ node }) => declaredBy(node)))
  return { spec, visits, declared, globals, opens_on_purpose }
}

function declaredBy(node: Node): string[] {
  if (isFunction(node)) {
    const own = 'id' in node ? patternNames(node.id) : []
    return [...own, ...node.params.flatMap(patternNames)]
  }
  if (node.type === 'VariableDeclarator') return patternNames(node.id)
  if (node.type === 'ClassDeclaration' || node.type === 'ClassExpression') return patternNames(node.id)
  return node.type === 'CatchClause' ? patternNames(node.param) : []
}
