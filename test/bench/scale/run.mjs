// Measures what many plugins cost, with the built package, and puts tables and pictures into docs/scale-benchmarks.md.
//   npm run bench:scale                          everything; about ten minutes
//   npm run bench:scale -- --section peers       one section of the page
//   npm run bench:scale -- --quick               whether it runs; too short to judge by, and written nowhere
// Other ways to run code are measured beside it where they are installed: npm install --prefix test/bench/peers
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine, writeReport } from '../report.mjs'
import { PLANS } from './plans.mjs'
import { sections } from './sections.mjs'

const DOCS = join(import.meta.dirname, '..', '..', '..', 'docs')

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, section: { type: 'string' } },
})
const chosen = Object.entries(sections).filter(([name]) => flags.section === undefined || name === flags.section)
if (chosen.length === 0) throw new Error(`no section is named ${flags.section}: ${Object.keys(sections).join(', ')}`)

for (const [name, measure] of chosen) {
  const started = performance.now()
  const { tables, pictures = {} } = await measure(flags.quick ? PLANS.quick : PLANS.full)
  const images = Object.entries(pictures).map(([file, { about }]) => `![${about}](images/${file})`)
  const command = `Command: \`npm run bench:scale -- --section ${name}\`. ${describeMachine()}.`
  const report = [command, ...images, ...tables].join('\n\n')
  console.log(`\n## ${name}\n\n${report}`)
  console.error(`${name}: ${((performance.now() - started) / 1000).toFixed(0)} s`)
  if (flags.quick) continue
  for (const [file, { svg }] of Object.entries(pictures)) writeFileSync(join(DOCS, 'images', file), svg)
  writeReport(join(DOCS, 'scale-benchmarks.md'), report, name)
}
