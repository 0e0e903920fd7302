import type { Document } from '../document.ts'
import { messageOf } from '../errors.ts'
import type { Difference } from '../tools/compare-documents.ts'
import { diffLines } from '../tools/line-changes.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { readInput } from './input.ts'
import type { Style, Terminal } from './show/terminal.ts'

/** Lines that are shown around changed ones. */
const AROUND = 2

/** Adds `diff`. */
export const addDiff: AddCommand = (program, terminal, finish) => {
  program
    .command('diff')
    .summary('show what is different in another document')
    .description(
      'Shows what is different in the second document, in words and as code. Ends with 1 when anything is different.',
    )
    .argument('<before>', 'a file, a folder with a dynacode.json, a URL, or - for stdin')
    .argument('<after>', 'the same')
    .action(async (before: string, after: string, _: unknown, command) => {
      const options = command.optsWithGlobals() as CommonOptions
      const { json } = options
      const { compareDocuments } = await import('../tools/compare-documents.ts')
      const differences = compareDocuments(await read(before, options), await read(after, options))
      if (json) terminal.print(JSON.stringify(differences, undefined, 2))
      else if (differences.length === 0) terminal.print('no differences')
      else for (const difference of differences) show(difference, terminal)
      finish(differences.length === 0 ? 0 : 1)
    })
}

async function read(source: string, options: CommonOptions): Promise<Document> {
  const { text } = await readInput(source, options)
  const { readDocument } = await import('../background/reading/validator.ts')
  try {
    return readDocument(text)
  } catch (cause) {
    throw new Failure(`${source}: ${messageOf(cause)}`, 2, cause)
  }
}

const STYLES: Readonly<Record<string, Style>> = Object.freeze({
  added: 'green',
  '+': 'green',
  removed: 'red',
  '-': 'red',
  changed: 'yellow',
  ' ': 'dim',
})

function show({ kind, domain, plugin, phase, changes, code }: Difference, { print, paint }: Terminal): void {
  const what =
    domain === null
      ? 'the document'
      : plugin === null
        ? `the domain ${domain}`
        : `${plugin} (${phase === null ? '' : `${phase}, `}${domain})`
  print(`${paint(STYLES[kind] as Style, kind)} ${paint('bold', what)}`)
  for (const change of changes) print(`  ${change}`)
  if (code === null) return
  const lines =
    code.before === ''
      ? code.after.split('\n').map((line) => ({ kind: '+' as const, line }))
      : code.after === ''
        ? code.before.split('\n').map((line) => ({ kind: '-' as const, line }))
        : diffLines(code.before, code.after)
  const changed = lines.flatMap((each, index) => (each.kind === ' ' ? [] : [index]))
  const shown = new Set(
    changed.flatMap((index) => Array.from({ length: 2 * AROUND + 1 }, (_, step) => index - AROUND + step)),
  )
  let skipped = false
  for (const [index, { kind: mark, line }] of lines.entries()) {
    if (!shown.has(index)) {
      skipped = true
      continue
    }
    if (skipped) print(paint('dim', '    …'))
    skipped = false
    print(paint(STYLES[mark] as Style, `  ${mark} ${line}`.trimEnd()))
  }
}
