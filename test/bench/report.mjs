import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'

const begin_of = (section) => `<!-- measured: ${section}, not written by hand -->`
const end_of = (section) => `<!-- measured: end of ${section} -->`

/** What the figures were measured on. */
export function describeMachine() {
  const cores = cpus()
  return `Node ${process.version}, ${process.platform} ${process.arch}, ${cores.length} × ${cores[0].model.trim()}`
}

const CALLS_HEADS = ['pair', 'A, ns', 'B, ns', 'A − B, ns', 'middle half', '±', 'A ÷ B', 'target']

/** The tables of a run, in Markdown. */
export function createReport(results, command = 'npm run bench') {
  const called = results.filter(({ in_process }) => in_process !== undefined)
  const sections = [
    `Command: \`${command}\`. ${describeMachine()}.`,
    ...(called.length === 0 ? [] : ['### In process', createTable(CALLS_HEADS, called.map(describeCalls))]),
    '### Over HTTP',
    createTable(
      ['pair', 'A, req/s', 'B, req/s', 'A ÷ B', 'middle half', '±', 'by CPU time', '±', 'target'],
      results.filter(({ http }) => http !== undefined).map(describeHttp),
    ),
  ]
  return sections.join('\n\n')
}

/** Puts the tables of a section in the place of the last ones. */
export function writeReport(file, report, section = 'rates') {
  const before = readFileSync(file, 'utf8')
  const [begin, end] = [begin_of(section), end_of(section)]
  const [from, to] = [before.indexOf(begin), before.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${file} lacks the lines ${begin} and ${end}`)
  writeFileSync(file, `${before.slice(0, from)}${begin}\n\n${report}\n\n${before.slice(to)}`)
}

/** A table in Markdown. */
export function createTable(heads, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(heads), line(heads.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

function describeCalls({ pair, in_process: { a, b, against } }) {
  const { over, ratio } = against.b
  const reach = pair.reach?.in_process
  const { over_ns, ratio: most } = reach ?? {}
  const goals = [
    ...(over_ns === undefined ? [] : [judge(`≤ ${over_ns} ns`, over.median <= over_ns)]),
    ...(most === undefined ? [] : [judge(`≤ ${most}`, ratio.median <= most)]),
  ]
  return [
    pair.name,
    whole(a.median),
    whole(b.median),
    whole(over.median),
    `${whole(over.lower)} … ${whole(over.upper)}`,
    whole(over.error),
    ratio.median.toFixed(2),
    goals.join(', '),
  ]
}

function describeHttp({ pair, http: { a, b, against } }) {
  const { ratio, cpu_ratio } = against.b
  const least = pair.reach?.http?.ratio
  return [
    pair.name,
    whole(a.median),
    whole(b.median),
    ratio.median.toFixed(3),
    `${ratio.lower.toFixed(3)} … ${ratio.upper.toFixed(3)}`,
    ratio.error.toFixed(3),
    cpu_ratio.median.toFixed(3),
    cpu_ratio.error.toFixed(3),
    least === undefined ? '' : judge(`≥ ${least}`, cpu_ratio.median >= least),
  ]
}

/** Says whether a goal was reached. */
export const judge = (goal, met) => `${goal}: ${met ? 'met' : 'missed'}`
const whole = (value) => String(Math.round(value) + 0)
