import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { plugin } from '../fixtures/app.ts'
import { createInstance } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'
import { startReceiver } from '../fixtures/receiver.ts'
import { namesIn, ROOT, readDocsPage, tablesOf } from './pages.ts'

const page = readDocsPage('reporting')
const text = page.blocks.find(({ lang, marks }) => lang === 'json' && marks.has('report'))?.text ?? ''
const example = JSON.parse(text)
const sorted = (names: Iterable<string>) => [...names].sort()

describe('docs/reporting.md', () => {
  test.each([
    ['field', example],
    ['field of `active` and `attempted`', { version: 0, sha1: 0, etag: 0, from: 0 }],
    ['field of `active`', without(example.active, ['version', 'sha1', 'etag', 'from'])],
    ['field of `attempted`', without(example.attempted, ['version', 'sha1', 'etag', 'from'])],
    ['field of `refused`', example.attempted.refused[0]],
    ['field of `last_refresh`', example.last_refresh],
    ['field of `plugins`', example.plugins],
    ['field of `counters`', example.counters],
    ['field of `counters.plugins`', example.counters.plugins[0]],
    ['field of `last_error`', example.counters.plugins[0].last_error],
  ])('lists every %s, and no other', (column, shown) => {
    const names = tablesOf(page, column).flatMap(({ rows }) => namesIn([{ header: [], rows }]))
    expect(sorted(names)).toEqual(sorted(Object.keys(shown)))
  })

  test('shows the fields that real reports have', async () => {
    const api = await startPluginApi({
      domains: [
        { name: '*', plugins: [plugin('access', ''), plugin('access', '}'), plugin('log', '', { enabled: false })] },
      ],
    })
    const receiver = await startReceiver()
    const dyna = createInstance({ plugin_api_uri: api.uri, report_uri: receiver.uri, report_interval: 0.5 })
    await dyna.ready()
    // What is counted by a name of its own is shown in part.
    const counted = /^counters\.(events|refreshes|errors)\./
    const paths = (value: unknown) => sorted(pathsOf(value)).filter((path) => !counted.test(path))
    const ran = paths(example).filter((path) => !path.startsWith('counters.plugins[]'))
    // The first ones may be sent before all of it is known.
    await expect.poll(() => receiver.reports.map(paths)).toContainEqual(ran)
  })

  test('lists every occasion, and no other', () => {
    const source = readFileSync(join(ROOT, 'lib/observability/report/schedule.ts'), 'utf8')
    const union = /export type ReportOccasion =([^=]*?)\n\n/.exec(source)?.[1] ?? ''
    const occasions = [...union.matchAll(/'(\w+)'/g)].map((match) => match[1] as string)
    expect(occasions.length).toBeGreaterThan(5)
    expect(sorted(namesIn(tablesOf(page, 'occasion')))).toEqual(sorted(occasions))
  })
})

function without(fields: object, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)))
}

/** The places of all plain values in it; entries of lists stand at the same one. */
function pathsOf(value: unknown, path = ''): Set<string> {
  if (Array.isArray(value)) return new Set(value.flatMap((item) => [...pathsOf(item, `${path}[]`)]))
  if (typeof value !== 'object' || value === null) return new Set([path])
  return new Set(
    Object.entries(value).flatMap(([name, inner]) => [...pathsOf(inner, path === '' ? name : `${path}.${name}`)]),
  )
}
