import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BOUNDS } from '../../lib/observability/durations.ts'
import { METRICS } from '../../lib/observability/metrics/table.ts'
import { cellOf, codeIn, namesIn, ROOT, readDocsPage, tablesOf } from './pages.ts'

const EXAMPLE = join(ROOT, 'examples', 'prometheus')
const page = readDocsPage('metrics')
const alerts = readFileSync(join(EXAMPLE, 'alerts.yml'), 'utf8')
const alert_tests = readFileSync(join(EXAMPLE, 'alerts.test.yml'), 'utf8')
const dashboard = JSON.parse(readFileSync(join(EXAMPLE, 'dashboard.json'), 'utf8')) as {
  panels: { title: string; description: string; targets: { expr: string }[] }[]
}
const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))

const namesOf = (text: string, pattern: RegExp) =>
  [...new Set([...text.matchAll(pattern)].map(([, name]) => name))].sort()
const ALERTS = namesOf(alerts, /- alert: (\w+)/g)

/** Whatever looks like a metric of dynacode's, histograms by their own name. */
const metricsIn = (text: string) =>
  namesOf(text, /\b(dynacode_\w+)/g).map((name) => name?.replace(/(plugin_duration_seconds)_(bucket|sum|count)$/, '$1'))

describe('docs/metrics.md', () => {
  test('lists every metric with its type and labels, and no other', () => {
    const rows = tablesOf(page, 'metric').flatMap((table) =>
      table.rows.map((row) => ({
        name: codeIn(row[0] ?? '')[0],
        type: cellOf(table, row, 'type'),
        labels: codeIn(cellOf(table, row, 'labels')),
      })),
    )
    expect(rows).toEqual(
      METRICS.map(({ name, type, labels }) => ({ name: `dynacode_${name}`, type, labels: [...labels] })),
    )
  })

  test('says where the buckets end', () => {
    const said = /The buckets end at (.+?): a quantile/s.exec(page.prose)?.[1]?.split(/, | and /)
    const units = { µs: 1e-6, ms: 1e-3, s: 1 }
    const seconds = said?.map((text) => {
      const [amount, unit] = text.split(/\s+/) as [string, keyof typeof units]
      return Number((Number(amount) * units[unit]).toPrecision(6))
    })
    expect(seconds).toEqual(BOUNDS)
  })

  test('says of every alert why, and of no other', () => {
    expect(
      namesIn(tablesOf(page, 'alert'))
        .filter((name) => /^Dynacode/.test(name))
        .sort(),
    ).toEqual(ALERTS)
  })

  test('lists the panels of the dashboard, in order', () => {
    const rows = tablesOf(page, 'panel').flatMap((table) => table.rows)
    const said = rows.map(([title, text]) => [title, text?.replaceAll('`', '')])
    expect(said).toEqual(dashboard.panels.map(({ title, description }) => [title, description]))
  })
})

describe('the example', () => {
  const known = METRICS.map(({ name }) => `dynacode_${name}`)

  test.each([
    ['alert', alerts],
    ['test of an alert', alert_tests],
    ['panel', expressions.join('\n')],
    ['page', page.prose],
  ])('has no %s that asks for a metric there is not', (_what, text) => {
    expect(metricsIn(text)).not.toHaveLength(0)
    expect(metricsIn(text).filter((name) => !known.includes(name as string))).toEqual([])
  })

  test('has a panel for every metric but one that is told by another', () => {
    const shown = metricsIn(expressions.join('\n'))
    expect(known.filter((name) => !shown.includes(name))).toEqual([
      'dynacode_document_live_timestamp_seconds',
      'dynacode_plugin_shadow_runs_total',
    ])
  })

  test('tries every alert', () => {
    expect(namesOf(alert_tests, /alertname: (\w+)/g)).toEqual(ALERTS)
  })

  test('has panels that do not lie on each other', () => {
    const { panels } = dashboard as unknown as { panels: { gridPos: { x: number; y: number; w: number; h: number } }[] }
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true)
  })
})
