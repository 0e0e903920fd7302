import { resolve } from 'node:path'
import { countFindings, type Located, RULES } from '../tools/finding.ts'
import type { Inspection } from '../tools/inspect-document.ts'
import { suggest } from '../validation/suggestion.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { readBytes, readInput } from './input.ts'
import type { TypeOptions } from './inspect-types.ts'
import { describeCounts, showFindings } from './show/findings.ts'
import type { Terminal } from './show/terminal.ts'

interface CheckOptions extends CommonOptions {
  readonly globals?: readonly string[]
  readonly allow?: readonly string[]
  readonly types?: boolean
  readonly declarations?: readonly string[]
}

/** Adds `check`. */
export const addCheck: AddCommand = (program, terminal, finish) => {
  program
    .command('check')
    .summary('look for mistakes in a document and its plugins')
    .description('Looks for mistakes in a document and its plugins, without running them.')
    .argument('<source...>', 'files, folders with a dynacode.json, URLs, or - for stdin')
    .option('--globals <names...>', "the app's own names that plugins may use")
    .option('--allow <rules...>', 'rules whose findings are left out')
    .option('--types', 'check types, too; needs TypeScript')
    .option('--declarations <files...>', ".d.ts files for --types, with the app's own names")
    .action(async (sources: string[], _: unknown, command) => {
      finish(await check(sources, command.optsWithGlobals(), terminal))
    })
}

async function check(sources: readonly string[], options: CheckOptions, terminal: Terminal): Promise<number> {
  const { allow = [], json } = options
  for (const rule of allow) {
    if (!RULES.includes(rule)) throw new Failure(`--allow: unknown rule ${rule}${suggest(rule, RULES)}`)
  }
  const shown: Located[] = []
  const findings: object[] = []
  let plugins = 0
  for (const source of sources) {
    const inspected = await inspect(source, options)
    const found = inspected.found.filter(({ finding }) => !allow.includes(finding.rule))
    plugins += inspected.plugins
    shown.push(...found)
    findings.push(...found.map(({ finding }) => (sources.length === 1 ? finding : { source, ...finding })))
    if (json || found.length === 0) continue
    if (sources.length > 1) terminal.print(`${terminal.paint('bold', source)}:`)
    showFindings(found, source === '-' ? 'stdin' : source, terminal.print, terminal)
  }
  const counts = countFindings(shown)
  if (json) terminal.print(JSON.stringify({ plugins, ...counts, findings }, undefined, 2))
  else terminal.print(`${plugins} ${plugins === 1 ? 'plugin' : 'plugins'} checked: ${describeCounts(shown, terminal)}`)
  return counts.errors + counts.warnings > 0 ? 1 : 0
}

async function inspect(source: string, options: CheckOptions): Promise<Pick<Inspection, 'found' | 'plugins'>> {
  const { globals = [], types = false, declarations = [] } = options
  const input = await readInput(source, options)
  const { inspectDocument } = await import('../tools/inspect-document.ts')
  const { found, plugins, document } = await inspectDocument(input, globals)
  if (!types || document === undefined) return { found, plugins }
  const { inspectTypes } = await import('./inspect-types.ts')
  const typed = await inspectTypes(input, document, await readTypeOptions(globals, declarations))
  // What a rule has found in a place, TypeScript need not say in its own words.
  const placeOf = ({ finding: { path, line, column } }: Located) => `${path}:${line}:${column}`
  const known = new Set(found.map(placeOf))
  const broken = new Set(found.flatMap(({ finding: { rule, path } }) => (rule === 'compile' ? [path] : [])))
  const others = typed.filter((each) => !known.has(placeOf(each)) && !broken.has(each.finding.path))
  return { found: [...found, ...others], plugins }
}

/** What TypeScript gets: of the app's names, those that are in no declaration are of any type. */
async function readTypeOptions(globals: readonly string[], files: readonly string[]): Promise<TypeOptions> {
  // TypeScript itself says nothing of files that are missing.
  const texts = await Promise.all(files.map(async (file) => Buffer.from(await readBytes(file)).toString()))
  const words = new Set(texts.flatMap((text) => text.match(/[\p{ID_Continue}$]+/gu) ?? []))
  return { globals: globals.filter((name) => !words.has(name)), declarations: files.map((file) => resolve(file)) }
}
