import type { AddCommand, CommonOptions } from './command.ts'
import { readInput } from './input.ts'
import { inspectDocument } from './inspect-document.ts'
import { countFindings, describeCounts, showFindings } from './show-findings.ts'
import type { Terminal } from './terminal.ts'

interface CheckOptions extends CommonOptions {
  readonly globals?: readonly string[]
  readonly allow?: readonly string[]
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
    .action(async (source: string, _: unknown, command) => {
      finish(await check(source, command.optsWithGlobals(), terminal))
    })
}

async function check(source: string, options: CheckOptions, terminal: Terminal): Promise<number> {
  const { globals = [], allow = [], json } = options
  const { found, plugins } = await inspectDocument(await readInput(source), globals)
  const shown = found.filter(({ finding }) => !allow.includes(finding.rule))
  const counts = countFindings(shown)
  if (json) {
    terminal.print(JSON.stringify({ plugins, ...counts, findings: shown.map(({ finding }) => finding) }, undefined, 2))
  } else {
    showFindings(shown, source, terminal.print, terminal)
    terminal.print(`${plugins} ${plugins === 1 ? 'plugin' : 'plugins'} checked: ${describeCounts(shown, terminal)}`)
  }
  return counts.errors + counts.warnings > 0 ? 1 : 0
}
