import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { everywhere } from '../../fixtures/app.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'
import { bundle, makeFolder } from '../../fixtures/processes.ts'

const versioned = (version: number) => ({
  general: { version },
  ...everywhere([{ name: 'mark', phase: 'rewrite', code: `ctx.set('X-Version', '${version}')` }]),
})

describe('G37', async () => {
  describe('the process', () => {
    let script: string
    beforeAll(async () => {
      script = await bundle(new URL('../../fixtures/ending-process.ts', import.meta.url))
    })

    /** Runs it to its end; what does not end by itself is killed, and fails. */
    async function run(options: object): Promise<void> {
      const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] })
      const killer = setTimeout(() => child.kill('SIGKILL'), 8000)
      const [[code, signal], out, err] = await Promise.all([
        once(child, 'exit'),
        text(child.stdout),
        text(child.stderr),
      ])
      clearTimeout(killer)
      expect({ code, signal, out, err }).toEqual({ code: 0, signal: null, out: 'done\n', err: '' })
    }

    const folder = () => join(makeFolder(), 'cache')
    const HOUR = { plugin_api_timeout: 3600, plugin_api_polling_interval: 3600 }
    const CASES: [string, () => object][] = [
      ['is closed at once', () => ({ close_after_ms: 0 })],
      ['is closed in the middle of a fetch', () => ({ close_after_ms: 300, path: 'hang' })],
      ['is closed in the middle of a body', () => ({ close_after_ms: 300, path: 'half' })],
      [
        'is closed between two polls, with cache and watchdog',
        () => ({ close_after_ms: 300, cache_path: folder(), watchdog: { quarantine_path: folder() } }),
      ],
      [
        'is closed after requests',
        () => ({ close_after_ms: 0, serve: true, max_stale_seconds: 3600, guard: 'strict' }),
      ],
      ['is not closed, after requests', () => ({ serve: true, cache_path: folder(), max_stale_seconds: 3600 })],
      ['is not closed, in the middle of a fetch', () => ({ path: 'hang' })],
    ]

    test.each(CASES)('G37 the process whose instance %s ends by itself', async (_, options) => {
      const api = await startPluginApi()
      api.behave(({ url }, response) => {
        if (url === '/hang') return
        if (url === '/half') return void response.write('{')
        response.end(JSON.stringify(versioned(1)))
      })
      const { path = 'plugins.json', ...rest } = options() as { path?: string }
      await run({ ...HOUR, plugin_api_uri: new URL(path, api.uri).href, ...rest })
    })
  })
})

test('G39 after thousands of code changes the heap is back within 10 % of the start, under a limit of 128 MB', async () => {
  const changes = process.env.DYNACODE_TEST_LONG === '1' ? 10_000 : 1000
  const script = await bundle(new URL('../../fixtures/changing-process.ts', import.meta.url))
  const flags = ['--max-old-space-size=128', '--expose-gc']
  const child = spawn(process.execPath, [...flags, script, String(changes)], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [[code], out] = await Promise.all([once(child, 'exit'), text(child.stdout)])
  expect(code).toBe(0)
  const { version, start, end } = JSON.parse(out) as { version: number; start: number; end: number }
  expect(version).toBeGreaterThan(changes)
  expect(end).toBeLessThan(start * 1.1)
})
