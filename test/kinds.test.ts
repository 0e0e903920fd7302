import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
/** Folders of tests that start processes; all others run in the process of `npm test`. */
const WITH_PROCESSES = /^test\/(system|chaos|soak|bench|fleet|nodes|package)\//

const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  .map((file) => `test/${file.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('.ts'))
const imports = new Map(files.map((file) => [file, importsOf(file)]))

/** What a file imports when it runs: of the repository by its path, of Node by its name. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8').replace(/^(import|export) type .*$/gm, '')
  return ts
    .preProcessFile(text)
    .importedFiles.map(({ fileName }) => fileName)
    .map((name) => (name.startsWith('.') ? posix.join(posix.dirname(file), name) : name))
}

/** The files on the way to one that starts processes; none where there is no such way. */
function findWayToProcess(file: string, way: readonly string[] = []): readonly string[] {
  if (file === 'node:child_process' || file === 'node:cluster') return [...way, file]
  if (way.includes(file)) return []
  for (const next of imports.get(file) ?? []) {
    const found = findWayToProcess(next, [...way, file])
    if (found.length > 0) return found
  }
  return []
}

test('what `npm test` runs starts no process: that is for test/system', () => {
  const tests = files.filter((file) => file.endsWith('.test.ts') && !WITH_PROCESSES.test(file))
  expect(tests.length).toBeGreaterThan(100)
  expect(tests.map((file) => findWayToProcess(file)).filter((way) => way.length > 0)).toEqual([])
})

test('such a way is found through fixtures', () => {
  expect(findWayToProcess('test/system/guard/reloads.test.ts')).toEqual([
    'test/system/guard/reloads.test.ts',
    'test/fixtures/child.ts',
    'node:child_process',
  ])
})
