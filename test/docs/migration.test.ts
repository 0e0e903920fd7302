import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { CALLBACKS } from '../../lib/events/table.ts'
import { OPTION_NAMES } from '../../lib/options.ts'
import { everywhere, failures, type PluginFields, startApp } from '../fixtures/app.ts'
import { cellOf, codeIn, readDocsPage, tablesOf } from './pages.ts'

const page = readDocsPage('migration')

const answering = createServer((_request, response) => response.end('{}'))
afterEach(() => answering.close())

describe('the idioms', () => {
  const idioms = tablesOf(page, 'lua').flatMap((table) =>
    table.rows.map((row) => ({
      lua: row[0] ?? '',
      code: codeIn(cellOf(table, row, 'dynacode'))[0] ?? '',
      phase: codeIn(cellOf(table, row, 'phase'))[0] ?? '',
    })),
  )

  test.each(idioms)('$lua: $code', async ({ code, phase }) => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined)
    answering.listen(0, '127.0.0.1')
    await once(answering, 'listening')
    const params = { uri: `http://127.0.0.1:${(answering.address() as AddressInfo).port}` }
    const app = await startApp({ document: everywhere([{ name: 'p', phase, code, params } as PluginFields]) })
    await app.request.get('/')
    // A plugin of the phase `log` runs when the response is out.
    await expect.poll(() => app.seen.map(({ name }) => name)).toContain('rt_plugins_starting')
    const errors = failures(app).map(({ error }) => (error as Error).message)
    expect(errors).toEqual(code.startsWith('throw') ? ['no'] : [])
  })
})

describe('the tables', () => {
  test('name options that there are', () => {
    const [table] = tablesOf(page, 'lua-resty-dynacode')
    const named = table?.rows.flatMap((row) => codeIn(cellOf(table, row, 'dynacode'))) ?? []
    const options = named.filter((name) => !/[.…]/.test(name))
    expect(options).not.toHaveLength(0)
    expect(options.filter((name) => !OPTION_NAMES.includes(name))).toEqual([])
  })

  test('name events with their own callbacks', () => {
    const [table] = tablesOf(page, 'event')
    const named = table?.rows.map((row) => [codeIn(row[0] ?? '')[0], codeIn(cellOf(table, row, 'callback'))[0]]) ?? []
    expect(named).toHaveLength(15)
    expect(CALLBACKS).toMatchObject(Object.fromEntries(named))
  })
})
