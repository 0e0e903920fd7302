import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import packageJson from '../../../package.json' with { type: 'json' }

const ROOT = join(import.meta.dirname, '..', '..', '..')
/** Real processes, on machines with other work. */
const PATIENCE = { timeout: 60_000, interval: 25 }
const hasCurl = spawnSync('curl', ['--version']).error === undefined

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describe('npm run key-value', () => {
  test.runIf(hasCurl)('prints curl lines that do as they say, and ends without a word', async () => {
    const [node, ...args] = packageJson.scripts['key-value'].split(' ')
    expect(node).toBe('node')
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    const ended = once(child, 'close')
    cleanups.push(() => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      return ended
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    await vi.waitFor(() => expect(output).toContain('Ctrl-C ends it.'), PATIENCE)

    const curls = [...output.matchAll(/^ {2}(curl .+?)(?: {2,}.*)?$/gm)].map(([, line]) => `${line} -s`)
    const run = async (line: string) => (await promisify(execFile)('sh', ['-c', line])).stdout
    expect(curls).toHaveLength(4)
    expect(await run(curls[0]!)).toBe('hello world!\n')
    await run(curls[1]!)
    await vi.waitFor(async () => expect(await run(curls[2]!)).toBe('hello mars!\n'), PATIENCE)
    await run(curls[3]!)
    await vi.waitFor(() => expect(output).toMatch(/^nothing changes: .+404/m), PATIENCE)
    expect(await run(curls[2]!)).toBe('hello mars!\n')

    const before = output
    child.kill('SIGINT')
    expect(await ended).toEqual([0, null])
    expect(output).toBe(before)
  })
})
