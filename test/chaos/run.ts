import { parseArgs } from 'node:util'
import { runChaos } from './chaos.ts'

// npm run test:chaos -- --seed 42 --seconds 120
const { values } = parseArgs({ options: { seed: { type: 'string' }, seconds: { type: 'string', default: '120' } } })
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6))
process.stdout.write(`chaos for ${values.seconds} s with --seed ${seed}\n`)

const report = await runChaos({ seed, seconds: Number(values.seconds) })
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
const { violations, requests, versions, restarts } = report
process.stdout.write(
  `${requests.answered} requests answered, ${requests.cut_by_a_kill} cut by ${restarts.all} kills, ${requests.failed} violations; ` +
    `${versions.published} versions published, ${versions.seen} seen\n`,
)
for (const violation of violations) process.stderr.write(`${violation}\n`)
process.exitCode = violations.length === 0 ? 0 : 1
