import type { ESTree } from 'meriyah'
import type { check } from 'recheck'
import type { Node } from '../../background/compiling/syntax-tree.ts'
import { messageOf } from '../../errors.ts'
import type { Condition } from '../../matching/condition.ts'
import type { Fault, Subject } from './rule.ts'
import { readNames } from './syntax-tree.ts'

/** Judges regular expressions: of each, what is wrong with it. */
export interface ExpressionJudge {
  judge(source: string, flags: string): Promise<Omit<Fault, 'node'> | undefined>
  /** Whether there was anything to judge, but nothing to judge it by. */
  readonly is_missing: () => boolean
}

/** Of one expression, in milliseconds. */
const TIMEOUT_MS = 2000
/** What can be repeated without end, or so often that it makes no difference. */
const REPETITION = /[*+]|\{\d*,?\d*\}/
/** One character or class, repeated, and what stands around it: without groups, alternatives and further repetitions. */
const ONE_REPETITION =
  /^(\^?)((?:\\.|\[(?:\\.|[^\]\\])*\]|[^()|*+?{}\\[\]])+)[*+]((?:\\.|\[(?:\\.|[^\]\\])*\]|[^()|*+?{}\\[\]])*)$/

/** Makes a judge that asks `recheck`, where that is installed. Each expression is judged once. */
export function createExpressionJudge(
  load: () => Promise<{ check: typeof check }> = () => import('recheck'),
): ExpressionJudge {
  const judged = new Map<string, Promise<Omit<Fault, 'node'> | undefined>>()
  let loading: Promise<{ check: typeof check } | undefined> | undefined
  let is_missing = false

  async function ask(source: string, flags: string): Promise<Omit<Fault, 'node'> | undefined> {
    loading ??= load().catch(() => undefined)
    const recheck = await loading
    if (recheck === undefined) {
      is_missing = true
      return undefined
    }
    try {
      return describe(await recheck.check(source, flags, { timeout: TIMEOUT_MS }), source)
    } catch (error) {
      return unknown(source, messageOf(error))
    }
  }

  return Object.freeze({
    is_missing: () => is_missing,
    async judge(source, flags) {
      if (isPlain(source, flags)) return undefined
      const key = `/${source}/${flags}`
      const answer = judged.get(key) ?? ask(source, flags)
      judged.set(key, answer)
      return answer
    },
  } satisfies ExpressionJudge)
}

/** Whether an expression takes linear time for sure: recheck needs milliseconds for each. */
function isPlain(source: string, flags: string): boolean {
  if (!REPETITION.test(source)) return true
  const [, anchor, , after] = ONE_REPETITION.exec(source) ?? []
  // It begins in one place; or, wherever it begins, nothing can fail behind what is repeated.
  return anchor !== undefined && ((anchor === '^' && !flags.includes('m')) || after === '')
}

function describe(diagnostics: Awaited<ReturnType<typeof check>>, source: string): Omit<Fault, 'node'> | undefined {
  if (diagnostics.status === 'safe') return undefined
  if (diagnostics.status === 'unknown') return unknown(source, String(diagnostics.error.kind))
  const { complexity, attack } = diagnostics
  const on = attack.pattern.length <= 60 ? ` on text such as ${attack.pattern}` : ''
  const is_exponential = complexity.type === 'exponential'
  const time = is_exponential ? 'exponential' : 'polynomial'
  return {
    rule: 'slow-expression',
    severity: is_exponential ? 'error' : 'warning',
    message: `the regular expression ${shorten(source)} takes ${time} time${on}`,
  }
}

function unknown(source: string, reason: string): Omit<Fault, 'node'> {
  const message = `recheck could not judge the regular expression ${shorten(source)} (${reason})`
  return { rule: 'slow-expression', severity: 'note', message }
}

function shorten(source: string): string {
  return `/${source.length > 60 ? `${source.slice(0, 60)}…` : source}/`
}

/** An expression of a plugin, and where it stands in the code. */
export interface PluginExpression {
  readonly source: string
  readonly flags: string
  readonly node: Node | undefined
}

/** The expressions in a plugin's code and conditions. */
export function listExpressions({ spec, visits }: Subject): PluginExpression[] {
  const inside = visits.flatMap(({ node }): PluginExpression[] => {
    if (node.type === 'Literal' && 'regex' in node && node.regex != null) {
      const { pattern, flags } = node.regex as { pattern: string; flags: string }
      return [{ source: pattern, flags, node }]
    }
    if (node.type !== 'NewExpression' && node.type !== 'CallExpression') return []
    if (readNames(node.callee) !== 'RegExp') return []
    const [source, flags] = (node.arguments as ESTree.Node[]).map(textOf)
    return source === undefined ? [] : [{ source, flags: flags ?? '', node }]
  })
  return [...inside, ...conditionExpressions(spec.scope.when)]
}

function textOf(node: ESTree.Node): string | undefined {
  return node.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined
}

function conditionExpressions(condition: Condition | undefined): PluginExpression[] {
  if (condition === undefined) return []
  const { not, ...wanted } = condition
  return [wanted, not ?? {}].flatMap(({ headers, cookies, query, user_agent }) =>
    [...[headers, cookies, query].flatMap((values) => Object.values(values ?? {})), user_agent].flatMap((value) =>
      typeof value === 'object' && !Array.isArray(value) && value.regex !== undefined
        ? [{ source: value.regex, flags: '', node: undefined }]
        : [],
    ),
  )
}
