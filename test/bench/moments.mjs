// Moments rather than rates: how soon a runaway is stopped, how many it takes until its plugin is left alone, and how soon
// a process that was killed serves again. Prints a table, and puts it into docs/benchmarks.md.
//   npm run bench:moments
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import Koa from 'koa'
import { createInstance, HOST } from './instance.mjs'
import { writeReport } from './report.mjs'
import { median } from './statistics.mjs'

const BUDGET_MS = 50
const STARTS = 15

async function ask(port) {
  const sent = request({ host: '127.0.0.1', port, headers: { host: HOST } }).end()
  const [response] = await once(sent, 'response')
  return text(response)
}

/** The time from entering `while (true)` to the answer of that request, and the overruns until the breaker opens. */
async function measureRunaway() {
  const closings = []
  const entered = { at: 0, times: 0 }
  const plugins = [
    { name: 'runaway', phase: 'access', code: 'entered.at = performance.now(); entered.times += 1; while (true) {}' },
  ]
  const document = { domains: [{ name: HOST, plugins }] }
  const answers = []
  let until_open = 0
  for (const breaker_failures of [0, 5]) {
    entered.times = 0
    const options = { budget_ms: BUDGET_MS, breaker_failures, globals: { entered } }
    const instance = await createInstance({ defer: (close) => closings.push(close) }, document, options)
    const app = new Koa().use(instance).use((ctx) => {
      ctx.body = 'hello'
    })
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    for (let turn = 0; turn < 20; turn += 1) {
      await ask(server.address().port)
      if (breaker_failures === 0) answers.push(performance.now() - entered.at)
    }
    if (breaker_failures > 0) until_open = entered.times
    server.close()
    server.closeAllConnections()
  }
  await Promise.all(closings.map((close) => close()))
  return { answer_ms: median(answers), until_open }
}

/** The time from the start of a process to its first answer with its plugins, 1 000 of them. */
async function measureStart(path, from) {
  const times = []
  for (let turn = 0; turn < STARTS; turn += 1) {
    const started = performance.now()
    const child = fork(join(import.meta.dirname, 'start-child.mjs'), [path, from], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const [port] = await once(child, 'message')
    const answer = await ask(port)
    times.push(performance.now() - started)
    if (answer !== 'plugin 999') throw new Error(`${from} answered ${answer}`)
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  return median(times)
}

const folder = mkdtempSync(join(tmpdir(), 'dynacode-bench-'))
const path = join(folder, 'dynacode.cache')
await measureStart(path, 'fill')
const from_cache = await measureStart(path, 'cache')
const from_bootstrap = await measureStart(path, 'bootstrap')
rmSync(folder, { recursive: true, force: true })
const { answer_ms, until_open } = await measureRunaway()

const judge = (met) => (met ? 'met' : 'missed')
const rows = [
  ['moment', 'median', 'target'],
  ['---', '---:', '---:'],
  [
    `from entering \`while (true)\` to that request's answer, budget ${BUDGET_MS} ms`,
    `${answer_ms.toFixed(1)} ms`,
    `≤ ${BUDGET_MS + 20} ms: ${judge(answer_ms <= BUDGET_MS + 20)}`,
  ],
  ['overruns until the breaker is open', String(until_open), `≤ 5: ${judge(until_open <= 5)}`],
  [
    '`kill -9` to serving again, 1 000 plugins: from the cache ÷ from `bootstrap` in memory',
    `${(from_cache / from_bootstrap).toFixed(2)} (${from_cache.toFixed(0)} ms ÷ ${from_bootstrap.toFixed(0)} ms)`,
    `≤ 1.2: ${judge(from_cache / from_bootstrap <= 1.2)}`,
  ],
]
const report = [
  `Command: \`npm run bench:moments\`. Node ${process.version}.`,
  rows.map((row) => `| ${row.join(' | ')} |`).join('\n'),
].join('\n\n')
console.log(report)
writeReport(join(import.meta.dirname, '..', '..', 'docs', 'benchmarks.md'), report, 'moments')
