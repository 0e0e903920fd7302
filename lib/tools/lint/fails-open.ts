import type { ESTree } from 'meriyah'
import type { Node } from '../../background/compiling/syntax-tree.ts'
import type { Lint } from './rule.ts'
import { readNames } from './syntax-tree.ts'

/** Finds plugins that let everyone in once they fail, though they are there to refuse. */
export const findOpenAccess: Lint = ({ spec, visits, opens_on_purpose }) => {
  if (spec.phase !== 'access' || spec.on_failure === 'closed' || spec.shadow || opens_on_purpose) return []
  const refusal = visits.find(({ node }) => mayRefuse(node))
  if (refusal === undefined) return []
  const message =
    'this plugin refuses requests, and lets all of them in when it fails: add "on_failure": "closed", or "open" if that is meant'
  return [{ rule: 'fails-open', severity: 'warning', message, node: refusal.node }]
}

function mayRefuse(node: Node): boolean {
  if (node.type !== 'CallExpression') return false
  const names = readNames(node.callee)
  if (names === 'ctx.throw' || names === 'ctx.assert') return true
  if (names !== 'exit') return false
  const [status] = node.arguments as ESTree.Node[]
  return !(status?.type === 'Literal' && typeof status.value === 'number' && status.value < 300)
}
