import { describe, expect, test } from 'vitest'
import { createEvents } from '../../lib/events/emitter.ts'
import { CALLBACKS, type EventName } from '../../lib/events/table.ts'
import { startLogging } from '../../lib/observability/log/logger.ts'
import { cellOf, codeIn, namesIn, readDocsPage, tablesOf } from './pages.ts'

const page = readDocsPage('logging')
const rows = tablesOf(page, 'event').flatMap((table) =>
  table.rows.map((row) => ({
    event: codeIn(row[0] ?? '')[0] as EventName,
    when: codeIn(cellOf(table, row, 'when'))[0] ?? '',
    level: codeIn(cellOf(table, row, 'level'))[0],
    message: cellOf(table, row, 'message'),
  })),
)

/** The lines that an event becomes. */
function logOf(event: EventName, payload: object) {
  const lines: { level: string; fields: object; message: string }[] = []
  const method = (level: string) => (fields: object, message: string) => lines.push({ level, fields, message })
  const events = createEvents({})
  const { debug, info, warn, error } = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [level, method(level)]),
  ) as Record<string, ReturnType<typeof method>>
  startLogging({ debug, info, warn, error } as never, events.emitter)
  events.emit(event, payload as never)
  return lines
}

describe('docs/logging.md', () => {
  test('has a row for every event, and for no other', () => {
    expect([...new Set(rows.map(({ event }) => event))].sort()).toEqual(Object.keys(CALLBACKS).sort())
  })

  test.each(rows)('gives the line of $event $when', ({ event, when, level, message }) => {
    const lines = logOf(event, new Function(`return { ${when} }`)())
    expect(lines.map((line) => ({ level: line.level, message: line.message }))).toEqual(
      level === undefined ? [] : [{ level, message }],
    )
  })

  test('has a row for every reason and for every section that is no error', () => {
    const differing = (event: EventName, field: string, values: readonly string[]) =>
      values.map((value) => `${field}: '${value}' ${logOf(event, { [field]: value })[0]?.level}`)
    const said = (event: EventName) =>
      rows.filter((row) => row.event === event).map(({ when, level }) => `${when} ${level}`)
    const reasons = namesIn(tablesOf(readDocsPage('events'), 'reason')).filter((reason) => reason !== 'closed')
    expect(said('bg_didnt_update_plugins').sort()).toEqual(
      differing('bg_didnt_update_plugins', 'reason', reasons).sort(),
    )
    const sections = namesIn(tablesOf(readDocsPage('events'), 'section'))
    const harmless = differing('on_error', 'section', sections).filter((line) => !line.endsWith('error'))
    expect(
      said('on_error')
        .filter((line) => !line.endsWith('error'))
        .sort(),
    ).toEqual(harmless.sort())
  })

  test('lists the fields that no event has under their name', () => {
    const payload = { plugin: { name: 'p', domain: '*', phase: 'log' }, error: new Error('x'), host: 'h', at: 1 }
    const [line] = logOf('rt_plugins_error', payload)
    const own = Object.keys(line?.fields ?? {}).filter((field) => field !== 'host')
    expect(namesIn(tablesOf(page, 'field')).sort()).toEqual([...own, 'suppressed'].sort())
  })
})
