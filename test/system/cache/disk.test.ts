import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { identifyThisProcess } from '../../../lib/background/cache/process-identity.ts'
import { checkPath } from '../../../lib/background/cache/safety.ts'
import { cachePath, openCache } from '../../fixtures/cache.ts'
import { makePipe } from '../../fixtures/pipe.ts'

describe('the lock', () => {
  const { signal } = new AbortController()
  const options = { max_age_ms: 1000, stale_ms: 60_000, signal }

  test('of a process that was killed is taken at once', async () => {
    const path = cachePath()
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    onTestFinished(() => void child.kill('SIGKILL'))
    const { machine } = identifyThisProcess()
    const holder = { pid: child.pid, machine, token: 'x', at: Date.now() }
    fs.writeFileSync(`${path}.lock`, JSON.stringify(holder), { mode: 0o600 })
    const { cache } = openCache(path)
    let isGiven = false
    const waited = cache.lock(options).then((release) => {
      isGiven = true
      return release
    })
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(isGiven).toBe(false)
    child.kill('SIGKILL')
    expect(await waited).toBeTypeOf('function')
  })

  test('does not wait for a pipe that somebody has put in its place', async () => {
    const path = cachePath()
    const { cache, reports } = openCache(path)
    makePipe(`${path}.lock`)
    expect(await cache.lock(options)).toBeTypeOf('function')
    expect(reports.map(({ message }) => message)).toEqual([expect.stringContaining('not a regular file')])
  })
})

test('the file of the cache must be no pipe, which would be waited for', () => {
  const path = cachePath()
  makePipe(path)
  expect(() => checkPath(fs, path)).toThrow('is not a regular file')
})
