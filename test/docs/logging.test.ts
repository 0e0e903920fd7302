import { describe, expect, test } from 'vitest'
import { CompileError } from '../../lib/errors.ts'
import { createEvents } from '../../lib/events/emitter.ts'
import { CALLBACKS, type EventName } from '../../lib/events/table.ts'
import { startConsoleLog } from '../../lib/observability/log/console.ts'
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

  const [on_console, of_pino] = page.blocks.filter(({ lang }) => lang === 'text').map(({ text }) => text)
  const plugin = { name: 'token', domain: 'shop.example.com', phase: 'access' } as const
  const failure = () => ({
    plugin,
    phase: 'access' as const,
    host: 'shop.example.com',
    error: new TypeError(`Cannot read properties of undefined (reading 'a')`),
    duration_ms: 0.2,
    sync_ms: 0.2,
    outcome: 'closed' as const,
  })

  test('shows lines of the console as they are', () => {
    const lines: string[] = []
    const print = (line: string) => lines.push(line)
    const events = createEvents({})
    startConsoleLog(events, { info: print, warn: print, error: print })
    const refused = `connect ECONNREFUSED 127.0.0.1:9090`
    events.emit('bg_fetch_api_generic_error', { error: new Error(refused), duration_ms: 1 })
    const counts = { compiled: 3, reused: 0, removed: 0, failed: 0, duration_ms: 1 }
    events.emit('bg_updated_plugins', { version: 7, from: 'network', plugins: 3, ...counts })
    const error = new CompileError('cors', `Unexpected token '}'`, { line: 2 })
    const cors = { ...plugin, name: 'cors', phase: 'header_filter' } as const
    events.emit('bg_compile_error', { plugin: cors, error, kept_last_good: true })
    events.emit('rt_plugins_error', failure())
    expect(lines.join('\n')).toBe(on_console)
  })

  test('shows a line of pino with the fields that it has', () => {
    const [line] = logOf('rt_plugins_error', failure())
    const { level, time, msg, ...fields } = JSON.parse(of_pino ?? '')
    expect({ level, msg }).toEqual({ level: 50, msg: line?.message })
    expect(Object.keys(fields)).toEqual(Object.keys(line?.fields ?? {}))
    expect(fields).toMatchObject({ plugin: 'token', host: 'shop.example.com', outcome: 'closed' })
  })
})
