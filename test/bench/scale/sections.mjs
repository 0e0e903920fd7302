import { measureCalls } from '../calls.mjs'
import { measureHttp } from '../http.mjs'
import { missingPeers, peerPairs } from '../peers/pairs.mjs'
import { createTable, judge } from '../report.mjs'
import { drawBars, drawLines } from './chart.mjs'
import { runChild } from './child.mjs'
import { measureDeltas } from './deltas.mjs'
import { SIZES, USUAL_KINDS } from './documents.mjs'
import { measureOneCore } from './one-core.mjs'
import { scalePairs } from './pairs.mjs'
import { measureRefresh } from './refresh.mjs'
import { measureStarts } from './start.mjs'

const whole = (value) => Math.round(value).toLocaleString('en')
const ratio = ({ median, error }) => `${median.toFixed(3)} ± ${error.toFixed(3)}`

/** Throughput and time of a request with plugins for other hosts. */
async function measureRates(plan) {
  const results = []
  for (const pair of scalePairs.filter(({ kind }) => kind !== undefined)) {
    console.error(pair.name)
    const calls = await measureCalls(pair, plan.calls)
    const http = await measureHttp(pair, pair.reach === undefined ? plan.http.others : plan.http.judged)
    results.push({ pair, calls, http })
  }
  const rows = results.map(({ pair, calls, http }) => [
    pair.kind,
    whole(pair.size),
    whole(calls.a.median),
    `${whole(calls.against.b.over.median)} ± ${whole(calls.against.b.over.error)}`,
    whole(calls.against.c.over.median),
    whole(http.a.median),
    ratio(http.against.b.ratio),
    ratio(http.against.b.cpu_ratio),
    ratio(http.against.c.ratio),
    pair.reach === undefined
      ? ''
      : judge(`≥ ${pair.reach.http.ratio}`, http.against.b.ratio.median >= pair.reach.http.ratio),
  ])
  const heads = [
    'names',
    'plugins',
    'a request, ns',
    'beyond one plugin, ns',
    'beyond by hand, ns',
    'req/s',
    '÷ one plugin',
    'by CPU time',
    '÷ by hand',
    'target',
  ]
  const lines = (values) =>
    USUAL_KINDS.map((kind) => ({
      name: kind,
      points: results
        .filter(({ pair }) => pair.kind === kind)
        .map((each) => ({ size: each.pair.size, ...values(each) })),
    }))
  const point = ({ median: value, error }) => ({ value, error })
  const axis = { sizes: SIZES, x_label: 'plugins, each for a domain of its own' }
  return {
    tables: [createTable(heads, rows)],
    pictures: {
      'scale-throughput.svg': {
        about: 'Throughput by the number of plugins, as a share of that with one plugin',
        svg: drawLines({
          ...axis,
          title: 'Throughput ÷ that with one plugin',
          range: [0.8, 1.1, 0.05],
          goal: 0.97,
          format: (value) => value.toFixed(2),
          series: lines(({ http }) => point(http.against.b.ratio)),
        }),
      },
      'scale-time.svg': {
        about: 'Time of one request by the number of plugins',
        svg: drawLines({
          ...axis,
          title: 'Time of one request in process, ns',
          range: axisOf(Math.max(...results.map(({ calls }) => calls.a.median))),
          format: whole,
          series: lines(({ calls }) => point(calls.a)),
        }),
      },
    },
  }
}

/** From 0 in at most six steps, up to at least the highest value. */
function axisOf(highest) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000].find((each) => each * 5 >= highest)
  return [0, step * Math.ceil(highest / step), step]
}

/** As many expressions without text of their own as a document may have. */
const MOST_ALIKE = 300

