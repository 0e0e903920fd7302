import { describe, expect, test } from 'vitest'
import { readDocsPage, readPages, tablesOf } from './pages.ts'

const readme = readPages().find(({ file }) => file === 'README.md')
if (readme === undefined) throw new Error('there is no README.md')
const [before = ''] = readme.prose.split(/^## Documentation$/m)

describe('the README', () => {
  test('says what a request costs as the benchmarks do', () => {
    const [cost = ''] = /(?<=\*\*)dynacode adds .*?(?=\*\*)/s.exec(readDocsPage('benchmarks').prose) ?? []
    expect(cost).not.toBe('')
    expect(readme.prose.replace(/\s+/g, ' ')).toContain(cost.replace(/\s+/g, ' '))
  })

  test('leads from each use to its recipe or guide', () => {
    const [uses] = tablesOf(readme, 'You want to')
    expect(uses?.rows.length).toBeGreaterThanOrEqual(8)
    for (const [, recipe = ''] of uses?.rows ?? []) {
      expect(recipe).toMatch(/^\[.*\]\(docs\/(cookbook\.md#|guide-rollout\.md)/)
    }
  })

  test('shows the two lines, the quick start and the studio before the links', () => {
    expect([...before.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, picture]) => picture)).toEqual([
      'docs/images/two-lines.svg',
      'docs/images/quick-start.svg',
      'docs/studio/editor.png',
    ])
  })
})
