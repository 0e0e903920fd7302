import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bringUpToDate } from '../up-to-date.ts'

function setUp() {
  const folder = mkdtempSync(join(tmpdir(), 'up-to-date-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = (name: string) => join(folder, name)
  const write = (name: string, text: string) => writeFileSync(path(name), text)
  mkdirSync(path('lib/inner'), { recursive: true })
  write('lib/inner/a.ts', 'a')
  write('lock', '1')
  let makes = 0
  let fails = false
  const make = (name: string) => () => {
    if (fails) throw new Error('cannot be built')
    makes += 1
    write(name, `made ${makes}`)
    utimesSync(path(name), makes, makes)
  }
  const steps = [
    { name: 'package', inputs: [path('lib')], output: path('dist'), make: make('dist') },
    { name: 'pages', inputs: [path('lock'), path('none')], output: path('pages'), make: make('pages') },
  ]
  /** What was made this time. */
  const run = () => {
    const made: string[] = []
    bringUpToDate(steps, path('stamps.json'), (name) => made.push(name))
    return made
  }
  const fail = (does: boolean) => {
    fails = does
  }
  return { path, write, run, fail }
}

describe('what the studio is made of', () => {
  test('is made once, and not again while nothing is different', () => {
    const { run, write } = setUp()
    expect([run(), run(), run()]).toEqual([['package', 'pages'], [], []])
    // The same content, written once more.
    write('lib/inner/a.ts', 'a')
    expect(run()).toEqual([])
  })

  test.each<[string, (given: ReturnType<typeof setUp>) => void, string[]]>([
    ['a file is changed', ({ write }) => write('lib/inner/a.ts', 'b'), ['package', 'pages']],
    ['a file is added', ({ write }) => write('lib/b.ts', ''), ['package', 'pages']],
    ['a file is removed', ({ path }) => rmSync(path('lib/inner/a.ts')), ['package', 'pages']],
    ['the lock file is another', ({ write }) => write('lock', '2'), ['pages']],
    ['a file comes that was not there', ({ write }) => write('none', ''), ['pages']],
    ['the output is gone', ({ path }) => rmSync(path('dist')), ['package']],
    ['someone else has made the output', ({ write }) => write('dist', 'of other sources'), ['package']],
    ['nobody can read what was made', ({ write }) => write('stamps.json', '['), ['package', 'pages']],
  ])('is made again when %s', (_, change, made) => {
    const given = setUp()
    given.run()
    change(given)
    expect([given.run(), given.run()]).toEqual([made, []])
  })

  test('counts as made only when that has worked', () => {
    const { run, fail } = setUp()
    fail(true)
    expect(run).toThrow('cannot be built')
    fail(false)
    expect(run()).toEqual(['package', 'pages'])
  })
})
