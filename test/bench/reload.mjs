// What a reload of many plugins costs, and what the rest of the process notices of it: wall time, time of the main thread,
// the longest stall of its event loop beside that of an idle twin, and requests during it beside requests without it.
//   npm run bench:reload -- [plugins, 10000 unless given] [bytes of code of each, 950 unless given]
import { once } from 'node:events'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import Koa from 'koa'
import { dynacode } from '../../dist/index.js'

const [count = 10_000, size = 950] = process.argv.slice(2).map(Number)
const IDLE_MS = 2000

/** Distinct code of about so many bytes. */
function codeOf(index, version) {
  const line = `if (ctx.get('x-a') === 'v${index}') ctx.state.v = params.limit\n`
  const first = `ctx.set('x-plugin', '${index} ${version}')\n`
  return first + line.repeat(Math.max(0, Math.round((size - first.length) / line.length)))
}

function documentOf(versionOf) {
  const domains = Array.from({ length: count }, (_, index) => ({
    name: `host${index}.example.com`,
    plugins: [{ name: `p${index}`, phase: 'access', code: codeOf(index, versionOf(index)) }],
  }))
  return Buffer.from(JSON.stringify({ domains }))
}

const documents = {
  first: documentOf(() => 0),
  one: documentOf((index) => (index === Math.floor(count / 2) ? 1 : 0)),
  all: documentOf(() => 2),
}
let served = { bytes: Buffer.from('{"domains":[]}'), tag: 'none' }
const source = {
  fetch: async (_signal, last) => (served.tag !== undefined && served.tag === last ? { unchanged: true } : served),
}
const dyna = dynacode({ source, plugin_api_polling_interval: 86_400 })
const app = new Koa().use(dyna).use((ctx) => {
  ctx.body = 'hello'
})
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
await dyna.ready()

// From a thread of its own, so that the clock that stops the requests is not the one under test.
const load = new Worker(
  `(${(
    () => {
      const { parentPort, workerData } = require('node:worker_threads')
      const http = require('node:http')
      const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
      let times = []
      const ask = () => {
        const started = performance.now()
        const options = { ...workerData, agent, headers: { host: 'host1.example.com' } }
        const sent = http.get(options, (response) => {
          response.resume().on('end', () => {
            times.push(performance.now() - started)
            setTimeout(ask, 2)
          })
        })
        sent.on('error', () => undefined)
      }
      for (let at = 0; at < 8; at += 1) ask()
      parentPort.on('message', () => {
        parentPort.postMessage(times.sort((a, b) => a - b))
        times = []
      })
    }
  ).toString()})()`,
  { eval: true, workerData: { host: '127.0.0.1', port: server.address().port } },
)
async function takeTimes() {
  load.postMessage('take')
  const [times] = await once(load, 'message')
  return times[Math.floor(times.length * 0.99)] ?? Number.NaN
}

async function measure(name, action) {
  await sleep(500)
  await takeTimes()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const before = performance.eventLoopUtilization()
  const started = performance.now()
  const result = await action()
  const wall_ms = performance.now() - started
  const { active } = performance.eventLoopUtilization(before)
  const p99 = await takeTimes()
  await sleep(5)
  delay.disable()
  const shown = { reload: name, wall_ms, main_thread_ms: active, stall_ms: delay.max / 1e6, p99_ms: p99 }
  for (const [key, value] of Object.entries(shown)) if (key !== 'reload') shown[key] = Number(value.toFixed(1))
  return { ...shown, compiled: result?.compiled ?? 0, reused: result?.reused ?? 0 }
}

const rows = [await measure('none: requests alone', () => sleep(IDLE_MS))]
const refresh = (name, next) =>
  measure(name, () => {
    served = next
    return dyna.refresh()
  })
rows.push(await refresh('first load', { bytes: documents.first, tag: 'first' }))
rows.push(await refresh('no change, told by its tag', { bytes: documents.first, tag: 'first' }))
rows.push(await refresh('no change, the same bytes', { bytes: documents.first, tag: undefined }))
rows.push(await refresh('one changed', { bytes: documents.one, tag: 'one' }))
rows.push(await refresh('all changed', { bytes: documents.all, tag: 'all' }))
process.stdout.write(`${count} plugins of ${size} bytes, ${documents.first.length} bytes in all\n`)
console.table(rows)
await load.terminate()
server.close()
server.closeAllConnections()
await dyna.close()
