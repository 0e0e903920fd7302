import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../lib/cli/command-line.ts'
import { RULES } from '../../lib/tools/finding.ts'
import { codeIn, readDocsPage, tablesOf } from './pages.ts'

const program = createProgram({ print() {}, printError() {}, paint: (_, text) => text }, () => {})
const page = readDocsPage('cli')
const sections = new Map(
  page.prose
    .split(/^## /m)
    .map((text, index) => (index === 0 ? ['', text] : [text.slice(0, text.indexOf('\n')), text])),
)

const sorted = (names: Iterable<string>) => [...names].sort()
const flagsOf = ({ options }: Command) =>
  options.map(({ flags }) => flags).filter((flags) => !flags.includes('--version'))

/** The options in a section's table. */
function documented(text: string): string[] {
  const rows = text.split(/^\| option \|.*\n.*\n/m).slice(1)
  const lines = rows.flatMap((table) => table.slice(0, /^(?!\|)/m.exec(table)?.index).split('\n'))
  return lines.filter((line) => line.startsWith('| ')).map((line) => codeIn(line.split(' | ')[0] ?? '').join(', '))
}

describe('docs/cli.md', () => {
  test('has a section for every command, and no other', () => {
    const names = program.commands.map((command) => command.name())
    expect(sorted([...sections.keys()].filter((name) => name !== ''))).toEqual(sorted(names))
  })

  test('has the options of all commands', () => {
    expect(sorted(documented(sections.get('') as string))).toEqual(
      sorted([...flagsOf(program), '-v, --version', '-h, --help']),
    )
  })

  test.each(program.commands.map((command) => [command.name(), command] as const))(
    '%s: shows how it is called, and every option',
    (name, command) => {
      const section = sections.get(name) as string
      const words = command.registeredArguments.map(
        (argument) =>
          ` ${argument.required ? `<${argument.name()}${argument.variadic ? '...' : ''}>` : `[${argument.name()}]`}`,
      )
      expect(section).toContain(`\`dynacode ${name}${words.join('')}`)
      expect(sorted(documented(section))).toEqual(sorted(flagsOf(command)))
    },
  )
})

test('docs/cli.md lists every rule of check, and no other', () => {
  const table = tablesOf(page, 'rule')[0]
  expect(sorted(table?.rows.map(([rule]) => codeIn(rule ?? '')[0] ?? '') ?? [])).toEqual(sorted(RULES))
})
