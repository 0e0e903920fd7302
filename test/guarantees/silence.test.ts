import { beforeEach, describe, expect, test, vi } from 'vitest'
import { everywhere, plugin, serveBehind } from '../fixtures/app.ts'
import { createInstance } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'

const LEVELS = ['warn', 'error'] as const
let lines: string[]

beforeEach(() => {
  lines = []
  for (const level of LEVELS) vi.spyOn(console, level).mockImplementation((line) => void lines.push(`${level} ${line}`))
})

const document = (...plugins: Parameters<typeof everywhere>[0]) => ({ general: { version: 7 }, ...everywhere(plugins) })

async function setUp(options = {}) {
  const api = await startPluginApi(document(plugin('access', '', { name: 'fine' })))
  const dyna = createInstance({ plugin_api_uri: api.uri, ...options })
  await dyna.ready()
  return { api, dyna }
}

describe('G54', () => {
  test('G54 with no logger and no listener, the console says what goes live first', async () => {
    await setUp()
    expect(lines).toEqual(['warn dynacode: version 7 is live, plugins: 1'])
  })

  test.each([
    ['a wrong status', { status: 500 }, /^warn dynacode: could not fetch plugins: .*500/],
    ['a page of HTML', { body: '<p>', headers: { 'Content-Type': 'text/html' } }, /^warn dynacode: .*HTML/],
    ['no JSON', { body: '{"domains"' }, /^error dynacode: refused a document \(invalid\).*JSON/],
    ['a broken frame', { body: {} }, /^error dynacode: refused a document \(invalid\).*domains/],
    ['a plugin that does not compile', { body: document(plugin('access', 'let (', { name: 'new' })) }, /^error .*new/],
    ['a plugin of no phase', { body: document(plugin('acess' as never, '', { name: 'new' })) }, /^error .*phase/],
  ])('G54 nor are these silent: %s', async (_, answer, line) => {
    const { api, dyna } = await setUp()
    api.answer(answer)
    await dyna.refresh()
    expect(lines[1]).toMatch(line)
  })

  test('G54 nor an API that nobody can reach', async () => {
    const { api, dyna } = await setUp()
    await api.close()
    await dyna.refresh()
    expect(lines[1]).toMatch(/^warn dynacode: could not fetch plugins: .*ECONNREFUSED/)
  })

  test('G54 nor a plugin that fails, and its breaker; in a few lines, however many requests there are', async () => {
    const { api, dyna } = await setUp()
    api.serve(document(plugin('access', 'throw new Error("oh")', { name: 'bad', on_failure: 'closed' })))
    await dyna.refresh()
    const request = await serveBehind(dyna)
    for (let n = 0; n < 8; n += 1) await request.get('/').expect(503)
    const failed = 'error dynacode: plugin "bad" (access, *) failed, the request got 503: oh'
    expect(lines.slice(1, 4)).toEqual([failed, failed, failed])
    expect(lines.slice(4)).toEqual([
      expect.stringMatching(
        /^error dynacode: plugin "bad" \(access, \*\) keeps failing and is skipped \(breaker open\)/,
      ),
    ])
  })

  test('G54 logger: false silences all of it', async () => {
    const { api, dyna } = await setUp({ logger: false })
    api.answer({ status: 500 })
    await dyna.refresh()
    expect(lines).toEqual([])
  })
})
