// Measures how long a change takes from being saved until every process of a site serves by it, and puts the table into
// docs/benchmarks.md.
//   npm run bench:propagation              8 processes, 200 changes for each medium
//   npm run bench:propagation -- --quick   whether it runs; too short to judge by, and written nowhere
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createTable, judge, writeReport } from '../report.mjs'
import { startApi } from './api.mjs'
import { startRedis } from './redis.mjs'

const PLANS = { full: { processes: 8, changes: 200 }, quick: { processes: 3, changes: 10 } }
/** Seconds between polls, where it is polling that is measured. */
const INTERVAL = 0.25
const JITTER = INTERVAL / 10
/** Each process is asked again this long after it has answered, in milliseconds. */
const PAUSE_MS = 5
const REPORT = join(import.meta.dirname, '..', '..', '..', 'docs', 'benchmarks.md')

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean' } } })
const plan = flags.quick ? PLANS.quick : PLANS.full

/** Plugins that write the version in two phases: an answer with two versions would be a mixed one. */
const documentOf = (version) => ({
  general: { version },
  domains: [
    {
      name: '*',
      plugins: [
        { name: 'version', phase: 'access', code: `ctx.set('X-Version', '${version}')` },
        { name: 'check', phase: 'header_filter', code: `ctx.set('X-Check', '${version}')` },
        ...Array.from({ length: 20 }, (_, index) => ({
          name: `other ${index}`,
          phase: 'access',
          when: { paths: `/other/${index}` },
          code: `if (ctx.get('x-other') === '${index}') exit(403)`,
        })),
      ],
    },
  ],
})

/** Asks one process again and again; `seen(version)` is told when its answers first have a newer version. */
function startLoad(port, sums, seen) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let newest = -1
  let stopped = false
  const ask = () =>
    new Promise((resolve) => {
      const failed = () => {
        if (!stopped) sums.failed += 1
        resolve()
      }
      const sent = request({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume().once('error', failed)
        response.once('end', () => {
          const { 'x-version': version, 'x-check': check } = response.headers
          sums.answered += 1
          if (response.statusCode !== 200) sums.failed += 1
          else if (version !== check) sums.mixed += 1
          else if (Number(version) > newest) {
            newest = Number(version)
            seen(newest)
          }
          resolve()
        })
      })
      sent.once('error', failed).end()
    })
  const asking = (async () => {
    while (!stopped) {
      await ask()
      await sleep(PAUSE_MS)
    }
  })()
  return async () => {
    stopped = true
    await asking
    agent.destroy()
  }
}

async function measure(medium, bare, redis) {
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-propagation-'))
  const api = await startApi()
  let version = 1
  const publish = async () => {
    const text = JSON.stringify(documentOf(version))
    if (medium === 'Redis') await redis.publish(text)
    else api.publish(text)
  }
  await publish()

  const details = {
    medium,
    bare,
    uri: api.uri,
    interval: INTERVAL,
    cache_path: join(folder, 'document'),
    ...redis?.details,
  }
  const children = []
  const ports = []
  for (let index = 0; index < plan.processes; index += 1) {
    const given = JSON.stringify({ ...details, first: index === 0 })
    const child = fork(join(import.meta.dirname, 'child.mjs'), [given], {
      env: { ...process.env, NODE_ENV: 'production' },
    })
    children.push(child)
    // One after the other: with the cache, the first has to fill it.
    const exit = once(child, 'exit').then(() => Promise.reject(new Error(`a process of ${medium} ended`)))
    exit.catch(() => undefined)
    ports.push((await Promise.race([once(child, 'message'), exit]))[0])
  }

  const sums = { answered: 0, failed: 0, mixed: 0 }
  let waiting = new Set()
  let everywhere = () => undefined
  const loads = ports.map((port) =>
    startLoad(port, sums, (seen) => {
      if (seen !== version || !waiting.delete(port) || waiting.size > 0) return
      everywhere(performance.now())
    }),
  )
  // Until all have answered, and are warm.
  await sleep(flags.quick ? 500 : 3000)

  const times = []
  for (let change = 0; change < plan.changes; change += 1) {
    version += 1
    waiting = new Set(ports)
    const done = new Promise((resolve, reject) => {
      everywhere = resolve
      setTimeout(() => reject(new Error(`${medium}: version ${version} is not everywhere`)), 30_000).unref()
    })
    const saved = performance.now()
    await publish()
    times.push((await done) - saved)
    await sleep(150 + Math.random() * 100)
  }

  await Promise.all(loads.map((stop) => stop()))
  for (const child of children) child.disconnect()
  await Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')))
  await api.close()
  rmSync(folder, { recursive: true, force: true })
  return { times: times.toSorted((a, b) => a - b), ...sums }
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]
const ms = (value) => `${value.toFixed(1)} ms`
/** The longest wait between two polls, and the time of a poll on top. */
const POLLING_MS = (INTERVAL * 1.1 + JITTER) * 1000

const redis = await startRedis()
const rows = []
for (const medium of ['polling', 'long polling', 'Redis', 'shared cache']) {
  if (medium === 'Redis' && redis === undefined) {
    console.error('Redis: there is no redis-server here; left out')
    continue
  }
  console.error(medium)
  const own = await measure(medium, false, redis)
  const bare = medium === 'polling' ? undefined : await measure(medium, true, redis)
  const [p50, p99, max] = [at(own.times, 0.5), at(own.times, 0.99), own.times.at(-1)]
  const bare50 = bare && at(bare.times, 0.5)
  const goals = bare
    ? [judge('p99 ≤ 100 ms', p99 <= 100), judge('≤ 5 ms beyond', p50 - bare50 <= 5)]
    : [judge(`p99 ≤ ${Math.round(POLLING_MS)} ms`, p99 <= POLLING_MS)]
  rows.push([
    medium === 'polling' ? `polling every ${INTERVAL} s` : medium,
    ms(p50),
    ms(p99),
    ms(max),
    bare ? ms(bare50) : '',
    bare ? ms(p50 - bare50) : '',
    `${own.failed} and ${own.mixed} of ${own.answered}`,
    [...goals, judge('0 failed', own.failed + own.mixed === 0)].join(', '),
  ])
}
await redis?.close()

const report = [
  `Command: \`npm run bench:propagation\`. Node ${process.version}, ${plan.processes} processes, ${plan.changes} changes for each medium.`,
  createTable(
    ['medium', 'p50', 'p99', 'longest', 'medium alone, p50', 'beyond it', 'failed and mixed', 'target'],
    rows,
  ),
].join('\n\n')
console.log(report)
if (!flags.quick && redis !== undefined) writeReport(REPORT, report, 'propagation')
