import { parseArgs } from 'node:util'
import { runChaos } from './chaos.ts'
import { describeRollouts, runRollouts } from './rollouts.ts'

const USAGE =
  'npm run test:chaos -- [--seed <whole number>] [--seconds <number above 0> | --rollouts <number of plugins>]'

/** Reads the flags; a wrong one ends the process with what was expected. */
function readFlags(): { seed: number; seconds: number; rollouts: number } {
  try {
    const options = {
      seed: { type: 'string' },
      seconds: { type: 'string', default: '120' },
      rollouts: { type: 'string', default: '0' },
    } as const
    const { values } = parseArgs({ options })
    const seed = values.seed === undefined ? Math.floor(Math.random() * 1e6) : Number(values.seed)
    const seconds = Number(values.seconds)
    if (values.seed?.trim() === '' || !Number.isSafeInteger(seed) || seed < 0) {
      throw new Error(`--seed: expected a whole number of at least 0, got ${JSON.stringify(values.seed)}`)
    }
    if (!(seconds > 0 && seconds <= 86_400)) {
      throw new Error(`--seconds: expected a number above 0 and up to 86400, got ${JSON.stringify(values.seconds)}`)
    }
    const rollouts = Number(values.rollouts)
    if (!Number.isSafeInteger(rollouts) || rollouts < 0) {
      throw new Error(`--rollouts: expected a whole number of at least 0, got ${JSON.stringify(values.rollouts)}`)
    }
    return { seed, seconds, rollouts }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}\n`)
    process.exit(2)
  }
}

const { seed, seconds, rollouts } = readFlags()
if (rollouts > 0) {
  const report = await runRollouts({ seed, plugins: rollouts, requests: 3000 })
  process.stdout.write(`${describeRollouts(report)}\n`)
  process.exit(report.false_stops === 0 ? 0 : 1)
}
process.stdout.write(`chaos for ${seconds} s with --seed ${seed}\n`)

const report = await runChaos({ seed, seconds })
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
const { violations, requests, versions, restarts } = report
process.stdout.write(
  `${requests.answered} requests answered, ${requests.cut_by_a_kill} cut by ${restarts.all} kills, ${requests.failed} violations; ` +
    `${versions.published} versions published, ${versions.seen} seen\n`,
)
for (const violation of violations) process.stderr.write(`${violation}\n`)
process.exitCode = violations.length === 0 ? 0 : 1
