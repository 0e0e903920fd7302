import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
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
  test('shows what is live', async () => {
    const { url } = await start()
    const { exit_code, output } = await callCommand('status', url, ...AS)
    expect(exit_code).toBe(0)
    expect(output.split('\n')).toEqual(expect.arrayContaining(['version: 1', 'stale: false', '  live p (access, *)']))
    expect(await callJson('status', `${url}/`, ...AS)).toMatchObject({ version: 1, plugins: [{ name: 'p' }] })
  })

  test('asks below another path, with the token of the environment', async () => {
    vi.stubEnv('DYNACODE_TOKEN', TOKEN)
    const { url } = await start('/internal/plugins')
    expect(await callJson('status', `${url}/internal/plugins/`)).toMatchObject({ version: 1 })
  })
})

describe('dynacode refresh', () => {
  test('brings what the source has now', async () => {
    const { api, url } = await start()
    expect(await callCommand('refresh', url, ...AS)).toMatchObject({ exit_code: 0, output: 'not updated (unchanged)' })
    api.serve(documentOf(2, 'log(2)'))
    expect(await callCommand('refresh', url, ...AS)).toMatchObject({
      exit_code: 0,
      output: 'updated to version 2: 1 plugins, 1 compiled, 0 reused, 0 removed, 0 failed',
    })
  })

  test('ends with 1 when it is refused, and says why', async () => {
    const { api, url } = await start()
    api.serve({ domain: [] })
    const { exit_code, output } = await callCommand('refresh', url, ...AS)
    expect({ exit_code, output }).toEqual({
      exit_code: 1,
      output: expect.stringMatching(/^not updated \(invalid\): domain: unknown field\. Did you mean `domains`\?/),
    })
  })
})

describe('both fail with one sentence and 2', () => {
  test.each(['status', 'refresh'])('%s: without the right token, a process, or one of dynacode', async (name) => {
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
      const { exit_code, told, output } = await callCommand(name, ...words)
      expect({ exit_code, output }).toEqual({ exit_code: 2, output: '' })
      expect(told).toMatch(message)
      expect(told).not.toContain(TOKEN)
    }
  })
})
