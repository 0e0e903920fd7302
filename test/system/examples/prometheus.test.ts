import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import packageJson from '../../../package.json' with { type: 'json' }

const ROOT = join(import.meta.dirname, '..', '..', '..')
/** Real processes, on machines with other work. */
const PATIENCE = { timeout: 60_000, interval: 25 }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test('npm run prometheus serves metrics of plugins that run, fail and refuse, and ends without a word', async () => {
  const [node, ...args] = packageJson.scripts.prometheus.split(' ')
  expect(node).toBe('node')
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, APP_PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  cleanups.push(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    return ended
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  await vi.waitFor(() => expect(output).toContain('Ctrl-C ends it.'), PATIENCE)

  const [, uri] = /curl (\S+\/metrics)/.exec(output) ?? []
  const scrape = async () => (await fetch(uri as string)).text()
  const count = (plugin: string, outcome: string) =>
    expect.stringMatching(new RegExp(`_count\\{[^}]*plugin="${plugin}"[^}]*outcome="${outcome}"\\} [1-9]`))
  await vi.waitFor(async () => {
    const text = await scrape()
    for (const [plugin, outcome] of [
      ['cors', 'done'],
      ['token', 'exit'],
      ['flaky', 'open'],
      ['slow', 'done'],
    ] as const) {
      expect(text).toEqual(count(plugin, outcome))
    }
    expect(text).toContain('dynacode_document_info{version="1",from="network"} 1')
  }, PATIENCE)

  const before = output
  child.kill('SIGINT')
  expect(await ended).toEqual([0, null])
  expect(output).toBe(before)
})
