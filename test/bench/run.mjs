// Measures the pairs of pairs/ with the built package, prints the tables, and puts them into docs/benchmarks.md.
//   npm run bench                        everything
//   npm run bench -- --quick             whether it runs; too short to judge by, and written nowhere
//   npm run bench -- --start-up            what starting costs alone, and puts that into docs/benchmarks.md
//   npm run bench -- --only 'one plugin' the pairs whose name holds that; `--level http` or `in_process`; written nowhere
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureCalls } from './calls.mjs'
import { measureHttp } from './http.mjs'
import { pairs } from './pairs/index.mjs'
import { createReport, writeReport } from './report.mjs'
import { createStartUpReport, measureStartUp } from './start-up.mjs'

const PLANS = {
  full: {
    in_process: { processes: 2, duration_ms: 500 },
    http: { starts: 8, rounds: 6, requests: 2000 },
    start_up: { starts: 9, requests: 5000 },
  },
  quick: {
    in_process: { processes: 1, duration_ms: 300 },
    http: { starts: 1, rounds: 2, requests: 1000 },
    start_up: { starts: 3, requests: 1000 },
  },
}
const MEASURES = { in_process: measureCalls, http: measureHttp }
const REPORT = join(import.meta.dirname, '..', '..', 'docs', 'benchmarks.md')

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    'start-up': { type: 'boolean' },
    only: { type: 'string', default: '' },
    level: { type: 'string' },
  },
})
const plan = flags.quick ? PLANS.quick : PLANS.full
const levels = flags.level === undefined ? Object.keys(MEASURES) : [flags.level]
const chosen = flags['start-up'] ? [] : pairs.filter(({ name }) => name.includes(flags.only))
const complete = !flags.quick && flags.level === undefined && chosen.length === pairs.length

const results = []
for (const pair of chosen) {
  const result = { pair }
  for (const level of levels.filter((each) => (pair.levels ?? levels).includes(each))) {
    console.error(`${pair.name}: ${level}`)
    result[level] = await MEASURES[level](pair, plan[level])
  }
  results.push(result)
}

if (results.length > 0) {
  const report = createReport(results)
  console.log(report)
  if (complete) writeReport(REPORT, report)
}
if (flags['start-up'] || (flags.only === '' && flags.level === undefined)) {
  console.error('start-up')
  const report = createStartUpReport(await measureStartUp(plan.start_up))
  console.log(report)
  if (!flags.quick) writeReport(REPORT, report, 'start-up')
}
