import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { callJson } from '../fixtures/command-line.ts'
import { ROOT, readDocsPage } from './pages.ts'

const COOKBOOK = join(ROOT, 'examples', 'cookbook')

const { blocks } = readDocsPage('cookbook')
const shown = blocks.map(({ marks, text }) => ({ file: marks.get('file') ?? '', text }))
const files = readdirSync(COOKBOOK, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ parentPath, name }) =>
    join(parentPath, name)
      .slice(COOKBOOK.length + 1)
      .replaceAll('\\', '/'),
  )

describe('docs/cookbook.md', () => {
  test('shows every file of the cookbook once, and nothing else', () => {
    const wanted = files.filter((file) => !file.endsWith('.test.ts'))
    expect(wanted.length).toBeGreaterThan(40)
    expect(shown.map(({ file }) => file).sort()).toEqual(wanted.sort())
  })

  test.each(shown)('shows $file as it is', ({ file, text }) => {
    expect(`${text}\n`).toBe(readFileSync(join(COOKBOOK, file), 'utf8'))
  })
})

const recipes = [...new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0] ?? ''))]
/** What the apps of the recipes offer plugins. */
const GLOBALS = ['flags', 'secrets', 'server', 'upstreams']

test.each(recipes)('%s passes the checks of the command line', async (recipe) => {
  const found = await callJson('check', join(COOKBOOK, recipe), '--allow', 'host-matching', '--globals', ...GLOBALS)
  expect(found.plugins).toBeGreaterThan(0)
  expect(found.findings).toEqual([])
})

test('every recipe has a test', () => {
  expect(recipes.filter((name) => !files.includes(`${name}/${name}.test.ts`))).toEqual([])
})
