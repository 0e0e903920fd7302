import { pack_document } from 'dynacode/tools'
import { expect, test } from 'vitest'
import { spreadFiles } from '../server/git/spread-files.ts'

const plugin = (name: string, code: string) => ({ name, phase: 'access', code })
const named = (name: string, file: string) => ({ name, phase: 'access', file })
const documentOf = (...plugins: object[]) => JSON.stringify({ general: {}, domains: [{ name: 'a', plugins }] })

/** What is there, and what becomes of it. */
async function spreadOver(files: Record<string, string>, manifest: readonly object[], plugins: readonly object[]) {
  const there = new Map(Object.entries({ ...files, 'dynacode.json': documentOf(...manifest) }))
  const text = documentOf(...plugins)
  const { written, removed } = spreadFiles(text, { files: there, text: await pack_document(there) })
  const result = new Map([...there, ...written])
  for (const name of removed) result.delete(name)
  expect(JSON.parse(await pack_document(result))).toEqual(JSON.parse(text))
  return { written: [...written.keys()].sort(), removed, result }
}

test('leaves the files of what did not change, wherever they are', async () => {
  const files = { 'deep/a.js': '1', 'b.ts': 'const b: number = 1' }
  const manifest = [named('a', './deep/../deep/a.js'), named('b', 'b.ts')]
  const plugins = [plugin('a', '2'), plugin('b', 'const b         = 1')]
  expect(await spreadOver(files, manifest, plugins)).toMatchObject({
    written: ['deep/a.js', 'dynacode.json'],
    removed: [],
  })
})

test('gives a file of its own to what was changed, of several that share one', async () => {
  for (const changed of ['a', 'b']) {
    const plugins = ['a', 'b'].map((name) => plugin(name, name === changed ? '2' : '1'))
    const { written } = await spreadOver({ 's.js': '1' }, [named('a', 's.js'), named('b', 's.js')], plugins)
    expect(written).toEqual([`${changed}.js`, 'dynacode.json'])
  }
})

test('writes over no file that is there for something else', async () => {
  const { written, result } = await spreadOver({ 'a.js': 'a test of mine' }, [], [plugin('a', '1')])
  expect(written).toEqual(['a-2.js', 'dynacode.json'])
  expect(result.get('a.js')).toBe('a test of mine')
})

test('takes away the files of what is gone, and never the manifest', async () => {
  const { removed } = await spreadOver(
    { 'a.js': '1', 'other.js': '2' },
    [named('a', 'a.js'), named('self', 'dynacode.json')],
    [],
  )
  expect(removed).toEqual(['a.js'])
})

test('knows variants by the plugin they are of', async () => {
  const variants = (code: string) => ({
    name: 'v',
    phase: 'access',
    variants: [
      { name: 'x', percent: 5, code },
      { name: 'y', percent: 5, code: '1' },
    ],
  })
  const manifest = {
    name: 'v',
    phase: 'access',
    variants: [
      { name: 'x', percent: 5, file: 'one.js' },
      { name: 'y', percent: 5, file: 'two.js' },
    ],
  }
  const { written } = await spreadOver({ 'one.js': '1', 'two.js': '1' }, [manifest], [variants('2')])
  expect(written).toEqual(['dynacode.json', 'one.js'])
})
