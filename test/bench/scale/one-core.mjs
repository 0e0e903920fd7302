import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDocuments } from '../reload/measure.mjs'
import { createTable, judge } from '../report.mjs'
import { quantile } from '../statistics.mjs'
import { startSteadyLoad } from './steady-load.mjs'

const SETTLE_MS = 3000
const PER_SECOND = 300

/** What requests wait for in a process that has one core for all of its threads, while it polls each second without an ETag. */
export async function measureOneCore({ one_core: { count, size, measure_ms } }) {
  const documents = createDocuments(count, size)
  const cases = [
    ['without polls', 86_400, () => documents.first],
    ['nothing changes', 1, () => documents.first],
    ['one plugin changes each time', 1, (nth) => (nth % 2 === 0 ? documents.first : documents.one)],
  ]
  const rows = []
  for (const [name, interval, take] of cases) {
    console.error(`one core: ${name}`)
    const { gap_ms, p99_ms, idle_mb, rss_mb } = await measureCase(interval, take, measure_ms)
    const target = interval === 1 ? judge('gap ≤ 25 ms, p99 ≤ 15 ms', gap_ms <= 25 && p99_ms <= 15) : ''
    rows.push([name, gap_ms.toFixed(1), p99_ms.toFixed(1), idle_mb.toFixed(0), rss_mb.toFixed(0), target])
  }
  const heads = [
    'polls',
    'longest gap between answers, ms',
    'p99, ms',
    'memory before, MB',
    'memory after, MB',
    'target',
  ]
  return { tables: [createTable(heads, rows)] }
}

async function measureCase(interval, take, measure_ms) {
  let asked = 0
  const api = createServer((_, response) => {
    response.setHeader('Content-Type', 'application/json')
    response.end(take(asked++))
  })
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')
  const uri = `http://127.0.0.1:${api.address().port}/`
  const child = fork(join(import.meta.dirname, 'one-core-child.mjs'), [uri, interval], {
    execPath: 'taskset',
    execArgv: ['-c', '0', process.execPath],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  try {
    const [{ port }] = await once(child, 'message')
    await sleep(SETTLE_MS)
    const before = await askMemory(child)
    const load = startSteadyLoad(port, PER_SECOND)
    await sleep(measure_ms)
    const { gap_ms, times_ms } = await load.stop()
    const after = await askMemory(child)
    const sorted = times_ms.toSorted((a, b) => a - b)
    return { gap_ms, p99_ms: quantile(sorted, 0.99), idle_mb: before, rss_mb: after }
  } finally {
    child.kill()
    api.close()
    api.closeAllConnections()
  }
}

async function askMemory(child) {
  child.send('rss')
  const [{ rss }] = await once(child, 'message')
  return rss / 1e6
}
