import { writeFileSync } from 'node:fs'
import { type Arrivals, rates, simulateHerd } from './simulation.ts'

// Writes docs/herd.md: what 5 000 processes do to the API, simulated with the real poller and backoff.
const options = { pollers: 5000, interval: 30, outage_from: 300, outage_to: 900, end: 1500 }
const stretches: readonly (readonly [string, number, number])[] = [
  ['the first second: all poll at once, to be live soon', 0, 1],
  ['the rest of the first interval', 1, 30],
  ['steady, from the second interval on', 30, 300],
  ['the first interval of a 10-minute outage', 300, 330],
  ['the rest of the outage', 330, 900],
  ['the first interval after it', 900, 930],
  ['the ten minutes after it', 900, 1500],
]

const arrivals: Arrivals = await simulateHerd(options)
const rows = stretches.map(([name, from, to]) => {
  const { peak, mean, ratio } = rates(arrivals, from, to)
  return `| ${name} | ${mean.toFixed(0)} | ${peak} | ${ratio.toFixed(2)} |`
})
const page = `# A herd of processes

What ${options.pollers.toLocaleString('en')} processes that were started in the same moment do to the plugin API, with an interval of ${options.interval} s and
everything else at its default. The real poller and the real backoff run on a simulated clock; made by \`npm run herd\`.

| stretch of time | mean, requests a second | peak, requests a second | peak ÷ mean |
|---|---|---|---|
${rows.join('\n')}

The first poll of a process comes at once, without jitter: a process that has just started is to be live soon. Where that is
too much for the API when a whole site starts, set \`plugin_api_poll_at_init: false\`, or give the processes of a machine a
common \`cache_path\`: then one of them asks for all. The second wait is random over the whole interval, and each wait after
it has up to 10 % added, so the processes never fall into step again. After a failed fetch the wait is random up to
twice the interval (full jitter; \`plugin_api_backoff_max\` lets it grow further), and the first wait after an outage is
random, too, so that an outage neither adds to the load nor ends in a stampede.
`
writeFileSync(new URL('../../docs/herd.md', import.meta.url), page)
process.stdout.write(page)
