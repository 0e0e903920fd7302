import { createTable, judge } from '../report.mjs'
import { median, quantile } from '../statistics.mjs'
import { drawBars } from './chart.mjs'
import { runChild } from './child.mjs'

/** Of fewer requests the slowest hundredth is one request, or none. */
const LEAST_REQUESTS = 200
const p99Of = (times) =>
  quantile(
    times.toSorted((a, b) => a - b),
    0.99,
  )
const tenths = (value) => value.toFixed(1)

/** Reloads of many plugins while requests come in, each turn in a process of its own. */
export async function measureRefresh({ refresh: { turns, count, size } }) {
  const results = []
  for (let turn = 0; turn < turns; turn += 1) {
    console.error(`refresh: ${turn + 1} of ${turns}`)
    results.push(await runChild('refresh-child.mjs', [count, size]))
  }
  const [idle, ...reloads] = results[0].reloads.map(({ reload }, place) =>
    summarize(
      reload,
      results.map((result) => result.reloads[place]),
    ),
  )
  const bytes = `${(results[0].bytes / 1e6).toFixed(1)} MB`
  const heads = [
    `a document of ${count.toLocaleString('en')} plugins, ${bytes}`,
    'wall, ms',
    'main thread, ms',
    'longest stall, ms',
    'the worst of all turns',
    'p99 of requests, ms',
    '÷ without a reload',
    'target',
  ]
  const rows = [idle, ...reloads].map((each) => [
    each.reload,
    tenths(each.wall_ms),
    tenths(each.main_thread_ms),
    tenths(each.stall_ms),
    tenths(each.worst_ms),
    each.p99_ms === undefined ? 'too few' : tenths(each.p99_ms),
    each.p99_ms === undefined ? '' : (each.p99_ms / idle.p99_ms).toFixed(2),
    each === idle ? '' : judgeReload(each, idle),
  ])
  return {
    tables: [`Medians of ${turns} turns.`, createTable(heads, rows)],
    pictures: {
      'scale-reload-stall.svg': {
        about: 'Longest stall of the event loop during a reload, in milliseconds',
        svg: drawReloads('Longest stall of the event loop, ms', [idle, ...reloads], ({ stall_ms }) => stall_ms),
      },
      'scale-reload-thread.svg': {
        about: 'Time of the main thread that a reload takes, in milliseconds',
        svg: drawReloads('Time of the main thread, ms', reloads, ({ main_thread_ms }) => main_thread_ms),
      },
    },
  }
}

function summarize(reload, turns) {
  const middle = (name) => median(turns.map((turn) => turn[name]))
  const requests = turns.flatMap(({ requests_ms }) => requests_ms)
  return {
    reload,
    wall_ms: middle('wall_ms'),
    main_thread_ms: middle('main_thread_ms'),
    stall_ms: middle('stall_ms'),
    worst_ms: Math.max(...turns.map(({ stall_ms }) => stall_ms)),
    p99_ms: requests.length < LEAST_REQUESTS ? undefined : p99Of(requests),
  }
}

function judgeReload({ reload, main_thread_ms, stall_ms, p99_ms }, idle) {
  const goals = [judge('stall ≤ 10 ms beyond', stall_ms - idle.stall_ms <= 10)]
  if (p99_ms !== undefined) goals.push(judge('p99 ≤ 1.5', p99_ms / idle.p99_ms <= 1.5))
  if (reload.startsWith('no change')) goals.push(judge('thread ≤ 1 ms', main_thread_ms <= 1))
  return goals.join(', ')
}

const drawReloads = (title, reloads, take) =>
  drawBars({
    title,
    bars: reloads.map((each) => ({ name: each.reload, value: take(each), label: tenths(take(each)) })),
  })
