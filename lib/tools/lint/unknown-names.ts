import { ENVIRONMENT_NAMES } from '../../program.ts'
import { suggest } from '../../validation/suggestion.ts'
import type { Lint } from './rule.ts'
import type { Visit } from './syntax-tree.ts'

const OF_THE_PROCESS: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(globalThis))

/** Finds names that are nowhere declared, so that the code throws where it comes to them. */
export const findUnknownNames: Lint = ({ visits, declared, globals }) => {
  const seen = new Set<string>()
  return visits.flatMap((visit) => {
    const { node } = visit
    if (node.type !== 'Identifier' || !isReference(visit)) return []
    const { name } = node
    if (declared.has(name) || ENVIRONMENT_NAMES.has(name) || OF_THE_PROCESS.has(name) || globals.has(name)) return []
    if (name === 'arguments' || seen.has(name)) return []
    // Who asks for its type knows that it may not be there.
    if (visits.some(isTypeOf(name))) return []
    seen.add(name)
    const known = [...declared, ...globals, ...ENVIRONMENT_NAMES, 'console']
    const hint = suggest(name, known) || `; if the app provides it, name it with --globals ${name}`
    return [{ rule: 'unknown-name', severity: 'error', message: `${name} is not known${hint}`, node }]
  })
}

function isTypeOf(name: string): (visit: Visit) => boolean {
  return ({ node }) =>
    node.type === 'UnaryExpression' &&
    node.operator === 'typeof' &&
    node.argument.type === 'Identifier' &&
    node.argument.name === name
}

/** Whether an identifier stands for a variable, rather than naming a property or a label. */
export function isReference({ node, parent }: Visit): boolean {
  const owner = parent?.node
  switch (owner?.type) {
    case 'MemberExpression':
      return owner.computed || owner.property !== node
    case 'Property':
      return owner.computed || owner.shorthand || owner.key !== node
    case 'MethodDefinition':
    case 'PropertyDefinition':
      return owner.computed === true || owner.key !== node
    case 'LabeledStatement':
      return owner.label !== node
    case 'BreakStatement':
    case 'ContinueStatement':
    case 'MetaProperty':
      return false
    default:
      return true
  }
}
