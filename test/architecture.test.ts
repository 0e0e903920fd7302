import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, posix } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const LIB = join(ROOT, 'lib')

/**
 * The rooms, lowest first. A room is a folder of lib, or a file at its top. A file may import from its own room and from
 * the rows below its room's; two rooms in one row do not know each other.
 */
const ROWS: readonly (readonly string[])[] = [
  ['errors.ts', 'version.ts'],
  ['time'],
  ['validation'],
  ['matching'],
  ['document.ts'],
  ['events'],
  ['program.ts'],
  ['background/reading'],
  ['background/trust'],
  ['sources'],
  ['sources/http', 'sources/folder', 'background/compiling', 'background/cache', 'request/debug', 'request/response'],
  ['request/run', 'request/rollout'],
  ['background', 'request/guard', 'request/shadow'],
  ['request', 'control'],
  ['request/canary'],
  ['observability'],
  ['observability/log', 'observability/report', 'observability/metrics'],
  ['plugin'],
  ['plugin/phases', 'options.ts'],
  ['dynacode.ts'],
  ['index.ts', 'testing'],
  ['tools/lint'],
  ['tools'],
  ['cli/show'],
  ['cli'],
]

/** The two lines share the program and nothing else, however the rows lie. */
const LINES = ['background', 'request']

const rowOf = (room: string) => ROWS.findIndex((rooms) => rooms.includes(room))
const roomOf = (file: string) => (file.includes('/') ? posix.dirname(file) : file)
const lineOf = (file: string) => LINES.find((line) => file.startsWith(`${line}/`))

function mayImport(from: string, to: string): boolean {
  const [importer, imported] = [roomOf(from), roomOf(to)]
  if (rowOf(importer) < 0 || rowOf(imported) < 0) return false
  if (lineOf(from) !== undefined && lineOf(to) !== undefined && lineOf(from) !== lineOf(to)) return false
  return importer === imported || rowOf(imported) < rowOf(importer)
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
const imports = new Map(files.map((file) => [file, importsOf(file, read(file))]))

describe('the import direction', () => {
  test('every file of lib is in a room that has a place', () => {
    expect(files).not.toHaveLength(0)
    expect(files.filter((file) => rowOf(roomOf(file)) < 0)).toEqual([])
  })

  test('every room that has a place is there', () => {
    const rooms = new Set(files.map(roomOf))
    expect(ROWS.flat().filter((room) => !rooms.has(room))).toEqual([])
  })

  test('no file imports from above its room, or from beside it', () => {
    const forbidden = files.flatMap((file) =>
      (imports.get(file) ?? []).filter((imported) => !mayImport(file, imported)).map((to) => `${file} → ${to}`),
    )
    expect(forbidden).toEqual([])
  })

  test.each([
    ['background/poller.ts', 'request/runner.ts'],
    ['request/runner.ts', 'background/poller.ts'],
    ['request/guard/kit.ts', 'background/compiling/parser.ts'],
    ['request/guard/kit.ts', 'request/runner.ts'],
    ['sources/http/source.ts', 'background/cache/disk.ts'],
    ['errors.ts', 'options.ts'],
    ['program.ts', 'request/runner.ts'],
    ['options.ts', 'dynacode.ts'],
    ['background/poller.ts', 'dynacode.ts'],
    ['background/poller.ts', 'options.ts'],
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

describe('cycles', () => {
  test('no file imports itself by way of others', () => {
    expect(findCycle(imports)).toEqual([])
  })

  test('no room does', () => {
    const rooms = new Map<string, string[]>()
    for (const [file, imported] of imports) {
      const others = imported.map(roomOf).filter((room) => room !== roomOf(file))
      rooms.set(roomOf(file), [...(rooms.get(roomOf(file)) ?? []), ...others])
    }
    expect(findCycle(rooms)).toEqual([])
  })

  test('a cycle would be found', () => {
    const cyclic = { a: ['b', 'd'], b: ['c'], c: ['a'], d: [] }
    expect(findCycle(new Map(Object.entries(cyclic)))).toEqual(['a', 'b', 'c', 'a'])
  })
})

/** The names along one cycle, the first one again at its end; none where there is no cycle. */
function findCycle(arrows: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const visit = (at: string, path: readonly string[]): string[] => {
    if (path.includes(at)) return [...path.slice(path.indexOf(at)), at]
    if (done.has(at)) return []
    for (const next of arrows.get(at) ?? []) {
      const cycle = visit(next, [...path, at])
      if (cycle.length > 0) return cycle
    }
    done.add(at)
    return []
  }
  for (const start of arrows.keys()) {
    const cycle = visit(start, [])
    if (cycle.length > 0) return cycle
  }
  return []
}

describe('the files', () => {
  test('are each named after one thought', () => {
    const drawers = ['utils.ts', 'util.ts', 'helpers.ts', 'types.ts', 'constants.ts', 'common.ts']
    expect(files.filter((file) => drawers.includes(basename(file)))).toEqual([])
  })

  test('do not repeat the name of their folder', () => {
    const repeats = files.filter((file) => {
      const folder = basename(dirname(file))
      return folder !== '.' && new RegExp(`^${folder}(-|\\.ts$)`).test(basename(file))
    })
    expect(repeats).toEqual([])
  })

  test('are at most 25 in a folder, and 20 entries at the top of lib', () => {
    const counts = new Map<string, number>()
    for (const file of files) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1)
    expect([...counts].filter(([, count]) => count > 25)).toEqual([])
    expect(readdirSync(LIB).length).toBeLessThanOrEqual(20)
  })

  test('index.ts lists the public names in 31 lines at most', () => {
    expect(read('index.ts').trimEnd().split('\n').length).toBeLessThanOrEqual(31)
  })

  test('dynacode.ts is wiring, in 200 lines at most', () => {
    expect(read('dynacode.ts').trimEnd().split('\n').length).toBeLessThanOrEqual(200)
  })
})

describe('the map', () => {
  const page = (name: string) => readFileSync(join(ROOT, `${name}.md`), 'utf8')
  const drawn = /```text\nlib\/\n([\s\S]*?)```/.exec(page('ARCHITECTURE'))?.[1] ?? ''

  test('has a line for each folder of lib, in order, and no other', () => {
    const folders = [...new Set(files.map(dirname))].filter((folder) => folder !== '.').sort()
    const lines = [...drawn.matchAll(/^ {2}(\S+)\/ +\S/gm)].map(([, folder]) => folder)
    expect(lines).toEqual(folders)
  })

  test.each(['ARCHITECTURE', 'CONTRIBUTING'])('%s.md names no file or folder that is not there', (name) => {
    const named = [...page(name).matchAll(/`((?:lib|test|docs)\/[\w./-]*)`/g)].map(([, path = '']) => path)
    expect(named).not.toHaveLength(0)
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })

  test('ARCHITECTURE.md names no file of a line that is not there', () => {
    const named = [...page('ARCHITECTURE').matchAll(/`((?:background|request|matching|sources)\/[\w./-]*|\w+\.ts)`/g)]
    expect(named.map(([, path = '']) => path).filter((path) => !existsSync(join(LIB, path)))).toEqual([])
  })
})
