import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readSettings } from '../settings.ts'

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'studio-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe('the settings', () => {
  test('have a value each where the environment says nothing', async () => {
    expect(await readSettings({ GLOBALS: ' redis, flags' })).toMatchObject({
      PORT: 4000,
      HOST: '127.0.0.1',
      GLOBALS: ['redis', 'flags'],
      TWO_PERSONS: false,
      DEMO: true,
      key: undefined,
    })
  })

  test.each([
    ['PORT', 'abc', 'PORT: expected a port, got "abc"'],
    ['DEMO_PORT', '70000', 'DEMO_PORT: expected a port, got "70000"'],
    ['PROXY', 'yes', 'PROXY: expected 0 or 1, got "yes"'],
    ['TRY_LEVEL', 'none', 'TRY_LEVEL: expected one of namespaces, user, process, got "none"'],
    ['PUBLIC_URL', 'studio', 'PUBLIC_URL: expected an http: or https: URL, got "studio"'],
    [
      'DATABASE_URL',
      'mysql://u:secret@h',
      'DATABASE_URL: expected an address such as postgres://…, got something else',
    ],
    ['SIGNING_KEY', '/none', /^SIGNING_KEY: \/none cannot be used: ENOENT/],
  ])('say what is wrong with %s %s', async (name, value, message) => {
    await expect(readSettings({ [name]: value })).rejects.toThrow(message)
  })

  test('name a key that cannot sign before anybody publishes', async () => {
    const file = join(makeFolder(), 'key.json')
    writeFileSync(file, '{"kty":"oct","k":"c2VjcmV0"}')
    await expect(readSettings({ SIGNING_KEY: file })).rejects.toThrow(/^SIGNING_KEY: .*cannot sign with this key/)
  })
})

describe('a studio with an embedded database', () => {
  function start(folder: string, more: NodeJS.ProcessEnv = {}) {
    const env = { ...process.env, STUDIO_FOLDER: folder, PORT: '0', DEMO: '0', ...more }
    const child = spawn(process.execPath, ['--import', 'tsx', 'start.ts'], {
      env,
      cwd: join(import.meta.dirname, '..'),
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let said = ''
    child.stdout.on('data', (part) => {
      said += part
    })
    child.stderr.on('data', (part) => {
      said += part
    })
    const running = new Promise<void>((resolve) => {
      child.stdout.on('data', () => said.includes('the studio is at') && resolve())
    })
    return { child, running, ended: once(child, 'close'), said: () => said }
  }

  test('says at once that its port is in use, before it opens anything', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    onTestFinished(() => void taken.close())
    const { port } = taken.address() as AddressInfo
    const folder = join(makeFolder(), 'none')
    const { ended, said } = start(folder, { PORT: String(port) })
    expect(await ended).toEqual([1, null])
    expect(said()).toContain(`PORT: ${port} of 127.0.0.1 is in use`)
    expect(existsSync(folder)).toBe(false)
  })

  test('G55 author | inspector | opens no debugger by a signal', async () => {
    const { child, running, ended, said } = start(makeFolder())
    await running
    child.kill('SIGUSR1')
    // Where Node can be told to have none, nobody hears of the signal at all.
    if (!process.allowedNodeEnvironmentFlags.has('--disable-sigusr1'))
      await expect.poll(said, { timeout: 60_000 }).toContain('the studio has no debugger')
    expect(said()).not.toContain('Debugger listening')
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  })

  test('does not begin in a folder that another one uses, and does in one whose studio was killed', {
    timeout: 300_000,
  }, async () => {
    const folder = makeFolder()
    const first = start(folder)
    await first.running
    const second = start(folder)
    expect(await second.ended).toEqual([1, null])
    expect(second.said()).toContain(`another studio uses the database in ${folder}`)
    first.child.kill('SIGKILL')
    await first.ended
    const third = start(folder)
    await third.running
    third.child.kill('SIGTERM')
    expect(await third.ended).toEqual([0, null])
    const fourth = start(folder)
    await fourth.running
  })
})
