import { createCompiler } from '../background/compiling/compiler.ts'
import { parseCode } from '../background/compiling/parser.ts'
import type { Node } from '../background/compiling/syntax-tree.ts'
import type { PluginSpec } from '../document.ts'
import type { CompileError } from '../errors.ts'
import { type EntryFinder, fileOf } from './document-entry.ts'
import { createFinding, type Finding, type Located } from './finding.ts'
import { findEndlessLoops } from './lint/endless-loops.ts'
import { type ExpressionJudge, listExpressions } from './lint/expressions.ts'
import { findOpenAccess } from './lint/fails-open.ts'
import { findFloatingPromises } from './lint/floating-promises.ts'
import { findGuardedRollout } from './lint/guarded-rollout.ts'
import { createSubject, type Fault, type Lint } from './lint/rule.ts'
import { findUnknownNames } from './lint/unknown-names.ts'
import { findWrongPhase } from './lint/wrong-phase.ts'

/** Finds what is wrong with a plugin. One that stands in the document many times is looked at once. */
export type PluginInspector = (spec: PluginSpec) => Promise<readonly Located[]>

const LINTS: readonly Lint[] = [
  findUnknownNames,
  findFloatingPromises,
  findEndlessLoops,
  findWrongPhase,
  findOpenAccess,
  findGuardedRollout,
]

/** Makes an inspector for the plugins of one document. */
export function createPluginInspector(
  globals: ReadonlySet<string>,
  find: EntryFinder,
  judge: ExpressionJudge,
): PluginInspector {
  const compiler = createCompiler({
    compile_cache_max: 1,
    globals: Object.fromEntries([...globals].map((name) => [name, undefined])),
  })
  const seen = new Set<string>()

  return async function inspectPlugin(spec) {
    const { name, code, phase, on_failure, shadow, domain, path, scope } = spec
    const entry = find(spec)
    const opens_on_purpose = (entry.own.on_failure ?? entry.shared.on_failure) === 'open'
    const { when, stop_when, share, expires_at } = scope
    const rollout = [stop_when, share?.schedule, expires_at]
    const key = JSON.stringify([name, code, phase, on_failure, shadow, when, rollout, opens_on_purpose])
    if (seen.has(key)) return []
    seen.add(key)
    const about = { plugin: name, domain, phase, path, file: fileOf(entry, name) }
    try {
      compiler.compile(spec)
    } catch (error) {
      return [createFinding({ ...about, rule: 'compile', severity: 'error', ...placeOf(error as CompileError) }, code)]
    }
    const parsed = parseCode(code)
    const subject = createSubject(spec, parsed, globals, opens_on_purpose)
    const faults = LINTS.flatMap((lint) => lint(subject))
    for (const { source, flags, node } of listExpressions(subject)) {
      const fault = await judge.judge(source, flags)
      if (fault !== undefined) faults.push({ ...fault, node })
    }
    const begin = ({ node }: Fault) => node?.start ?? 0
    return faults
      .sort((a, b) => begin(a) - begin(b))
      .map(({ rule, severity, message, node }) =>
        createFinding({ ...about, rule, severity, message, ...placeIn(code, node, parsed.offset) }, code),
      )
  }
}

function placeOf(error: CompileError): Pick<Finding, 'message' | 'line' | 'column'> {
  const { line = null, column = null } = error
  // The plugin and the place are shown anyway.
  const place = [error.line, error.column].filter((part) => part !== undefined)
  const head = `plugin ${JSON.stringify(error.plugin)}${place.map((part) => `:${part}`).join('')}: `
  return { line, column, message: error.message.startsWith(head) ? error.message.slice(head.length) : error.message }
}

function placeIn(code: string, node: Node | undefined, offset: number): Pick<Finding, 'line' | 'column'> {
  if (node === undefined) return { line: null, column: null }
  const lines = code.slice(0, node.start - offset).split(/\r\n|[\n\r\u2028\u2029]/)
  return { line: lines.length, column: (lines.at(-1) as string).length + 1 }
}
