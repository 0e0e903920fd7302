import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { bundle, makeFolder, startAppProcess } from '../../fixtures/processes.ts'

/** Holds up the thread where no check has a place, for a second or more. */
const STUCK = '/(a+)+$/.test("a".repeat(25) + "b")'
let script: string

beforeAll(async () => {
  script = await bundle(new URL('../../fixtures/serving-process.ts', import.meta.url))
})

function start(
  quarantine_path: string,
  code: string,
  watchdog: object,
  fork: { execArgv?: string[] } = {},
  more: object = {},
) {
  const plugins = [{ name: 'culprit', phase: 'access', code, ...more }]
  const bootstrap = {
    domains: [
      { name: '*', plugins: [...plugins, { name: 'other', phase: 'header_filter', code: "ctx.set('x-other', '1')" }] },
    ],
  }
  const options = {
    bootstrap,
    plugin_api_uri: 'http://127.0.0.1:1/',
    breaker_failures: 0,
    watchdog: { quarantine_path, limit_ms: 300, ...watchdog },
  }
  return startAppProcess(script, options, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], ...fork })
}

const entries = (folder: string) => readdirSync(folder).filter((name) => /^[0-9a-f]{40}\.json$/.test(name))
const stateOf = async (app: Awaited<ReturnType<typeof start>>, name: string) =>
  (await app.status()).plugins.find((plugin) => plugin.name === name)

describe('a plugin that holds up the main thread', () => {
  it.each([
    ['a listener of its own was called', 'ctx.res.on("own", () => {}); ctx.res.emit("own")'],
    ['a timer of its own went off', 'await new Promise((done) => setTimeout(done, 1))'],
  ])('is seen when %s before', async (_, before) => {
    const folder = makeFolder()
    const app = await start(folder, `${before}; ${STUCK}`, { exit: true })
    const exit = once(app.process, 'exit')
    await expect(fetch(app.uri)).rejects.toThrow()
    expect(await exit).toEqual([null, 'SIGKILL'])
    expect(entries(folder)).toHaveLength(1)
  })

  it('is named on stderr and costs one restart, once', async () => {
    const folder = makeFolder()
    const first = await start(folder, STUCK, { exit: true })
    let stderr = ''
    first.process.stderr?.on('data', (chunk) => {
      stderr += chunk
    })
    const exit = once(first.process, 'exit')
    await expect(fetch(first.uri)).rejects.toThrow()
    expect(await exit).toEqual([null, 'SIGKILL'])
    const [file] = entries(folder)
    const entry = JSON.parse(readFileSync(join(folder, file as string), 'utf8'))
    expect(entry).toMatchObject({ plugin: 'culprit', reason: 'stuck', sha1: file?.slice(0, 40) })
    expect(stderr).toContain(`plugin "culprit" (${entry.sha1}) keeps the event loop`)
    expect(statSync(join(folder, file as string)).mode & 0o777).toBe(0o600)

    const second = await start(folder, STUCK, { exit: true })
    const response = await fetch(second.uri)
    expect([response.status, response.headers.get('x-other')]).toEqual([200, '1'])
    expect(await stateOf(second, 'culprit')).toMatchObject({ state: 'quarantined' })
  })

  it('does not run again in the same process, where that goes on', async () => {
    const folder = makeFolder()
    const app = await start(folder, `ctx.set('x-ran', '1'); ${STUCK}`, {})
    expect((await fetch(app.uri)).headers.get('x-ran')).toBe('1')
    await vi.waitFor(async () => expect(await stateOf(app, 'culprit')).toMatchObject({ state: 'quarantined' }))
    expect((await fetch(app.uri)).headers.get('x-ran')).toBeNull()
    expect(
      (await app.errors()).some(({ section, message }) => section === 'watchdog' && message.includes('"culprit"')),
    ).toBe(true)
    expect(entries(folder)).toHaveLength(1)
  })

  it('lets nobody in while it is in quarantine, where it fails closed', async () => {
    const folder = makeFolder()
    const app = await start(folder, STUCK, {}, {}, { on_failure: 'closed' })
    await fetch(app.uri)
    await vi.waitFor(async () => expect((await fetch(app.uri)).status).toBe(503))
    const next = await start(folder, STUCK, {}, {}, { on_failure: 'closed' })
    expect((await fetch(next.uri)).status).toBe(503)
  })
})

describe('quarantine', () => {
  it('ends with a change of the code, and when somebody deletes the file', async () => {
    const folder = makeFolder()
    await fetch((await start(folder, STUCK, {})).uri)
    await vi.waitFor(() => expect(entries(folder)).toHaveLength(1))
    const changed = await start(folder, "ctx.set('x-ran', '1')", {})
    expect((await fetch(changed.uri)).headers.get('x-ran')).toBe('1')
    rmSync(join(folder, entries(folder)[0] as string))
    expect(await stateOf(await start(folder, STUCK, {}), 'culprit')).toMatchObject({ state: 'live' })
  })

  it('takes in what the process died of by itself: a plugin that eats all memory', async () => {
    const folder = makeFolder()
    const bomb = 'const all = []; for (;;) all.push(new Array(3e5).fill(all.length).map((n) => ({ n })))'
    const more = { budget_ms: 60_000 }
    const first = await start(folder, bomb, { limit_ms: 60_000 }, { execArgv: ['--max-old-space-size=150'] }, more)
    const exit = once(first.process, 'exit')
    await expect(fetch(first.uri)).rejects.toThrow()
    expect(await exit).not.toEqual([0, null])
    const second = await start(folder, bomb, {}, {}, more)
    expect((await fetch(second.uri)).status).toBe(200)
    expect(await stateOf(second, 'culprit')).toMatchObject({ state: 'quarantined' })
    expect(JSON.parse(readFileSync(join(folder, entries(folder)[0] as string), 'utf8'))).toMatchObject({
      reason: 'died',
    })
  })

  it('does not stop the start when its files are damaged', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, `${'a'.repeat(40)}.json`), 'not JSON')
    writeFileSync(join(folder, 'running-999999999.json'), '{')
    const app = await start(folder, "ctx.set('x-ran', '1')", {})
    expect((await fetch(app.uri)).headers.get('x-ran')).toBe('1')
  })
})

it('a plugin that is stopped by the guard, or only slow to answer, is none for quarantine', async () => {
  const folder = makeFolder()
  const app = await start(
    folder,
    'if (ctx.path === "/loop") while (true) {}\n await new Promise((r) => setTimeout(r, 800))',
    {},
  )
  await Promise.all([fetch(`${app.uri}loop`), fetch(app.uri), fetch(app.uri)])
  expect(entries(folder)).toEqual([])
  expect(await stateOf(app, 'culprit')).toMatchObject({ state: 'live' })
})
