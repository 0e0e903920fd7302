import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { ROOT, readDocsPage, tablesOf } from './pages.ts'

const NUMBERS = Array.from({ length: 60 }, (_, index) => `G${String(index + 1).padStart(2, '0')}`)
/** In one process, with processes of their own, and of the studio. */
const FOLDERS = [
  'test/guarantees',
  'test/system/guarantees',
  'test/app/failing',
  'test/app/guard',
  'test/app/responses',
  'test/background/reading',
  'test/request/guard',
  'examples/studio/test',
  'examples/studio/test/attacks',
  'examples/studio/test/web',
]
const rows = tablesOf(readDocsPage('guarantees'), 'no.').flatMap((table) => table.rows)
const titles = new Map(
  FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => [`${folder}/${name}`, titlesOf(join(ROOT, folder, name))]),
  ),
)
/** `[state](../test/guarantees/state.test.ts): “the title”` */
const TEST = /\[([\w-]+)\]\(\.\.\/([\w/-]+\/\1\.test\.ts)\): “(.+?)”(?:<br>|$)/g
const numbersOf = (title: string) => title.split(' > ').flatMap((part) => /^G\d\d\b/.exec(part)?.[0] ?? [])

describe('docs/guarantees.md', () => {
  test('has every guarantee once, in order', () => {
    expect(rows.map(([number]) => number)).toEqual(NUMBERS)
  })

  test.each(rows.map(([number = '', text = '', tests = '']) => [number, text, tests] as const))(
    '%s says what it is, and names tests of its own that are there',
    (number, text, tests) => {
      expect(text.length).toBeGreaterThan(20)
      const named = [...tests.matchAll(TEST)]
      // Nothing else stands in the cell: what is not read here is not checked.
      expect(named.map(([whole]) => whole).join('')).toBe(tests)
      expect(named.length).toBeGreaterThan(0)
      for (const [, , file = '', title = ''] of named) {
        // A bar would end the cell.
        expect(titles.get(file)).toContain(title.replaceAll(' · ', ' | '))
        expect(numbersOf(title)).toContain(number)
      }
    },
  )
})

test.each(NUMBERS)('%s has a test that is named by it', (number) => {
  expect([...titles.values()].flat().filter((title) => numbersOf(title).includes(number))).not.toEqual([])
})

/** The full titles of a file's tests, their placeholders as `…`; without those that never run. */
function titlesOf(path: string): string[] {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
  const found: string[] = []
  const visit = (node: ts.Node, around: readonly string[]): void => {
    const named = ts.isCallExpression(node) ? readCall(node) : undefined
    const inside = named === undefined ? around : [...around, named.title]
    if (named?.kind === 'test') found.push(inside.join(' > '))
    ts.forEachChild(node, (child) => visit(child, inside))
  }
  visit(source, [])
  return found
}

/** `test('…')`, `describe('…')`, and what `each`, `skipIf` and `runIf` make of them. */
function readCall({ expression, arguments: [first] }: ts.CallExpression): { kind: string; title: string } | undefined {
  const callee = /^(test|it|describe)(?:\.(?:each|skipIf|runIf)\b.*)?$/s.exec(expression.getText())
  // In `test.each(rows)('…')` the inner call has rows for a title.
  const isMade = !ts.isPropertyAccessExpression(expression)
  if (callee === null || !isMade || first === undefined) return undefined
  const text = ts.isStringLiteralLike(first)
    ? first.text
    : ts.isTemplateExpression(first)
      ? first.getText().slice(1, -1)
      : undefined
  if (text === undefined) return undefined
  return { kind: callee[1] === 'describe' ? 'describe' : 'test', title: text.replace(/%[a-z]|\$\{[^}]*\}/g, '…') }
}
