// Takes deltas of one plugin of many. Arguments: how many plugins, of how many bytes each, how many turns, and a cache's path or ''.
// Sends of each turn what the main thread did, the longest stall, and how long it took until the change was live.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { dynacode } from 'dynacode'

const [count, size, turns, cache_path] = process.argv.slice(2)
const api = fork(join(import.meta.dirname, 'delta-api-child.mjs'), [count, size])
const [{ uri }] = await once(api, 'message')
const cache = cache_path === '' || cache_path === undefined ? {} : { cache_path }
const dyna = dynacode({ plugin_api_uri: uri, plugin_api_polling_interval: 86_400, workers_max_jitter: 0, ...cache })
await dyna.ready(120_000)
// Until nothing of the start is left to be done.
await sleep(3000)

const ask = async () => {
  api.send('change')
  const [{ sent }] = await once(api, 'message')
  return sent
}
const results = []
await ask()
for (let turn = 0; turn < Number(turns); turn += 1) {
  await sleep(300)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await sleep(20)
  const before = performance.eventLoopUtilization()
  const cpu = process.cpuUsage()
  const started = performance.now()
  let live_ms
  dyna.events.once('bg_updated_plugins', () => {
    live_ms = performance.now() - started
  })
  const { compiled } = await dyna.refresh()
  if (compiled !== 1) throw new Error(`expected one changed plugin, got ${compiled}`)
  // What is done after it is live counts as well.
  await sleep(100)
  const { active } = performance.eventLoopUtilization(before)
  const { user, system } = process.cpuUsage(cpu)
  delay.disable()
  results.push({ active, cpu_ms: (user + system) / 1000, stall_ms: delay.max / 1e6, live_ms, sent: await ask() })
}
await dyna.close()
api.disconnect()
process.send?.(results, () => process.disconnect())
if (process.send === undefined) console.table(results)
