import { checkAlikeExpressions } from '../background/reading/alike-expressions.ts'
import { checkCaps } from '../background/reading/document-caps.ts'
import { findJsonFault } from '../background/reading/json-fault.ts'
import { DEFAULT_RULES, readDocument } from '../background/reading/validator.ts'
import type { Document, Domain } from '../document.ts'
import { DocumentError } from '../errors.ts'
import { buildExpressionIndex } from '../matching/expression-index.ts'
import type { HostPattern } from '../matching/host-pattern.ts'
import { runSteps } from '../time/steps.ts'
import { createEntryFinder } from './document-entry.ts'
import { createFinding, type Located } from './finding.ts'
import { createPluginInspector, type PluginInspector } from './inspect-plugin.ts'
import { inspectUnits } from './inspect-units.ts'
import { createExpressionJudge, type ExpressionJudge } from './lint/expressions.ts'
import { listUnknownFields } from './unknown-fields.ts'

/** A document, and the text of the manifest where it was made of a folder. */
export interface DocumentText {
  readonly text: string
  readonly manifest?: string | undefined
}

/** What was found in a document. */
export interface Inspection {
  readonly found: readonly Located[]
  /** Plugins in domains, sound or not. */
  readonly plugins: number
  /** Undefined when the document is refused as a whole. */
  readonly document: Document | undefined
}

/** Everything that can be said of a document without running it. */
export async function inspectDocument(
  { text, manifest }: DocumentText,
  globals: readonly string[] = [],
  judge: ExpressionJudge = createExpressionJudge(),
): Promise<Inspection> {
  const document = read(text)
  if ('finding' in document) return { found: [document], plugins: 0, document: undefined }
  const written: unknown = JSON.parse(manifest ?? text)
  const caps = findPassedCaps(text)
  const inspector = createPluginInspector(new Set(globals), createEntryFinder(written), judge)
  const found = [...document.faults, ...findAlike(document)].map((fault) => toFinding(fault))
  found.push(...caps)
  const reported = new Set<DocumentError>()
  for (const pattern of document.skip) {
    const deviation = pattern.kind === 'literal' ? describeDeviation(pattern.host, pattern) : undefined
    if (deviation === undefined) continue
    const about = { rule: 'host-matching', severity: 'note', path: 'general.skip_domains' } as const
    found.push(createFinding({ ...about, message: deviation }))
  }
  let plugins = 0
  for (const domain of document.domains) {
    if ('error' in domain) {
      found.push(toFinding(domain.error, { domain: domain.name }))
      continue
    }
    plugins += domain.plugins.length
    found.push(...(await inspectDomain(domain, inspector, judge, reported)))
  }
  found.push(...inspectUnits(document))
  found.push(...listUnknownFields(written, new Set(found.map(({ finding }) => finding.path))))
  if (judge.is_missing()) {
    const message = 'regular expressions were not checked: npm install --save-dev recheck'
    found.push(createFinding({ rule: 'slow-expression', severity: 'note', message }))
  }
  return { found, plugins, document }
}

const WITHOUT_CAPS = Object.freeze({
  ...DEFAULT_RULES,
  max_domains: Number.POSITIVE_INFINITY,
  max_plugins: Number.POSITIVE_INFINITY,
  max_code_bytes: Number.POSITIVE_INFINITY,
})
/** The option `plugin_api_max_bytes` unless the app says otherwise. */
const MOST_BYTES = 16 * 1024 * 1024

/** What an app would refuse the document for, unless its options allow more. */
function findPassedCaps(text: string): Located[] {
  const about = { rule: 'caps', severity: 'warning' } as const
  const found: Located[] = []
  const bytes = Buffer.byteLength(text)
  if (bytes > MOST_BYTES) {
    const message = `expected at most ${MOST_BYTES} bytes (plugin_api_max_bytes), got ${bytes}${UNLESS}`
    found.push(createFinding({ ...about, message }))
  }
  const { domains, plugins } = JSON.parse(text) as { domains: unknown[]; plugins?: unknown[] | null }
  const wrap = (list: readonly unknown[]) => list.map((raw) => ({ raw }))
  try {
    runSteps(checkCaps(wrap(domains), wrap(plugins ?? []), DEFAULT_RULES))
  } catch (error) {
    const { finding } = toFinding(error as Error)
    found.push(createFinding({ ...finding, ...about, message: `${finding.message}${UNLESS}` }))
  }
  return found
}

const UNLESS = ': an app refuses the document unless its options allow more'

/** What would have an instance refuse the document, though each of its names is sound. */
function findAlike({ skip, domains }: Document): Error[] {
  const patterns = [...skip, ...domains.flatMap((domain) => ('pattern' in domain ? domain.pattern : []))]
  const expressions = patterns.flatMap((pattern) => (pattern.kind === 'expression' ? pattern.expression : []))
  try {
    checkAlikeExpressions(runSteps(buildExpressionIndex(expressions, undefined)))
    return []
  } catch (error) {
    return [error as Error]
  }
}

/** The document, or what is wrong with all of it. */
function read(text: string): Document | Located {
  try {
    return readDocument(text, WITHOUT_CAPS)
  } catch (error) {
    const fault = findJsonFault(text)
    if (fault === undefined) return toFinding(error as Error)
    const { line, column, message } = fault
    return createFinding(
      { rule: 'document', severity: 'error', line, column, message: `not valid JSON: ${message}` },
      text,
    )
  }
}

/** @param reported what was found of shared plugins: each has one fault, however many domains refer to it */
async function inspectDomain(
  domain: Domain,
  inspector: PluginInspector,
  judge: ExpressionJudge,
  reported: Set<DocumentError>,
): Promise<Located[]> {
  const { name, pattern, plugins } = domain
  const found: Located[] = []
  const about = { domain: name }
  if (pattern.kind === 'expression') {
    const fault = await judge.judge(pattern.expression.source, '')
    if (fault !== undefined) found.push(createFinding({ ...about, ...fault }))
  }
  const deviation = describeDeviation(name, pattern)
  if (deviation !== undefined) {
    found.push(createFinding({ ...about, rule: 'host-matching', severity: 'note', message: deviation }))
  }
  for (const plugin of plugins) {
    if ('error' in plugin) {
      const { error, phase = null } = plugin
      if (reported.has(error)) continue
      reported.add(error)
      found.push(toFinding(error, { domain: name, plugin: plugin.name ?? String(plugin.id), phase }))
    } else {
      found.push(...(await inspector(plugin)))
    }
  }
  return found
}

/** Where a host is matched otherwise than lua-resty-dynacode would: of its names, `*` alone is no regular expression. */
function describeDeviation(name: string, { kind }: HostPattern): string | undefined {
  if (kind === 'suffix') {
    const hosts = `every subdomain of ${name.slice(2)}`
    return `${name} is ${hosts}; lua-resty-dynacode takes it for a broken regular expression, which matches none`
  }
  if (kind !== 'literal' || name.startsWith('[')) return undefined
  return `${name} is this host alone; lua-resty-dynacode searches it as a regular expression, and finds it in x${name} too`
}

function toFinding(error: Error, about: { domain?: string; plugin?: string; phase?: string | null } = {}): Located {
  const path = error instanceof DocumentError ? error.path : ''
  const message =
    path !== '' && error.message.startsWith(`${path}: `) ? error.message.slice(path.length + 2) : error.message
  return createFinding({ rule: 'document', severity: 'error', message, path, ...about })
}
