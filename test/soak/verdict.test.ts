import { describe, expect, test } from 'vitest'
import { judge, type Stretch } from './verdict.ts'

const MB = 1024 * 1024

/** Stretches of a soak in which all is well, but for what a test has them be. */
function stretches(change: (index: number) => Partial<Stretch> & { heap?: number; handles?: string[] } = () => ({})) {
  return Array.from({ length: 9 }, (_, index): Stretch => {
    const { heap = 40 * MB + (index % 2) * 1000, handles = ['TCPServerWrap'], ...rest } = change(index)
    const count = (index + 1) * 100
    const counts = { reloads: count, compiled: count, refused: count, runs: count, failed_runs: count }
    return { sample: { heap, handles, ...counts }, requests: 100, failed: 0, p50_ms: 1, p99_ms: 5, ...rest }
  })
}

describe('a soak', () => {
  test('is satisfied with what stays flat', () => {
    expect(judge(stretches())).toEqual([])
  })

  test('is not unsettled by a stretch in which the machine was busy, or the heap not yet collected', () => {
    expect(judge(stretches((index) => (index === 7 ? { p50_ms: 30, heap: 60 * MB } : {})))).toEqual([])
  })

  test.each([
    ['a heap that grows', (index: number) => ({ heap: (40 + index) * MB }), /the heap grew from 41.00 MB to 47.00 MB/],
    [
      'requests that take longer and longer',
      (index: number) => ({ p50_ms: 1 + index }),
      /took 1.00 ms at first, and 7/,
    ],
    [
      'handles that gather',
      (index: number) => ({ handles: Array(index).fill('Timeout') }),
      /handles were none at first/,
    ],
    ['requests that fail', (index: number) => ({ failed: index === 3 ? 2 : 0 }), /2 requests failed/],
  ])('complains of %s', (_what, change, expected) => {
    expect(judge(stretches(change)).join('\n')).toMatch(expected)
  })

  test('complains when nothing has happened', () => {
    const idle = stretches().map((stretch) => ({ ...stretch, sample: { ...stretch.sample, reloads: 0 } }))
    expect(judge(idle)).toEqual(['only 0 reloads: too few to say anything'])
  })
})
