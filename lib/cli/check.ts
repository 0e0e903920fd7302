import { resolve } from 'node:path'
import { countFindings } from '../tools/finding.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { readBytes, readInput } from './input.ts'
import type { TypeOptions } from './inspect-types.ts'
import { describeCounts, showFindings } from './show-findings.ts'
import type { Terminal } from './terminal.ts'

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
    .argument('<source>', 'a file, a folder with a dynacode.json, or a URL')
    .option('--globals <names...>', "the app's own names that plugins may use")
    .option('--allow <rules...>', 'rules whose findings are left out')
    .option('--types', 'check types, too; needs TypeScript')
    .option('--declarations <files...>', ".d.ts files for --types, with the app's own names")
    .action(async (source: string, _: unknown, command) => {
      finish(await check(source, command.optsWithGlobals(), terminal))
    })
}

async function check(source: string, options: CheckOptions, terminal: Terminal): Promise<number> {
  const { globals = [], allow = [], types = false, declarations = [], json } = options
  const input = await readInput(source, options)
  const { inspectDocument } = await import('../tools/inspect-document.ts')
  const { inspectTypes } = await import('./inspect-types.ts')
  const { found, plugins, document } = await inspectDocument(input, globals)
  const typing = types ? await readTypeOptions(globals, declarations) : undefined
  const typed = typing && document ? await inspectTypes(input, document, typing) : []
  const shown = [...found, ...typed].filter(({ finding }) => !allow.includes(finding.rule))
  const counts = countFindings(shown)
  if (json) {
    terminal.print(JSON.stringify({ plugins, ...counts, findings: shown.map(({ finding }) => finding) }, undefined, 2))
  } else {
    showFindings(shown, source, terminal.print, terminal)
    terminal.print(`${plugins} ${plugins === 1 ? 'plugin' : 'plugins'} checked: ${describeCounts(shown, terminal)}`)
  }
  return counts.errors + counts.warnings > 0 ? 1 : 0
}

/** What TypeScript is told: of the app's names, those that are in no declaration are of any type. */
async function readTypeOptions(globals: readonly string[], files: readonly string[]): Promise<TypeOptions> {
  // TypeScript itself says nothing of files that are missing.
  const texts = await Promise.all(files.map(async (file) => Buffer.from(await readBytes(file)).toString()))
  const words = new Set(texts.flatMap((text) => text.match(/[\p{ID_Continue}$]+/gu) ?? []))
  return { globals: globals.filter((name) => !words.has(name)), declarations: files.map((file) => resolve(file)) }
}
