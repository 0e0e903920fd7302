import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { everywhere, startApp } from '../fixtures/app.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { createInstance, createReadyInstance, record } from '../fixtures/instance.ts'
import { startPluginApi } from '../fixtures/plugin-api.ts'

const SECRET = 'hunter2'
const document = (version: number, ...plugins: object[]) => ({ general: { version }, ...everywhere(plugins as never) })
const P = { name: 'p', phase: 'log', code: '' }

describe('the status', () => {
  test('before the first document says that there is none', async () => {
    const api = await startPluginApi('<html>')
    const dyna = createInstance({ plugin_api_uri: api.uri })
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({
      closed: false,
      loaded: false,
      enabled: null,
      version: null,
      from: null,
      since: null,
      validated_at: null,
      last_error: { code: 'ERR_DYNACODE_DOCUMENT', message: expect.stringMatching(/not JSON/) },
      plugins: [],
    })
  })

  test('tells who watches, and what is wrong with the cache', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'file'), '')
    const api = await startPluginApi(document(7, P))
    const options = { plugin_api_uri: api.uri, plugin_api_wait: 60, logger: false } as const
    const alone = await createReadyInstance(options)
    expect(alone.status()).toMatchObject({ watching: 'watching', cache: null })
    const cache_path = join(folder, 'cache')
    const [first, second] = [
      await createReadyInstance({ ...options, cache_path }),
      await createReadyInstance({ ...options, cache_path }),
    ]
    expect([first.status().watching, second.status().watching]).toEqual(['leading', 'following'])
    expect(first.status().cache).toEqual({ error: null })
    const refused = await createReadyInstance({ ...options, cache_path: join(folder, 'file', 'cache') })
    expect(refused.status().cache).toEqual({
      error: { code: 'ERR_DYNACODE_CACHE', message: expect.stringContaining('is not a folder') },
    })
  })

  test('tells what is live, since when, and when the next poll is', async () => {
    const before = Date.now()
    const api = await startPluginApi(document(7, P))
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
    await dyna.refresh()
    const status = dyna.status()
    expect(status).toMatchObject({
      loaded: true,
      enabled: true,
      version: 7,
      attempted_version: 7,
      from: 'network',
      last_error: null,
      plugins: [{ domain: '*', name: 'p', phase: 'log', state: 'live', error: null }],
    })
    expect(status.since).toBeGreaterThanOrEqual(before)
    expect(status.since).toBeLessThanOrEqual(Date.now())
    expect(status.next_poll_at).toBeGreaterThan(Date.now())
    expect(status.next_poll_at).toBeLessThanOrEqual(Date.now() + 3600 * 1000 * 1.1)
    expect(status).toMatchObject({ polling: 'waiting', watching: 'none', cache: null })
    await dyna.close()
    expect(dyna.status()).toMatchObject({ polling: 'closed', next_poll_at: null })
  })

  test('tells when the live document was last found current', async () => {
    const api = await startPluginApi(document(7, P))
    const options = { plugin_api_poll_at_init: false, bootstrap: document(6, P) }
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri, ...options })
    expect(dyna.status()).toMatchObject({ from: 'bootstrap', validated_at: null })
    const asked = Date.now()
    await dyna.refresh()
    const found = dyna.status().validated_at as number
    expect(found).toBeGreaterThanOrEqual(asked)
    api.answer({ status: 500 })
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({ version: 7, validated_at: found })
    api.serve(document(7, P))
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(found))
    await dyna.refresh()
    expect(dyna.status().validated_at).toBeGreaterThan(found)
  })

  test('tells the attempted version from the one that is live, and why they differ', async () => {
    const api = await startPluginApi(document(7, P))
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri, max_removed_ratio: 0.5 })
    const before = Date.now()
    api.serve(document(8))
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({
      version: 7,
      attempted_version: 8,
      last_error: { code: 'ERR_DYNACODE_HELD', message: expect.stringContaining('max_removed_ratio') },
    })
    const { last_error } = dyna.status()
    expect(last_error?.at).toBeGreaterThanOrEqual(before)
    expect(last_error?.at).toBeLessThanOrEqual(Date.now())
    api.serve(document(7, P))
    await dyna.refresh()
    expect(dyna.status()).toMatchObject({ version: 7, attempted_version: 7, last_error: null })
  })

  test('is frozen, and can be sent as JSON', async () => {
    const api = await startPluginApi(document(7, P, { ...P, name: 'broken', code: '(' }))
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
    const status = dyna.status()
    expect([status, status.plugins, ...status.plugins].every((part) => Object.isFrozen(part))).toBe(true)
    expect(JSON.parse(JSON.stringify(status))).toEqual(status)
  })

  test('tells one plugin’s state in each domain and phase', async () => {
    const app = await startApp({
      document: {
        domains: [
          { name: 'a', plugins: [P, { ...P, phase: 'access' }] },
          { name: 'b', plugins: [P, { ...P, name: 'closed', code: '(', on_failure: 'closed' }] },
        ],
      },
    })
    await app.serve({
      domains: [
        {
          name: 'a',
          plugins: [
            { ...P, code: '(' },
            { ...P, phase: 'access', code: '"new"' },
          ],
        },
        { name: 'b', plugins: 'none' },
        { name: 'c', plugins: [{ ...P, phase: 'none' }] },
      ],
    })
    const states = app.dyna
      .status()
      .plugins.map(({ domain, name, phase, state }) => [domain, name, phase, state].join(' '))
    expect(states).toEqual([
      'a p log last_good',
      'a p access live',
      'b p log last_good',
      'b closed log guarded',
      'c p  refused',
    ])
  })
})

describe('secrets', () => {
  test('are in no status, event, error or log', async () => {
    const api = await startPluginApi(document(1, P))
    const logged: string[] = []
    const write = process.stderr.write
    const { default: debug } = await import('debug')
    debug.enable('dynacode:*')
    process.stderr.write = (text: string | Uint8Array) => {
      logged.push(String(text))
      return true
    }
    try {
      const dyna = createInstance({
        plugin_api_uri: `${api.uri}?token=${SECRET}`,
        plugin_api_headers: { authorization: `Bearer ${SECRET}`, 'x-api-key': SECRET },
      })
      const seen = record(dyna)
      const results: unknown[] = [await dyna.refresh()]
      for (const answer of [
        { status: 401 },
        { status: 302, headers: { location: '/' } },
        { body: '<html>' },
        { body: '{' },
      ]) {
        api.answer(answer)
        results.push(await dyna.refresh(), dyna.status())
      }
      await api.close()
      results.push(await dyna.refresh(), dyna.status(), await dyna.ready(1))
      const { inspect } = await import('node:util')
      const told = [
        inspect(seen, { depth: 20, showHidden: true }),
        inspect(results, { depth: 20, showHidden: true }),
        ...logged,
      ]
      expect(api.requests[0]?.headers.authorization).toBe(`Bearer ${SECRET}`)
      expect(logged.join('')).toContain('dynacode:')
      expect(told.filter((text) => text.includes(SECRET))).toEqual([])
    } finally {
      process.stderr.write = write
      debug.disable()
    }
  })
})
