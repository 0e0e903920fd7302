import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { ask } from '../../lib/cli/ask.ts'
import { needsAttention, showStatus } from '../../lib/cli/show/status.ts'
import { callCommand, callJson } from '../fixtures/command-line.ts'
import { createReadyInstance } from '../fixtures/instance.ts'
import { type PluginApi, startPluginApi } from '../fixtures/plugin-api.ts'

const TOKEN = 'a-token-of-32-characters-exactly'
const AS = ['--token', TOKEN]
const documentOf = (version: number, code = 'log(1)') => ({
  general: { version },
  domains: [{ name: '*', plugins: [{ name: 'p', phase: 'access', code }] }],
})

async function start(path?: string): Promise<{ api: PluginApi; url: string }> {
  const api = await startPluginApi(documentOf(1))
  const dyna = await createReadyInstance({ plugin_api_uri: api.uri })
  const app = new Koa().use(dyna.control({ token: TOKEN, ...(path === undefined ? {} : { path }) })).use(dyna)
  const server = app.listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { api, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

describe('dynacode status', () => {
  test('shows what is live: a headline, times as people read them, and what is off', async () => {
    const { url } = await start()
    const { exit_code, output } = await callCommand('status', url, ...AS)
    expect(output.replace(/\d{4}-\S+Z/g, 'TIME').replace(/in \d+ \w+/, 'in a while')).toBe(
      [
        '1 live',
        'document   version 1 from the source, live since TIME (now)',
        'confirmed  TIME (now), next poll TIME (in a while)',
        'watching   off',
        'cache      off',
        'switch     on',
        '  live p (access, *)',
      ].join('\n'),
    )
    expect(exit_code).toBe(0)
    expect(await callJson('status', `${url}/`, ...AS)).toMatchObject({ version: 1, plugins: [{ name: 'p' }] })
  })

  test('asks below another path, with the token of the environment', async () => {
    vi.stubEnv('DYNACODE_TOKEN', TOKEN)
    const { url } = await start('/internal/plugins')
    expect(await callJson('status', `${url}/internal/plugins/`)).toMatchObject({ version: 1 })
  })

  test('ends with 1 where something needs attention, and says what in the headline', async () => {
    const { api, url } = await start()
    api.serve(documentOf(2, 'let ('))
    await callCommand('refresh', url, ...AS)
    const refused = await callCommand('status', url, ...AS)
    expect(refused.exit_code).toBe(1)
    expect(refused.output).toMatch(/^1 last good\ndocument {3}version 2/)
    expect(refused.output).toMatch(/last good p \(access, \*\): plugin "p":1:/)
    api.serve({ general: { version: 3 }, domain: [] })
    await callCommand('refresh', url, ...AS)
    expect((await callCommand('status', url, ...AS)).output).toMatch(
      /^1 last good; last document refused \S+( s ago)?: domain: unknown field\. Did you mean `domains`\?/,
    )
  })

  test('shows several processes, those that cannot be reached too', async () => {
    const [one, two] = [await start(), await start()]
    const { exit_code, output, errors } = await callCommand('status', one.url, 'http://127.0.0.1:1', two.url, ...AS)
    expect({ exit_code, errors }).toEqual({ exit_code: 2, errors: '' })
    expect(output.split('\n\n').map((block) => block.split('\n').slice(0, 2))).toEqual([
      [one.url, '1 live'],
      ['http://127.0.0.1:1', expect.stringMatching(/^error: http:\/\/127\.0\.0\.1:1\/_dynacode\/status: \S/)],
      [two.url, '1 live'],
    ])
    expect(await callJson('status', one.url, two.url, ...AS)).toMatchObject([
      { url: one.url, version: 1 },
      { url: two.url, version: 1 },
    ])
  })
})

describe('dynacode disable and enable', () => {
  test('switch the plugins of a process off and on', async () => {
    const { url } = await start()
    expect(await callCommand('disable', url, ...AS)).toMatchObject({
      exit_code: 0,
      output: 'off: no plugin runs in this process',
    })
    const { exit_code, output } = await callCommand('status', url, ...AS)
    expect(exit_code).toBe(1)
    expect(output).toMatch(/^1 live; off: the kill switch of this process is on, no plugin runs\n/)
    expect(await callCommand('enable', url, ...AS)).toMatchObject({ exit_code: 0, output: 'on: 1 live' })
    expect(await callCommand('status', url, ...AS)).toMatchObject({ exit_code: 0 })
  })
})

describe('dynacode refresh', () => {
  test('brings what the source has now', async () => {
    const { api, url } = await start()
    expect(await callCommand('refresh', url, ...AS)).toMatchObject({ exit_code: 0, output: 'not updated (unchanged)' })
    api.serve(documentOf(2, 'log(2)'))
    expect(await callCommand('refresh', url, ...AS)).toMatchObject({
      exit_code: 0,
      output: 'updated to version 2: 1 plugin, 1 compiled, 0 reused, 0 removed, 0 failed',
    })
  })

  test('ends with 1 when a plugin is refused, and names it and why', async () => {
    const { api, url } = await start()
    api.serve(documentOf(2, 'let ('))
    const { exit_code, output } = await callCommand('refresh', url, ...AS)
    expect(exit_code).toBe(1)
    expect(output).toMatch(/^updated to version 2: .*1 failed\n {2}last good p \(access, \*\): plugin "p":1:/)
  })

  test('ends with 1 when it is refused, and says why', async () => {
    const { api, url } = await start()
    api.serve({ domain: [] })
    const { exit_code, output } = await callCommand('refresh', url, ...AS)
    expect({ exit_code, output }).toEqual({
      exit_code: 1,
      output: 'not updated (invalid): domain: unknown field. Did you mean `domains`?',
    })
  })
})

test('a server that does not answer is left with a sentence', async () => {
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  await expect(ask(url, {}, 20)).rejects.toThrow(`${url}: no answer within 0.02 s`)
})

describe('the state of a process in words', () => {
  const NOW = Date.parse('2030-01-31T12:00:00Z')
  const plugin = {
    name: 'p',
    domain: '*',
    phase: 'access',
    state: 'live',
    breaker: 'closed',
    retry_at: null,
    error: null,
  }
  const STATUS = {
    closed: false,
    disabled: false,
    loaded: true,
    enabled: true,
    version: 7,
    attempted_version: 7,
    from: 'cache',
    stale: false,
    since: NOW - 3 * 86_400_000,
    validated_at: NOW - 300_000,
    last_error: null,
    next_poll_at: NOW + 20_000,
    polling: 'waiting',
    watching: 'none',
    cache: null,
    plugins: [plugin],
  }
  function shown(more: object): string[] {
    const lines: string[] = []
    const terminal = {
      print: (line: string) => lines.push(line),
      printError() {},
      paint: (_: unknown, text: string) => text,
    }
    showStatus({ ...STATUS, ...more }, terminal, NOW)
    return lines
  }

  test('has times with their distance, and when a plugin is tried again', () => {
    const broken = { ...plugin, breaker: 'open', retry_at: NOW + 30_000 }
    const lines = shown({ plugins: [broken], attempted_version: 8 })
    expect(lines).toEqual([
      '1 live; 1 skipped (breaker open)',
      'document   version 7 from the cache, live since 2030-01-28T12:00:00Z (3 days ago)',
      'refused    version 8',
      'confirmed  2030-01-31T11:55:00Z (5 min ago), next poll 2030-01-31T12:00:20Z (in 20 s)',
      'watching   off',
      'cache      off',
      'switch     on',
      '  live p (access, *), skipped (breaker open, next try 2030-01-31T12:00:30Z (in 30 s))',
    ])
  })

  test('shows the share of a candidate document, and what it was stopped for', () => {
    const at = (canary: object) => shown({ canary }).filter((line) => /canary|candidate/.test(line))
    expect(at({ percent: 5, stopped: null })).toEqual(['canary     5 % of the requests'])
    const stopped = { condition: 'status_5xx_rate', limit: 0.02, above_control: true, at: NOW }
    expect(at({ percent: 0, stopped })).toEqual([
      '1 live; the candidate document was stopped',
      'canary     0 % of the requests, stopped: status_5xx_rate more than 0.02 above the control group',
    ])
    expect(needsAttention({ ...STATUS, canary: { percent: 0, stopped } })).toBe(true)
    expect(needsAttention({ ...STATUS, canary: { percent: 5, stopped: null } })).toBe(false)
  })

  test.each([
    [{ closed: true, next_poll_at: null, polling: 'closed' }, '1 live; closed: no plugin runs'],
    [{ loaded: false, plugins: [] }, 'no plugins; no document is live yet'],
    [{ enabled: false }, '1 live; off: general.status of the document, no plugin runs'],
    [{ stale: true }, '1 live; the live document is stale'],
    [{ cache: { error: { message: 'disk full' } } }, '1 live; the cache does not work: disk full'],
    [{ last_error: { message: 'status 500' } }, '1 live; last refresh failed: status 500'],
    [
      { last_error: { code: 'ERR_DYNACODE_FETCH_STATUS', message: 'status 500', at: NOW - 20_000 } },
      '1 live; last refresh failed 20 s ago: status 500',
    ],
    [
      { last_error: { code: 'ERR_DYNACODE_DOCUMENT', message: 'no domains', at: NOW - 300_000 } },
      '1 live; last document refused 5 min ago: no domains',
    ],
  ])('begins with what needs attention: %j', (more, headline) => {
    expect(shown(more)[0]).toBe(headline)
    expect(needsAttention({ ...STATUS, ...more })).toBe(true)
    expect(needsAttention(STATUS)).toBe(false)
  })
})

describe('all fail with one sentence and 2', () => {
  test.each(['status', 'refresh', 'disable', 'enable'])(
    '%s: without the right token, a process, or one of dynacode',
    async (name) => {
      vi.stubEnv('DYNACODE_TOKEN', '')
      const { api, url } = await start()
      for (const [words, message] of [
        [[url], /expected the token of dyna\.control\(\) as --token/],
        [[url, '--token', 'wrong'], /got status 401: expected the header Authorization/],
        [[url, '--token', 'a b'], /the token: expected letters/],
        [['http://127.0.0.1:1', ...AS], /http:\/\/127\.0\.0\.1:1\/_dynacode\/\w+: \S/],
        [[api.uri, ...AS], /expected an answer of dyna\.control\(\), got status/],
        [['app', ...AS], /expected a URL such as .*, got "app"/],
      ] as const) {
        const { exit_code, errors, output } = await callCommand(name, ...words)
        expect({ exit_code, output }).toEqual({ exit_code: 2, output: '' })
        expect(errors).toMatch(message)
        expect(errors).not.toContain(TOKEN)
      }
    },
  )
})
