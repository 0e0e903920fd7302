// Reloads an app's document every 50 ms under load, and says whether heap, handles and latency stay flat.
//   npm run test:soak                       three minutes
//   npm run test:soak -- --seconds 20       shorter
//   npm run test:soak -- --leak heap        whether it would be seen: heap, handles or latency
import { parseArgs } from 'node:util'
import { soak } from './soak.ts'
import { judge, megabytes } from './verdict.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '180' }, seed: { type: 'string' }, leak: { type: 'string' } },
})
const seconds = Number(values.seconds)
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e6) : Number(values.seed)
if (!(seconds >= 3 && seconds <= 86_400)) throw new Error(`--seconds: expected 3 to 86400, got ${values.seconds}`)
if (!Number.isSafeInteger(seed)) throw new Error(`--seed: expected a whole number, got ${values.seed}`)
console.log(`soak for ${seconds} s and a third for warming up, with --seed ${seed}, on Node ${process.version}`)

/** Until the memory of hosts is full, and those that wait for a place in it are as many as can be. */
const made_up_hosts = 15_000
const plan = { seed, seconds, every_ms: 50, stretches: 9, connections: 8, made_up_hosts, leak: values.leak }
const stretches = await soak(plan, ({ sample, requests, failed, p50_ms, p99_ms }) =>
  console.log(
    [
      `heap ${megabytes(sample.heap)}`,
      `handles ${sample.handles.length}`,
      `${requests} requests, ${failed} failed`,
      `p50 ${p50_ms.toFixed(2)} ms, p99 ${p99_ms.toFixed(2)} ms`,
      `${sample.reloads} reloads, ${sample.compiled} compiled, ${sample.refused} refused`,
      `${sample.runs} runs, ${sample.failed_runs} failed`,
    ].join(' · '),
  ),
)
const faults = judge(stretches)
for (const fault of faults) console.error(fault)
if (faults.length === 0) console.log('heap, handles and latency stayed flat')
process.exitCode = faults.length === 0 ? 0 : 1
