import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'

const root = new URL('../../..', import.meta.url).pathname
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

it('the example runs: real curl, its own plugins, a server drained while it runs, a clean end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-gateway-'))
  closing.push(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(root, 'examples/gateway/plugins'), folder, { recursive: true })
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/gateway/start.ts'], {
    cwd: root,
    env: { ...process.env, PLUGINS_FOLDER: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  closing.push(() => child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  await vi.waitFor(() => expect(output).toMatch(/Ctrl-C ends it/), { timeout: 60_000 })
  const address = /gateway is at (\S+),/.exec(output)?.[1]
  const curl = (...given: string[]) => spawnSync('curl', ['-s', '-i', ...given]).stdout.toString()
  const ask = (...given: string[]) => fetchText(address as string, given)
  const hasCurl = spawnSync('curl', ['--version']).status === 0
  expect(await ask()).toContain('server blue: GET /hello')
  expect(await ask('x-canary')).toContain('server green: GET /hello')
  if (hasCurl) expect(curl('-H', 'x-canary: 1', `${address}/hello`)).toMatch(/200 OK[\s\S]*server green: GET \/hello/)
  const manifest = join(folder, 'dynacode.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"draining": []', '"draining": ["blue"]'))
  await vi.waitFor(async () => expect(await ask()).toContain('server green'), { timeout: 60_000 })
  child.kill('SIGINT')
  const [code] = await once(child, 'exit')
  expect({ code, output: output.match(/at .*\(|Error/g) }).toEqual({ code: 0, output: null })
})

async function fetchText(address: string, headers: readonly string[]): Promise<string> {
  const response = await fetch(`${address}/hello`, { headers: Object.fromEntries(headers.map((name) => [name, '1'])) })
  return response.text()
}
