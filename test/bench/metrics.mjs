// What metrics cost: requests with `collect()` against requests without, and the turns of the event loop that a scrape takes
// with 10 000 plugins. Prints tables, and puts them into docs/benchmarks.md.
//   npm run bench:metrics
//   npm run bench:metrics -- --quick   whether it runs; too short to judge by, and written nowhere
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { collect } from 'dynacode/metrics'
import Koa from 'koa'
import { Registry } from 'prom-client'
import { measureHttp } from './http.mjs'
import { createInstance } from './instance.mjs'
import { metricsPairs } from './pairs/metrics.mjs'
import { createReport, createTable, judge, writeReport } from './report.mjs'
import { median } from './statistics.mjs'

const DOMAINS = 100
const PLUGINS_EACH = 100
/** The default, then what who raises it has to expect. */
const BOUNDS = [200, 1000, 10_000]
const MOST_MS = 50

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean' } } })
const plan = flags.quick ? { starts: 1, rounds: 2, requests: 1000 } : { starts: 8, rounds: 6, requests: 2000 }
const scrapes = flags.quick ? 5 : 50

const hosts = Array.from({ length: DOMAINS }, (_, index) => `shop-${index}.test`)
const document = {
  domains: hosts.map((name) => ({
    name,
    plugins: Array.from({ length: PLUGINS_EACH }, (_, index) => ({
      name: `plugin ${index}`,
      phase: 'access',
      code: `ctx.state.seen = ${index}`,
    })),
  })),
}

/** Lets every plugin run once, and counts what a register is told then. */
async function measureScrape(max_plugins) {
  const closings = []
  const instance = await createInstance({ defer: (close) => closings.push(close) }, document)
  const register = new Registry()
  closings.push(collect(instance, { register, max_plugins }))
  const app = new Koa().use(instance).use((ctx) => {
    ctx.body = 'hello'
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  for (const host of hosts) await ask(server.address(), host)
  const rounds = []
  // The first ones are for V8.
  for (let round = -5; round < scrapes; round += 1) {
    const measured = await measureTurns(() => register.metrics())
    if (round >= 0) rounds.push(measured)
  }
  const series = rounds[0].result.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
  server.close()
  server.closeAllConnections()
  await Promise.all(closings.map((close) => close()))
  return {
    max_plugins,
    series,
    all_ms: median(rounds.map(({ turns }) => turns.reduce((sum, each) => sum + each, 0))),
    longest_ms: median(rounds.map(({ turns }) => Math.max(...turns))),
    turns: median(rounds.map(({ turns }) => turns.length)),
  }
}

async function ask({ port }, host) {
  const [response] = await once(request({ host: '127.0.0.1', port, headers: { host } }).end(), 'response')
  await once(response.resume(), 'end')
}

/** How long each turn of the event loop is while something goes on in it and nothing else does. */
async function measureTurns(task) {
  const turns = []
  let last = performance.now()
  let over = false
  const tick = () => {
    const now = performance.now()
    turns.push(now - last)
    last = now
    if (!over) setImmediate(tick)
  }
  setImmediate(tick)
  const result = await task()
  over = true
  turns.push(performance.now() - last)
  return { turns, result }
}

const results = []
for (const pair of metricsPairs) {
  console.error(pair.name)
  results.push({ pair, http: await measureHttp(pair, plan) })
}
const rows = []
for (const bound of BOUNDS) {
  console.error(`scrape, max_plugins ${bound}`)
  const { series, all_ms, longest_ms, turns } = await measureScrape(bound)
  const goal = bound === BOUNDS[0] ? judge(`< ${MOST_MS} ms in all`, all_ms < MOST_MS) : ''
  rows.push([bound, series, turns, `${longest_ms.toFixed(1)} ms`, `${all_ms.toFixed(1)} ms`, goal].map(String))
}
const report = [
  createReport(results, 'npm run bench:metrics'),
  `### A scrape with ${DOMAINS * PLUGINS_EACH} plugins`,
  createTable(['`max_plugins`', 'series', 'turns', 'longest turn', 'all turns', 'target'], rows),
].join('\n\n')
console.log(report)
if (!flags.quick) writeReport(join(import.meta.dirname, '..', '..', 'docs', 'benchmarks.md'), report, 'metrics')