/** Requests for hosts that are seen for the first time. */
async function measureUnknown(plan) {
  const rows = []
  const usual = USUAL_KINDS.flatMap((kind) => [1, 10_000, 100_000].map((size) => [kind, size]))
  const unusual = [100, MOST_ALIKE].map((size) => ['expression, none of its own text', size])
  for (const [kind, size] of [...usual, ...unusual]) {
    console.error(`unknown: ${kind}, ${size}`)
    // Where one of them costs milliseconds, fewer will do.
    const count = USUAL_KINDS.includes(kind) ? plan.unknown : plan.unknown / 20
    const result = await runChild('unknown-child.mjs', [kind, size, count])
    const beyond = (name) => result[name].median - result.known.median
    const cells = ['random', 'alike', 'longest'].flatMap((name) => [
      beyond(name).toFixed(1),
      result[name].p99.toFixed(0),
    ])
    const worst = Math.max(...['random', 'alike', 'longest'].map(beyond))
    const isJudged = size === (kind === 'expression' ? 10_000 : MOST_ALIKE)
    const reach = isJudged && kind.startsWith('expression') ? judge('≤ 200 µs', worst <= 200) : ''
    rows.push([kind, whole(size), ...cells, reach])
  }
  const heads = ['random', 'alike', '255 characters'].flatMap((name) => [`${name}: beyond a known host, µs`, 'p99, µs'])
  return { tables: [createTable(['names', 'plugins', ...heads, 'target'], rows)] }
}

/** The same work by dynacode, by other ways to run code, and by hand. */
async function measurePeers(plan) {
  const results = []
  for (const pair of peerPairs) {
    console.error(`peers: ${pair.name}`)
    const calls = await measureCalls(pair, plan.calls)
    results.push({ pair, calls, http: await measureHttp(pair, plan.http.others) })
  }
  const rows = results.map(({ pair, calls, http }) => [
    pair.name,
    whole(calls.against.b.over.median),
    whole(http.a.median),
    ratio(http.against.b.ratio),
    ratio(http.against.b.cpu_ratio),
  ])
  const table = createTable(['way', 'beyond by hand, ns', 'req/s', '÷ by hand', 'by CPU time'], rows)
  const missing = missingPeers.map((name) => `${name} was not installed where this was measured.`)
  const bars = results.map(({ pair, http: { against } }) => ({
    name: pair.name.replaceAll('`', ''),
    value: against.b.ratio.median,
    label: against.b.ratio.median.toFixed(2),
  }))
  const about = 'Throughput of ways to run code, as a share of that of the same work by hand'
  const title = 'Throughput ÷ that of the same work by hand'
  return {
    tables: [table, ...missing],
    pictures: { 'scale-peers.svg': { about, svg: drawBars({ title, bars }) } },
  }
}

/** Heap for each plugin. */
async function measureMemory(plan) {
  const rows = []
  for (const length of [100, 500, 2000]) {
    const { heap, external } = await runChild('memory-child.mjs', [plan.memory, length], ['--expose-gc'])
    const reach = length === 500 ? judge('≤ 4,096', heap + external <= 4096) : ''
    rows.push([whole(length), whole(heap), whole(external), whole(heap + external - length), reach])
  }
  const heads = ['code, bytes', 'heap, bytes', 'outside of the heap', 'both, beyond the code', 'target']
  return { tables: [createTable(heads, rows)] }
}

/** From the start of a process to its first answer. */
async function measureStart({ start: { turns, size } }) {
  const [cached, empty] = await measureStarts(turns, size)
  const rows = [
    ['without plugins', `${whole(empty)} ms`],
    [`${whole(size)} plugins from the cache`, `${whole(cached)} ms`],
  ]
  return { tables: [createTable(['start', 'until the first answer, median'], rows)] }
}

/** What is measured, in the order of the page. */
export const sections = {
  rates: measureRates,
  unknown: measureUnknown,
  memory: measureMemory,
  refresh: measureRefresh,
  deltas: measureDeltas,
  'one-core': measureOneCore,
  start: measureStart,
  peers: measurePeers,
}
