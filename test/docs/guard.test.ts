import { describe, expect, test, vi } from 'vitest'
import { everywhere, failures, type PluginFields, startApp, type TestApp } from '../fixtures/app.ts'
import { isShown } from './exchange.ts'
import { cellOf, readDocsPage, tablesOf } from './pages.ts'

const page = readDocsPage('guard')

/** By what docs/guard.md says that stops it: how the plugin is guarded, and the error that tells of it. */
const LEVELS: Readonly<Record<string, readonly [guard: string, code: string]>> = {
  'a check': ['on', 'ERR_DYNACODE_BUDGET'],
  'the deadline': ['on', 'ERR_DYNACODE_TIMEOUT'],
  'strict mode': ['strict', 'ERR_DYNACODE_BUDGET'],
}

describe('docs/guard.md: what stops what', () => {
  const runaways = tablesOf(page, 'runaway').flatMap((table) =>
    table.rows.map((row) => ({
      what: cellOf(table, row, 'runaway'),
      code: /^(`+) ?(.*?) ?\1$/.exec(cellOf(table, row, 'for example'))?.[2] ?? '',
      level: cellOf(table, row, 'stopped by'),
    })),
  )

  test.each(runaways)('$what: $level', async ({ code, level }) => {
    const [guard, stopped] = LEVELS[level] ?? ['', '']
    expect(code).not.toBe('')
    const limits = { guard, budget_ms: 20, timeout_ms: 100 }
    const app = await startWith({ name: 'runaway', phase: 'access', code, ...limits })
    await app.request.get('/').expect(200, 'app')
    await vi.waitFor(() => expect(failures(app)).not.toEqual([]), { timeout: 5000, interval: 5 })
    expect(failures(app).map(({ error }) => (error as { code: string }).code)).toEqual([stopped])
  })
})

test('docs/guard.md: the stack that is shown is the one that its code makes', async () => {
  const code = page.blocks.find(({ marks }) => marks.get('recipe') === 'stuck')?.text ?? ''
  const shown = page.blocks.find(({ lang }) => lang === 'text')?.text ?? ''
  const name = /plugin "(\w+)"/.exec(shown)?.[1] as string
  const app = await startWith({ name, phase: 'access', code })
  await app.request.get('/').expect(200)
  const [stack = ''] = failures(app).map(({ error }) => String((error as Error).stack))
  if (!isShown(stack.split('\n'), shown.split('\n'))) expect(stack).toBe(shown)
})

function startWith(plugin: PluginFields): Promise<TestApp> {
  return startApp({ document: everywhere([plugin]) })
}
