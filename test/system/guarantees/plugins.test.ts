import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { everywhere, plugin } from '../../fixtures/app.ts'
import { resultOf, runChild } from '../../fixtures/child.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'
import { bundle, makeFolder, startAppProcess } from '../../fixtures/processes.ts'

describe('G43', () => {
  const LEFT_BEHIND: Readonly<Record<string, string>> = {
    'a floating promise': `Promise.reject(new Error('left'))`,
    'an async function that nobody waits for': `(async () => { await null; throw new Error('left') })()`,
    'a timer’s callback': `setTimeout(() => { throw new Error('left') }, 1)`,
    'a rejection that comes late': `setTimeout(() => Promise.reject(new Error('left')), 5)`,
    'a rejection after the deadline': `await new Promise((_, reject) => setTimeout(() => reject(new Error('left')), 60))`,
    'a microtask': `queueMicrotask(() => { throw new Error('left') })`,
    'a listener': `ctx.res.on('finish', () => { throw new Error('left') })`,
    'a promise that is thrown away in a chain': `Promise.resolve().then(() => { throw new Error('left') })`,
  }

  test('G43 what plugins leave behind never ends the process, and is told with the plugin’s name', async () => {
    const plugins = Object.entries(LEFT_BEHIND).map(([name, code]) => ({ name, phase: 'access', code, timeout_ms: 30 }))
    const ended = await runChild(`
      const app = await start({ plugins: ${JSON.stringify(plugins)} })
      for (let times = 0; times < 3; times += 1) await get(app)
      await sleep(300)
      const last = await get(app)
      console.log(JSON.stringify({ status: last.status, failed: [...new Set(app.failed.map(({ name }) => name))] }))
      process.exit(0)
    `)
    const { status, failed } = resultOf(ended)
    expect(status).toBe(200)
    expect(failed.toSorted()).toEqual(Object.keys(LEFT_BEHIND).toSorted())
  })

  test.each([
    ['a rejection', `Promise.reject(new Error('of the app'))`],
    ['an exception', `setTimeout(() => { throw new Error('of the app') }, 1)`],
  ])('G43 %s of the app’s own that nobody handles ends the process exactly as without dynacode', async (_, text) => {
    const scripts = [
      `await start({ plugins: [{ name: 'p', phase: 'access', code: '' }] }).then(get)\n${text}\nawait sleep(500)`,
      `${text}\nawait new Promise((done) => setTimeout(done, 500))`,
    ]
    const [withIt, without] = await Promise.all(
      scripts.map((script, index) => runChild(script, { prelude: index === 0 })),
    )
    const shown = ({ stderr = '' } = {}) => stderr.split('\n').filter((line) => /^(\w+ )*Error: /.test(line))
    expect({ code: withIt?.code, signal: withIt?.signal }).toEqual({ code: without?.code, signal: without?.signal })
    expect(withIt?.code).toBe(1)
    expect(shown(withIt)).toEqual(shown(without))
    expect(shown(withIt)).toEqual(['Error: of the app'])
  })
})

describe('G44', () => {
  const HANGING = `if (ctx.path === '/hang') /(a+)+$/.test('a'.repeat(60) + 'b')`
  let script: string
  beforeAll(async () => {
    script = await bundle(new URL('../../fixtures/serving-process.ts', import.meta.url))
  })

  /** A process whose plugin hangs when it is asked to. */
  async function setUp(watchdog: object) {
    const api = await startPluginApi(everywhere([plugin('access', HANGING, { name: 'hanging' })]))
    const quarantine_path = join(makeFolder(), 'quarantine')
    const options = {
      plugin_api_uri: api.uri,
      plugin_api_polling_interval: 600,
      cache_path: join(makeFolder(), 'cache'),
      watchdog: { quarantine_path, ...watchdog },
    }
    const start = async () => {
      const app = await startAppProcess(script, options, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
      await expect.poll(async () => (await app.status()).loaded).toBe(true)
      return app
    }
    return { api, start, quarantine_path }
  }

  async function isNotRunAgain({ api, start, quarantine_path }: Awaited<ReturnType<typeof setUp>>): Promise<void> {
    for (let restart = 0; restart < 2; restart += 1) {
      const app = await start()
      expect((await fetch(`${app.uri}hang`)).status).toBe(200)
      expect(await app.status()).toMatchObject({ plugins: [{ name: 'hanging', state: 'quarantined' }] })
      if (restart === 0) {
        await app.kill()
        continue
      }
      // New code is new: it runs, without a restart.
      api.serve(
        everywhere([
          plugin('access', `${HANGING.replace('(a+)+', 'a+')}; ctx.set('X-Ran', 'yes')`, { name: 'hanging' }),
        ]),
      )
      await app.refresh()
      expect((await fetch(`${app.uri}hang`)).headers.get('x-ran')).toBe('yes')
      expect(await app.status()).toMatchObject({ plugins: [{ name: 'hanging', state: 'live' }] })
    }
    expect(readdirSync(quarantine_path).filter((name) => /^[0-9a-f]{40}\.json$/.test(name))).toHaveLength(1)
  }

  test('G44 a plugin that hung the process is not run again after the restart until its code changes', async () => {
    const given = await setUp({ limit_ms: 300, exit: true })
    const app = await given.start()
    expect((await fetch(app.uri)).status).toBe(200)
    const gone = once(app.process, 'exit')
    await expect(fetch(`${app.uri}hang`)).rejects.toThrow()
    expect(await gone).toEqual([null, 'SIGKILL'])
    await isNotRunAgain(given)
  })

  test('G44 nor is one in whose midst the process was killed by somebody else', async () => {
    const given = await setUp({ limit_ms: 60_000 })
    const app = await given.start()
    const asked = fetch(`${app.uri}hang`).catch(() => undefined)
    await expect.poll(() => readdirSync(given.quarantine_path)).toContain(`running-${app.pid}.json`)
    await app.kill()
    await asked
    await isNotRunAgain(given)
  })
})
