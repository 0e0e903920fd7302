import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { composeLlmsText, readContents } from '../../docs/.vitepress/contents.ts'
import { readPages } from './pages.ts'

const contents = readContents()
const listed = contents.flatMap(({ pages }) => pages.map(({ file }) => file))

describe('the table of contents in docs/README.md', () => {
  test('lists every page of docs once, and no other', () => {
    const pages = readPages().map(({ file }) => file)
    const wanted = pages.filter((file) => file.startsWith('docs/') && file !== 'docs/README.md')
    const own = listed.filter((file) => !file.startsWith('../'))
    expect(own.map((file) => `docs/${file}`).sort()).toEqual(wanted.sort())
  })

  test('has a section for each kind of reader', () => {
    expect(contents.map(({ title }) => title)).toEqual([
      'Start',
      'Writing plugins',
      'Operating',
      'Building a control plane',
      'Reference',
      'Contributing',
    ])
  })
})

test('llms.txt lists every page', () => {
  const text = composeLlmsText()
  expect(listed.filter((file) => !text.includes(`](${basename(file)}): `))).toEqual([])
})
