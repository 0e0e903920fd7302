import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { PluginRunMessage, RefreshMessage } from '../../lib/index.ts'
import { createDeferred, failures, plugin, startApp } from '../fixtures/app.ts'
import { createInstance, payloadsOf } from '../fixtures/instance.ts'

const RUNS = tracingChannel<unknown, PluginRunMessage>('dynacode:plugin:run')
const REFRESHES = tracingChannel<unknown, RefreshMessage>('dynacode:refresh')
const PARTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

const undo: (() => void)[] = []

afterEach(() => {
  for (const each of undo.splice(0)) each()
})

/** What is published from now on: which part, a copy of the message as it was then, and the message. */
function record<M extends object>(channel: typeof RUNS | typeof REFRESHES) {
  const seen: { readonly part: string; readonly state: M; readonly message: M }[] = []
  for (const part of PARTS) {
    const subscriber = (message: unknown) =>
      void seen.push({ part, state: { ...(message as M) }, message: message as M })
    channel[part].subscribe(subscriber)
    undo.push(() => channel[part].unsubscribe(subscriber))
  }
  return seen
}

const recordRuns = () => record<PluginRunMessage>(RUNS)
const time = expect.any(Number)

describe('dynacode:plugin:run', () => {
  it.each([
    ['does its work', `1`, 'done', ['start', 'end'], 200],
    ['does its work later', `await null`, 'done', ['start', 'end', 'asyncStart', 'asyncEnd'], 200],
    ['ends the request', `exit(403)`, 'exit', ['start', 'end'], 403],
    ['ends the request later', `await null; ctx.throw(401)`, 'exit', ['start', 'end', 'asyncStart', 'asyncEnd'], 401],
  ])('tells of a plugin that %s', async (_what, code, outcome, parts, status) => {
    const seen = recordRuns()
    const { request } = await startApp({ plugins: [plugin('access', code, { name: 'it' })] })
    await request.get('/path').set('Host', 'Some.Host:81').expect(status)
    expect(seen.map(({ part }) => part)).toEqual(parts)
    expect(new Set(seen.map(({ message }) => message)).size).toBe(1)
    const [first, last] = [seen[0]?.state, seen.at(-1)?.state]
    const about = { plugin: { name: 'it', domain: '*', phase: 'access' }, phase: 'access', host: 'some.host' }
    expect(first).toMatchObject({ ...about, shadow: false, outcome: undefined, duration_ms: undefined })
    expect(first?.ctx.path).toBe('/path')
    expect(last).toMatchObject({ ...about, outcome, duration_ms: time, sync_ms: time, error: undefined })
  })

  it.each([
    ['open', 'throws', `throw 7`, ['start', 'error', 'end']],
    ['closed', 'throws later', `await null; throw 7`, ['start', 'end', 'error', 'asyncStart', 'asyncEnd']],
  ] as const)(
    'tells of one that fails %s, which %s, though nobody else sees the error',
    async (outcome, _what, code, parts) => {
      const seen = recordRuns()
      const running = await startApp({ plugins: [plugin('access', code, { on_failure: outcome })] })
      await running.request.get('/').expect(outcome === 'open' ? 200 : 503)
      expect(seen.map(({ part }) => part)).toEqual(parts)
      expect(seen.find(({ part }) => part === 'error')?.state.error).toBe(7)
      expect(seen.at(-1)?.state).toMatchObject({ outcome, error: 7, duration_ms: time, sync_ms: time })
      expect(failures(running)).toHaveLength(1)
    },
  )

  it('tells of one that is stopped', async () => {
    const seen = recordRuns()
    const { request } = await startApp({
      plugins: [plugin('access', `for (;;);`), plugin('access', `await new Promise(() => {})`, { timeout_ms: 20 })],
    })
    await request.get('/').expect(200)
    const errors = seen.filter(({ part }) => part === 'error').map(({ state }) => state.error)
    expect(errors).toMatchObject([{ code: 'ERR_DYNACODE_BUDGET' }, { code: 'ERR_DYNACODE_TIMEOUT' }])
    expect(seen.filter(({ part }) => part === 'start')).toHaveLength(2)
    expect(seen.at(-1)?.part).toBe('asyncEnd')
  })

  it('tells of every phase, and of each chunk of a body', async () => {
    const seen = recordRuns()
    const phases = ['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'] as const
    const { request } = await startApp({ plugins: phases.map((phase) => plugin(phase, '')) })
    await request.get('/').expect(200)
    await expect.poll(() => seen.length).toBe(14)
    expect(seen.filter(({ part }) => part === 'end').map(({ state }) => state.phase)).toEqual(phases)
  })

  it('marks runs in shadow mode, which reach no other event of runs', async () => {
    const seen = recordRuns()
    const code = `await null; ctx.set('X-Shadow', '1'); throw 7`
    const running = await startApp({ plugins: [plugin('access', code, { mode: 'shadow' })] })
    const shadows = vi.fn()
    running.dyna.events.on('rt_plugins_shadow', shadows)
    const { headers } = await running.request.get('/').expect(200)
    expect(headers).not.toHaveProperty('x-shadow')
    await expect.poll(() => seen.map(({ part }) => part)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    expect(seen.at(-1)?.state).toMatchObject({ shadow: true, outcome: 'open', error: 7 })
    expect(shadows).toHaveBeenCalledOnce()
    expect(running.seen).toEqual([])
  })

  it.each(['on', 'strict', 'off'] as const)(
    'hands its stores to the code of the plugin and to no other (guard: %s)',
    async (guard) => {
      const storage = new AsyncLocalStorage<string>()
      RUNS.start.bindStore(storage, (message) => (message as PluginRunMessage).plugin.name)
      undo.push(() => RUNS.start.unbindStore(storage))
      const found: unknown[] = []
      const look = () => void found.push(storage.getStore())
      const { request } = await startApp({
        plugins: [
          plugin('access', `look(); await 1; look(); await new Promise((r) => setTimeout(r, 1)); look()`, {
            name: 'a',
            guard,
          }),
          plugin('access', `look()`, { name: 'b', guard }),
        ],
        options: { globals: { look } },
        inner: (ctx) => {
          look()
          ctx.body = 'app'
        },
      })
      await storage.run('request', () => request.get('/').expect(200, 'app'))
      expect(found).toEqual(['a', 'a', 'a', 'b', undefined])
    },
  )

  it('is silent once nobody is subscribed', async () => {
    const seen = recordRuns()
    for (const each of undo.splice(0)) each()
    const { request } = await startApp({ plugins: [plugin('access', '')] })
    await request.get('/').expect(200)
    expect(seen).toEqual([])
  })

  it('tells the end of a run that close() has come before', async () => {
    const seen = recordRuns()
    const gate = createDeferred()
    const { request, dyna } = await startApp({
      plugins: [plugin('access', 'await gate'), plugin('access', '')],
      options: { globals: { gate: gate.promise } },
    })
    const response = request.get('/').expect(200)
    void response.then()
    await expect.poll(() => seen.length).toBe(2)
    await dyna.close()
    gate.resolve()
    await response
    expect(seen.map(({ part }) => part)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
  })

  it('does not let the request feel a subscriber that throws: Node reports it as an uncaught exception', async () => {
    const uncaught = vi.fn()
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', uncaught)
    undo.push(() => {
      process.removeAllListeners('uncaughtException')
      for (const listener of before) process.on('uncaughtException', listener)
    })
    const throwing = () => {
      throw new Error('subscriber')
    }
    for (const part of PARTS) {
      RUNS[part].subscribe(throwing)
      undo.push(() => RUNS[part].unsubscribe(throwing))
    }
    const running = await startApp({
      plugins: [plugin('access', `ctx.set('X-It', '1'); await null; ctx.set('X-Ran', '1')`)],
    })
    await running.request.get('/').expect(200, 'app').expect('X-Ran', '1')
    expect(running.errors).toEqual([])
    expect(payloadsOf(running.seen, 'rt_plugins_done')).toHaveLength(1)
    expect(uncaught).toHaveBeenCalledTimes(4)
  })
})

describe('dynacode:refresh', () => {
  const recordRefreshes = () => record<RefreshMessage>(REFRESHES)
  const document = (code: string) =>
    Buffer.from(JSON.stringify({ domains: [{ name: '*', plugins: [plugin('log', code)] }] }))

  it('tells of each cycle, with its occasion and what came of it', async () => {
    const seen = recordRefreshes()
    const bytes = document('')
    const dyna = createInstance({ source: { fetch: async () => ({ bytes }) } })
    await dyna.ready()
    const refreshed = await dyna.refresh()
    expect(seen.map(({ part }) => part)).toEqual([
      'start',
      'end',
      'asyncStart',
      'asyncEnd',
      'start',
      'end',
      'asyncStart',
      'asyncEnd',
    ])
    expect(seen[0]?.state).toEqual({ occasion: 'poll', result: undefined, error: undefined })
    expect(seen[3]?.state).toMatchObject({
      occasion: 'poll',
      result: { updated: true, plugins: 1, version: expect.any(String) },
    })
    expect(seen.at(-1)?.state).toEqual({ occasion: 'asked', result: refreshed, error: undefined })
    expect(refreshed).toMatchObject({ updated: false, reason: 'unchanged' })
  })

  it('tells why a document could not be had, or not be used', async () => {
    const dyna = createInstance({
      plugin_api_poll_at_init: false,
      source: {
        fetch: vi.fn(async () => ({ bytes: Buffer.from('<html>') })).mockRejectedValueOnce(new Error('down')),
      },
    })
    const seen = recordRefreshes()
    await dyna.refresh()
    await dyna.refresh()
    expect(seen.filter(({ part }) => part === 'error').map(({ state }) => state.error?.message)).toEqual([
      expect.stringContaining('down'),
      expect.stringContaining('JSON'),
    ])
    expect(seen.filter(({ part }) => part === 'asyncEnd').map(({ state }) => state.result)).toMatchObject([
      { updated: false, reason: 'fetch' },
      { updated: false, reason: 'invalid' },
    ])
  })

  it('hands its stores to the source', async () => {
    const storage = new AsyncLocalStorage<RefreshMessage>()
    REFRESHES.start.bindStore(storage)
    undo.push(() => REFRESHES.start.unbindStore(storage))
    const fetch = vi.fn(async () => ({ bytes: document(''), found: storage.getStore()?.occasion }))
    const dyna = createInstance({ source: { fetch }, plugin_api_poll_at_init: false })
    await dyna.refresh()
    expect(await fetch.mock.results[0]?.value).toMatchObject({ found: 'asked' })
  })
})
