import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTable, judge } from '../report.mjs'
import { median } from '../statistics.mjs'
import { runChild } from './child.mjs'

/** What a process pays for one changed plugin of many that comes as a delta. */
export async function measureDeltas({ deltas: { count, size, turns } }) {
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-bench-'))
  const rows = []
  try {
    for (const [name, path] of [
      ['without a cache', ''],
      ['with a cache', join(folder, 'cache')],
    ]) {
      console.error(`deltas: ${name}`)
      const [first, ...others] = await runChild('delta-child.mjs', [count, size, turns, path])
      const row = (what, results) => {
        const of = (key) => median(results.map((result) => result[key]))
        const isJudged = path === '' && results.length > 1
        const target = isJudged ? judge('≤ 4 KB, thread ≤ 3 ms', of('sent') <= 4096 && of('active') <= 3) : ''
        const times = ['active', 'live_ms', 'stall_ms'].map((key) => of(key).toFixed(1))
        return [`${what}, ${name}`, of('sent').toFixed(0), ...times, target]
      }
      rows.push(row('the first delta', [first]), row(`median of ${others.length} more`, others))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const heads = [
    `one of ${count.toLocaleString('en')} plugins`,
    'bytes of the answer',
    'main thread, ms',
    'until it is live, ms',
    'longest stall, ms',
    'target',
  ]
  return { tables: [createTable(heads, rows)] }
}
