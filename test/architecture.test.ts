import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const LIB = join(import.meta.dirname, '..', 'lib')

// Lowest first. A file may import from the rows below its own and from its own group; two groups in one row
// don't know each other. Cycles within a group are for the lint rule noImportCycles.
const LAYERS = [
  [/^errors\.ts$/],
  // What both lines may use: every file at the top of lib that no other row names.
  [
    /^(?!(errors|dynacode|readiness|status|control|report|reporting|index|redis.*|memcached.*|metrics|published-.*|testing|tools|plugin.*)\.ts$)[^/]+\.ts$/,
  ],
  [/^background\//, /^request\//],
  [
    // The factory and what only it is made of.
    /^((dynacode|readiness|status|control|report|reporting)\.ts$|report\/)/,
    // The package's other entries, each with what is its own.
    /^(redis.*|memcached.*|published-document)\.ts$/,
    /^plugin(\.ts$|\/)/,
    /^plugin-types(\.ts$|\/)/,
  ],
  // What is for tests makes instances, and metrics look at them.
  [/^index\.ts$/, /^(testing\.ts$|conformance\/|plugin-app)/, /^metrics(\.ts$|\/)/],
  // What can be done with documents without an instance of one's own, and the command line, which is a face of it.
  [/^tools(\.ts$|\/)/],
  [/^cli\//],
]

function placeOf(file: string): { row: number; group: RegExp } | undefined {
  for (const [row, groups] of LAYERS.entries()) {
    const group = groups.find((pattern) => pattern.test(file))
    if (group) return { row, group }
  }
  return undefined
}

function mayImport(from: string, to: string): boolean {
  const [importer, imported] = [placeOf(from), placeOf(to)]
  if (!importer || !imported) return false
  return imported.row < importer.row || imported.group === importer.group
}

/** Files of lib that this one imports, re-exports or names in an import type, relative to lib. */
function importsOf(file: string, source: string): string[] {
  return ts
    .preProcessFile(source)
    .importedFiles.map((reference) => reference.fileName)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.join(posix.dirname(file), specifier))
}

const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll('\\', '/'))

const read = (file: string) => readFileSync(join(LIB, file), 'utf8')

describe('the import direction', () => {
  test('every file of lib has a place in the layers', () => {
    expect(files).not.toHaveLength(0)
    expect(files.filter((file) => !placeOf(file))).toEqual([])
  })

  test.each(files)('%s imports nothing from above or beside its layer', (file) => {
    const forbidden = importsOf(file, read(file)).filter((imported) => !mayImport(file, imported))
    expect(forbidden).toEqual([])
  })

  test.each([
    ['background/poller.ts', 'request/runner.ts'],
    ['request/runner.ts', 'background/poller.ts'],
    ['errors.ts', 'options.ts'],
    ['program.ts', 'request/runner.ts'],
    ['options.ts', 'dynacode.ts'],
    ['background/poller.ts', 'dynacode.ts'],
    ['drawer/poller.ts', 'errors.ts'],
    ['dynacode.ts', 'index.ts'],
    ['request/runner.ts', '../test/plugin-api.ts'],
  ])('%s may not import %s', (from, to) => {
    expect(mayImport(from, to)).toBe(false)
  })

  test('every way to write an import is seen', () => {
    const source = [
      `import './a.ts'`,
      `import type { B } from './b.ts'`,
      `export type { C } from '../c.ts'`,
      `export * from './d.ts'`,
      `const e = await import('./e.ts')`,
      `type F = import('./f.ts').F`,
      `import koa from 'koa'`,
    ].join('\n')
    expect(importsOf('request/x.ts', source)).toEqual([
      'request/a.ts',
      'request/b.ts',
      'c.ts',
      'request/d.ts',
      'request/e.ts',
      'request/f.ts',
    ])
  })
})

describe('the files', () => {
  test('are each named after one thought', () => {
    const drawers = ['utils.ts', 'util.ts', 'helpers.ts', 'types.ts', 'constants.ts', 'common.ts']
    expect(files.filter((file) => drawers.includes(basename(file)))).toEqual([])
  })

  test('index.ts lists the public names in 30 lines at most', () => {
    expect(read('index.ts').trimEnd().split('\n').length).toBeLessThanOrEqual(30)
  })
})
