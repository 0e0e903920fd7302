import type { Severity } from './lint/rule.ts'

/** What `rule` of a finding may be. */
export const RULES: readonly string[] = Object.freeze([
  'document',
  'unknown-field',
  'caps',
  'compile',
  'unknown-name',
  'endless-loop',
  'slow-expression',
  'floating-promise',
  'wrong-phase',
  'fails-open',
  'guarded-rollout',
  'unit',
  'types',
  'host-matching',
])

/** A finding in a document. */
export interface Finding {
  readonly rule: string
  readonly severity: Severity
  /** One sentence. */
  readonly message: string
  readonly plugin: string | null
  readonly domain: string | null
  readonly phase: string | null
  /** Position in the document, such as `domains[0].plugins[2]`; '' for the whole document. */
  readonly path: string
  /** The file with the code, if it comes from a folder. */
  readonly file: string | null
  /** Line in the plugin's code, or in the document if there is no plugin; from 1. */
  readonly line: number | null
  readonly column: number | null
}

/** A finding with the text that its line and column are in. */
export interface Located {
  readonly finding: Finding
  readonly text: string | undefined
}

/** Makes a finding from what is known of it. */
export function createFinding(
  known: Pick<Finding, 'rule' | 'severity' | 'message'> & Partial<Finding>,
  text?: string,
): Located {
  const nowhere = { plugin: null, domain: null, phase: null, path: '', file: null, line: null, column: null }
  return { finding: Object.freeze({ ...nowhere, ...known }), text }
}

/** How many findings there are of each severity. */
export function countFindings(found: readonly Located[]): Record<`${Severity}s`, number> {
  const count = (severity: Severity) => found.filter(({ finding }) => finding.severity === severity).length
  return { errors: count('error'), warnings: count('warning'), notes: count('note') }
}
