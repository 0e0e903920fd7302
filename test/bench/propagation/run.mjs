// Measures how long a change takes from being saved until every process of a site serves by it, on one machine and across a
// network, and puts the tables into docs/benchmarks.md.
//   npm run bench:propagation              8 processes, 200 changes for each medium; across a network 100, with 500 more processes
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

const PLANS = {
  full: { processes: 8, changes: 200, network_changes: 100, crowd: 500 },
  quick: { processes: 3, changes: 10, network_changes: 5, crowd: 20 },
}
/** Between the processes and the API or Redis: as inside a region, and as across an ocean. */
const ROUND_TRIPS_MS = [20, 80]
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

/** Starts a process beside, and waits for its first message. */
async function start(script, ...given) {
  const child = fork(join(import.meta.dirname, script), given.map(String), {
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const exit = once(child, 'exit').then(() => Promise.reject(new Error(`${script} ended`)))
  exit.catch(() => undefined)
  const [message] = await Promise.race([once(child, 'message'), exit])
  return { child, message }
}

/**
 * Saves a document again and again, and waits until every process serves by it.
 *
 * @param bare whether the medium alone is measured
 * @param round_trip_ms between the processes and where they get the document from; 0: none but the machine's own
 * @param crowd how many more processes are simulated
 */
async function measure(medium, { bare = false, redis, round_trip_ms = 0, crowd = 0, changes = plan.changes } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-propagation-'))
  const api = await startApi()
  let version = 1
  const publish = async () => {
    const text = JSON.stringify(documentOf(version))
    if (medium === 'Redis') await redis.publish(text)
    else api.publish(text)
  }
  await publish()

  const children = []
  /** The port by which another one is reached across the network. */
  async function across(port) {
    if (round_trip_ms === 0) return port
    const { child, message } = await start('delay-child.mjs', port, round_trip_ms)
    children.push(child)
    return message
  }
  const uri = new URL(api.uri)
  uri.port = await across(uri.port)
  const details = {
    medium,
    bare,
    uri: uri.href,
    interval: INTERVAL,
    cache_path: join(folder, 'document'),
    ...redis?.details,
    ...(redis && { redis_port: await across(redis.details.redis_port) }),
    crowd,
  }
  const ports = []
  for (let index = 0; index < plan.processes; index += 1) {
    // One after the other: with the cache, the first has to fill it.
    const { child, message } = await start('child.mjs', JSON.stringify({ ...details, first: index === 0 }))
    children.push(child)
    ports.push(message)
  }
  const others = crowd === 0 ? undefined : (await start('crowd-child.mjs', JSON.stringify(details))).child
  if (others !== undefined) children.push(others)

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
  const saves = new Map()
  for (let change = 0; change < changes; change += 1) {
    version += 1
    waiting = new Set(ports)
    const done = new Promise((resolve, reject) => {
      everywhere = resolve
      setTimeout(() => reject(new Error(`${medium}: version ${version} is not everywhere`)), 30_000).unref()
    })
    const saved = performance.now()
    saves.set(version, Number(process.hrtime.bigint()) / 1e6)
    await publish()
    times.push((await done) - saved)
    await sleep(150 + Math.random() * 100)
  }

  await Promise.all(loads.map((stop) => stop()))
  const simulated = others && (await askCrowd(others, saves))
  for (const child of children) child.disconnect()
  await Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')))
  await api.close()
  rmSync(folder, { recursive: true, force: true })
  return { times: times.toSorted((a, b) => a - b), simulated, ...sums }
}

/** How long each change took to each of the simulated processes, in milliseconds. */
async function askCrowd(child, saves) {
  child.send('arrivals')
  const [{ arrivals, failed }] = await once(child, 'message')
  const times = arrivals.filter(([version]) => saves.has(version)).map(([version, at]) => at - saves.get(version))
  return { times: times.toSorted((a, b) => a - b), failed }
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]
const ms = (value) => `${value.toFixed(1)} ms`
/** The longest wait between two polls, and the time of a poll on top. */
const POLLING_MS = (INTERVAL * 1.1 + JITTER) * 1000

const redis = await startRedis()
const media = ['polling', 'long polling', 'Redis', 'shared cache'].filter(
  (medium) => medium !== 'Redis' || redis !== undefined,
)
if (redis === undefined) console.error('Redis: there is no redis-server here; left out')
const nameOf = (medium) => (medium === 'polling' ? `polling every ${INTERVAL} s` : medium)

const rows = []
for (const medium of media) {
  console.error(medium)
  const own = await measure(medium, { redis })
  const bare = medium === 'polling' ? undefined : await measure(medium, { bare: true, redis })
  const [p50, p99, max] = [at(own.times, 0.5), at(own.times, 0.99), own.times.at(-1)]
  const bare50 = bare && at(bare.times, 0.5)
  const goals = bare
    ? [judge('p99 ≤ 100 ms', p99 <= 100), judge('≤ 5 ms beyond', p50 - bare50 <= 5)]
    : [judge(`p99 ≤ ${Math.round(POLLING_MS)} ms`, p99 <= POLLING_MS)]
  rows.push([
    nameOf(medium),
    ms(p50),
    ms(p99),
    ms(max),
    bare ? ms(bare50) : '',
    bare ? ms(p50 - bare50) : '',
    `${own.failed} and ${own.mixed} of ${own.answered}`,
    [...goals, judge('0 failed', own.failed + own.mixed === 0)].join(', '),
  ])
}

const network = []
for (const round_trip_ms of ROUND_TRIPS_MS) {
  for (const medium of media) {
    console.error(`${medium}, ${round_trip_ms} ms`)
    const { network_changes: changes, crowd } = plan
    const { times, simulated, ...own } = await measure(medium, { redis, round_trip_ms, changes, crowd })
    const failed = own.failed + simulated.failed
    network.push([
      `${round_trip_ms} ms`,
      nameOf(medium),
      ms(at(times, 0.5)),
      ms(at(times, 0.99)),
      ms(at(simulated.times, 0.5)),
      ms(at(simulated.times, 0.99)),
      `${failed} and ${own.mixed} of ${own.answered}`,
      judge('0 failed', failed + own.mixed === 0),
    ])
  }
}
await redis?.close()

const report = [
  `Command: \`npm run bench:propagation\`. Node ${process.version}, ${plan.processes} processes, ${plan.changes} changes for each medium.`,
  createTable(
    ['medium', 'p50', 'p99', 'longest', 'medium alone, p50', 'beyond it', 'failed and mixed', 'target'],
    rows,
  ),
  '### Across a network',
  `${plan.network_changes} changes for each medium, and ${plan.crowd} more processes, simulated.`,
  createTable(
    [
      'round trip',
      'medium',
      'all real processes, p50',
      'p99',
      'a simulated one, p50',
      'p99',
      'failed and mixed',
      'target',
    ],
    network,
  ),
].join('\n\n')
console.log(report)
if (!flags.quick && redis !== undefined) writeReport(REPORT, report, 'propagation')
