// An app whose document changes all the time. Arguments: the seed, milliseconds between documents, and what it leaks on
// purpose. Sends its port; then, for each message, changes until the next one (`go`) or rests and sends a `Sample` (`sample`).
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import Koa from 'koa'
import { dynacode } from '../../lib/index.ts'
import { createRandom } from '../chaos/random.ts'
import { createDocuments } from './documents.ts'
import type { Counts, Sample } from './verdict.ts'

const [seed, every_ms, leak] = process.argv.slice(2)
const documents = createDocuments(createRandom(Number(seed)))
const counts: Counts = { reloads: 0, compiled: 0, refused: 0, failed_runs: 0, runs: 0 }
let document = documents.rest()
const instance = dynacode({
  source: { fetch: async () => ({ bytes: Buffer.from(JSON.stringify(document)) }) },
  plugin_api_polling_interval: 86_400,
  // Full before anything counts.
  compile_cache_max: 100,
  on_update: ({ compiled }) => {
    counts.reloads += 1
    counts.compiled += compiled
  },
  on_compile_fail: () => {
    counts.refused += 1
  },
  on_fail: () => {
    counts.failed_runs += 1
  },
  on_success: () => {
    counts.runs += 1
  },
})
await instance.ready()

const kept: unknown[] = []
/** What somebody may have forgotten, to see that the soak does not. */
const LEAKS: Record<string, () => void> = {
  heap: () => kept.push(document),
  handles: () => kept.push(setInterval(() => undefined, 60_000)),
  latency: () => kept.push(0),
}

let changing = false
let over: Promise<void> = Promise.resolve()

async function changeAll(): Promise<void> {
  let due = performance.now()
  while (changing) {
    document = documents.next()
    await instance.refresh()
    LEAKS[leak ?? '']?.()
    due += Number(every_ms)
    await wait(Math.max(0, due - performance.now()))
  }
}

async function takeSample(): Promise<Sample> {
  changing = false
  await over
  document = documents.rest()
  await instance.refresh()
  // What ends in its own time: answers under way, and the store's entries.
  await wait(200)
  for (let turn = 0; turn < 4; turn += 1) {
    await wait(10)
    globalThis.gc?.()
  }
  const { heapUsed, external } = process.memoryUsage()
  const handles = process.getActiveResourcesInfo().filter((kind) => kind !== 'TCPSocketWrap')
  return { heap: heapUsed + external, handles: handles.toSorted(), ...counts }
}

const app = new Koa()
app.silent = true
app.use(instance)
app.use((ctx) => {
  if (leak === 'latency') for (let turn = 0; turn < kept.length * 1000; turn += 1) ctx.state.turn = turn
  ctx.body = 'app'
})
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')

process.on('message', async (message) => {
  if (message === 'sample') {
    process.send?.(await takeSample())
  } else {
    changing = true
    over = changeAll()
  }
})
process.once('disconnect', () => process.exit())
process.send?.((server.address() as AddressInfo).port)
