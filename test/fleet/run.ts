import { writeFileSync } from 'node:fs'
import { type Arrivals, rates, simulateFleet } from './simulation.ts'

// Writes docs/fleet.md: what 5 000 processes do to the API, simulated with the real poller and backoff.
const options = { pollers: 5000, interval: 30, outage_from: 300, outage_to: 900, end: 1500 }
const stretches: readonly (readonly [string, number, number])[] = [
  ['the first second: all processes poll at once', 0, 1],
  ['the rest of the first interval', 1, 30],
  ['steady, from the second interval on', 30, 300],
  ['the first interval of a 10-minute outage', 300, 330],
  ['the rest of the outage', 330, 900],
  ['the first interval after it', 900, 930],
  ['the ten minutes after it', 900, 1500],
]

const arrivals: Arrivals = await simulateFleet(options)
const rows = stretches.map(([name, from, to]) => {
  const { peak, mean, ratio } = rates(arrivals, from, to)
  return `| ${name} | ${mean.toFixed(0)} | ${peak} | ${ratio.toFixed(2)} |`
})
const page = `# Fleet simulation

This page shows how many requests ${options.pollers.toLocaleString('en')} processes send to your plugin API if all of them start at the same moment, with an interval of ${options.interval} s and
defaults for everything else. After the first poll, they stay spread out, even after an outage. \`npm run fleet\` generates this page: it runs
the real poller and backoff on a simulated clock.

| period | mean, requests a second | peak, requests a second | peak ÷ mean |
|---|---|---|---|
${rows.join('\n')}

- **Start.** Each process polls at once, without jitter, so that it has its plugins soon. If that is too much for your API when a
  whole site starts, set \`plugin_api_poll_at_init: false\`, or share a \`cache_path\` between the processes of a machine. Then one of them
  asks the API on behalf of all.
- **Steady state.** The second wait is random over the whole interval. Each later wait has up to 10 % added, so processes stay spread out.
- **Outage.** After a failed fetch, the wait is random up to twice the interval (full jitter; \`plugin_api_backoff_max\` lets it grow
  further). The first wait after an outage is also random. An outage therefore adds no load, and does not end in a thundering herd.
`
writeFileSync(new URL('../../docs/fleet.md', import.meta.url), page)
process.stdout.write(page)
