import type { Node } from '../../background/compiling/syntax-tree.ts'
import type { Phase } from '../../document.ts'
import type { Fault, Lint, Subject } from './rule.ts'
import { readNames, type Visit } from './syntax-tree.ts'
import { isReference } from './unknown-names.ts'

const UP_TO_HEADERS = { chunk: 'body_filter', last: 'body_filter' }
/** Names that are in scope of a phase but have no effect there, and where they are. */
const OUT_OF_PLACE: Readonly<Record<Phase, Readonly<Record<string, string>>>> = Object.freeze({
  rewrite: UP_TO_HEADERS,
  access: UP_TO_HEADERS,
  content: UP_TO_HEADERS,
  balancer: UP_TO_HEADERS,
  header_filter: UP_TO_HEADERS,
  body_filter: { say: 'content' },
  log: { ...UP_TO_HEADERS, exit: 'access', say: 'content' },
})
const CHANGING_CALLS =
  /^ctx\.(?:(?:response\.)?(?:set|append|remove|redirect|back|attachment|vary)|throw|assert|cookies\.set|res\.(?:setHeader|removeHeader|writeHead|write|end))$/
const CHANGING_FIELDS = /^ctx\.(?:response\.)?(?:status|body|type|length|message|etag|lastModified)$/
const ANSWERING_FIELDS = /^ctx\.(?:response\.)?(?:status|body)$/
const BEFORE_CONTENT: ReadonlySet<Phase> = new Set(['rewrite', 'access', 'balancer'])

/** Finds code that does in its phase what has no effect there. */
export const findWrongPhase: Lint = (subject) => subject.visits.flatMap((visit) => judge(visit, subject))

function judge(visit: Visit, { spec: { phase }, visits, declared }: Subject): Fault[] {
  const { node } = visit
  if (declared.has('ctx')) return []
  const fault = (message: string): Fault[] => [{ rule: 'wrong-phase', severity: 'warning', message, node }]
  if (node.type === 'Identifier' && isReference(visit) && !declared.has(node.name)) {
    const place = Object.hasOwn(OUT_OF_PLACE[phase], node.name) ? OUT_OF_PLACE[phase][node.name] : undefined
    return place === undefined ? [] : fault(`${node.name} has no effect in the phase ${phase}: it is for ${place}`)
  }
  const changed = changedBy(node)
  if (changed === undefined) return []
  if (phase === 'log') return fault(`${changed} has no effect in the phase log: the response is already sent`)
  if (!BEFORE_CONTENT.has(phase) || !ANSWERING_FIELDS.test(changed) || callsExit(visits)) return []
  return fault(`${changed} = … does not stop the app from answering in the phase ${phase}: call exit(status, body)`)
}

/** Names what of the response this changes. */
function changedBy(node: Node): string | undefined {
  if (node.type === 'CallExpression') {
    const names = readNames(node.callee)
    return names !== undefined && CHANGING_CALLS.test(names) ? `${names}()` : undefined
  }
  const target = node.type === 'AssignmentExpression' ? node.left : undefined
  const names = target === undefined ? undefined : readNames(target as Node)
  return names !== undefined && CHANGING_FIELDS.test(names) ? names : undefined
}

function callsExit(visits: readonly Visit[]): boolean {
  return visits.some(({ node }) => node.type === 'CallExpression' && readNames(node.callee) === 'exit')
}
