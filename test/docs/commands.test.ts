import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createProgram } from '../../lib/cli/command-line.ts'
import { callCommand } from '../fixtures/command-line.ts'
import { type Block, readDocsPage, readOtherPages, readPages } from './pages.ts'

const SHELL: ReadonlySet<string> = new Set(['text', 'sh', 'bash', 'console'])

/** The commands of dynacode's own that a block shows, each as its words. */
function commandsIn({ lang, text }: Block): { line: string; words: string[] }[] {
  if (!SHELL.has(lang)) return []
  return text.split(/\n| && /).flatMap((line) => {
    const [, shown] = /^(?:\$ )?(?:npx )?dynacode ([a-z].*?)(?: [|>] .*)?$/.exec(line.trim()) ?? []
    if (shown === undefined) return []
    const words = [...shown.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '')
    return [{ line: shown, words }]
  })
}

describe('the commands on the pages', () => {
  const shown = [...readPages(), ...readOtherPages()].flatMap(({ blocks }) =>
    blocks.flatMap((block) => commandsIn(block).map((command) => ({ ...command, place: block.place }))),
  )

  test('are found', () => {
    expect(shown.length).toBeGreaterThan(8)
  })

  test.each(shown)('$place: dynacode $line has only options that there are', ({ words }) => {
    const program = createProgram({ print() {}, printError() {}, paint: (_, text) => text }, () => {})
    const { operands, unknown } = program.parseOptions(words)
    const [name, ...rest] = operands
    const command = program.commands.find((candidate) => candidate.name() === name)
    expect(program.commands.map((candidate) => candidate.name())).toContain(name)
    const parsed = command?.parseOptions([...rest, ...unknown])
    expect(parsed?.unknown).toEqual([])
    const needed = command?.registeredArguments.filter(({ required }) => required).length ?? 0
    expect(parsed?.operands.length).toBeGreaterThanOrEqual(needed)
  })
})

test.each(['trust', 'cli', 'debugging'])('the keys and signatures of docs/%s.md come about as shown', async (page) => {
  const block = readDocsPage(page).blocks.find(({ lang, text }) => lang === 'text' && text.includes('dynacode keygen'))
  const commands = commandsIn(block as Block)
  expect(commands.length).toBeGreaterThan(1)
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-docs-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'plugins'))
  const document = { domains: [{ name: '*', plugins: [{ name: 'hi', phase: 'content', code: `say('hi')` }] }] }
  writeFileSync(join(folder, 'plugins', 'dynacode.json'), JSON.stringify(document))
  for (const { line, words } of commands) {
    const here = words.map((word) => (/^(plugins|keys|debug-keys)\b/.test(word) ? join(folder, word) : word))
    const { exit_code, errors } = await callCommand(...here)
    expect({ line, exit_code, errors: exit_code === 0 ? '' : errors }).toEqual({ line, exit_code: 0, errors: '' })
  }
})
