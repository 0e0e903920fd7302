import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createDeferred, everywhere, failures, type PluginFields, plugin, startApp } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'

// Breakers go by the fake time; the guard, which has to stop what runs for real, does not.
vi.mock(import('../../../lib/time/clock.ts'), async (original) => {
  const { SYSTEM_CLOCK, ...rest } = await original()
  return { ...rest, SYSTEM_CLOCK: { ...SYSTEM_CLOCK, steady: () => performance.now() } }
})

/** Fails or not, as `switches.broken` has it, and counts its runs. */
const FRAGILE: PluginFields = {
  name: 'fragile',
  phase: 'access',
  code: 'switches.runs += 1; if (switches.broken) throw new Error("broken")',
}

describe('the breaker of a plugin', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const pass = (ms: number) => vi.advanceTimersByTime(ms)

  async function startFragile(fields: Partial<PluginFields> = {}, options = {}, globals = {}) {
    const switches = { runs: 0, broken: true }
    const opened = vi.fn()
    const closed = vi.fn()
    const app = await startApp({
      plugins: [{ ...FRAGILE, ...fields } as PluginFields],
      options: {
        globals: { switches, ...globals },
        breaker_failures: 3,
        on_breaker_open: opened,
        on_breaker_close: closed,
        ...options,
      },
    })
    const seen = record(app.dyna, ['rt_breaker_opened', 'rt_breaker_closed'])
    const status = () => app.dyna.status().plugins.find(({ name }) => name === 'fragile')
    const send = async (count: number) => {
      for (let request = 0; request < count; request += 1) await app.request.get('/').expect(200)
    }
    return { ...app, switches, opened, closed, events: seen, status, send }
  }

  it('opens after that many failures in a row: requests go on without the plugin', async () => {
    const app = await startFragile()
    await app.send(10)
    expect(app.switches.runs).toBe(3)
    expect(failures(app)).toHaveLength(3)
    const [event] = payloadsOf(app.events, 'rt_breaker_opened')
    expect(event).toMatchObject({ plugin: { name: 'fragile', domain: '*', phase: 'access' }, failures: 3 })
    expect(event?.retry_at).toBeGreaterThan(Date.now())
    expect(app.opened).toHaveBeenCalledExactlyOnceWith(event)
    expect(app.status()).toMatchObject({ breaker: 'open', retry_at: event?.retry_at })
  })

  it('tries it again after a pause, and closes when that goes well', async () => {
    const app = await startFragile()
    await app.send(3)
    app.switches.broken = false
    pass(2000)
    await app.send(1)
    expect(app.switches.runs).toBe(4)
    expect(app.closed).toHaveBeenCalledTimes(1)
    expect(payloadsOf(app.events, 'rt_breaker_closed')).toMatchObject([{ plugin: { name: 'fragile' } }])
    expect(app.status()).toMatchObject({ breaker: 'closed', retry_at: null })
    await app.send(5)
    expect(app.switches.runs).toBe(9)
  })

  it('opens again when that goes wrong, for longer', async () => {
    const app = await startFragile()
    await app.send(3)
    const first = (app.status()?.retry_at as number) - Date.now()
    pass(2000)
    await app.send(5)
    expect(app.switches.runs).toBe(4)
    expect((app.status()?.retry_at as number) - Date.now()).toBeGreaterThan(first)
    expect(app.opened).toHaveBeenCalledTimes(2)
  })

  it('lets one request try, however many come meanwhile', async () => {
    const gate = createDeferred()
    const app = await startFragile(
      { code: `${FRAGILE.code}; await wait()` },
      { breaker_failures: 1 },
      { wait: () => gate.promise },
    )
    await app.send(1)
    app.switches.broken = false
    pass(2000)
    const trying = app.send(1)
    await vi.waitFor(() => expect(app.switches.runs).toBe(2))
    expect(app.status()).toMatchObject({ breaker: 'half_open', retry_at: null })
    await app.send(5)
    expect(app.switches.runs).toBe(2)
    gate.resolve()
    await trying
    expect(app.status()?.breaker).toBe('closed')
  })

  it('stays out of the way of other plugins, and of the same one elsewhere', async () => {
    const switches = { runs: 0, broken: true }
    const counted = { name: 'sound', phase: 'access', code: 'switches.sound = (switches.sound ?? 0) + 1' }
    const app = await startApp({
      document: { domains: ['a.test', 'b.test'].map((name) => ({ name, plugins: [FRAGILE, counted] })) },
      options: { globals: { switches }, breaker_failures: 2 },
    })
    for (let request = 0; request < 6; request += 1) await app.request.get('/').set('Host', 'a.test').expect(200)
    expect(switches).toMatchObject({ runs: 2, sound: 6 })
    await app.request.get('/').set('Host', 'b.test').expect(200)
    expect(switches).toMatchObject({ runs: 3, sound: 7 })
  })

  it('begins closed with each new version of the plugin, and stays open over documents that leave it as it is', async () => {
    const app = await startFragile()
    await app.send(5)
    await app.serve({ ...everywhere([FRAGILE]), general: { status: 'enabled', version: 2 } })
    expect(app.dyna.status().version).toBe(2)
    await app.send(5)
    expect(app.switches.runs).toBe(3)
    await app.serve(everywhere([{ ...FRAGILE, code: `${FRAGILE.code} // mended` }]))
    expect(app.status()?.breaker).toBe('closed')
    await app.send(1)
    expect(app.switches.runs).toBe(4)
  })

  it('is not opened by deliberate exits', async () => {
    const app = await startApp({
      plugins: [plugin('access', 'if (ctx.query.how === "exit") exit(403); else ctx.throw(401)')],
      options: { breaker_failures: 2 },
    })
    for (let request = 0; request < 5; request += 1) {
      await app.request.get('/?how=exit').expect(403)
      await app.request.get('/').expect(401)
    }
    expect(app.dyna.status().plugins[0]?.breaker).toBe('closed')
  })

  it('is not opened by clients that go away while the plugin fetches', async () => {
    const hanging = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(hanging, 'listening')
    onTestFinished(() => {
      hanging.closeAllConnections()
      hanging.close()
    })
    const { port } = hanging.address() as AddressInfo
    const code = 'switches.runs += 1; await fetch(switches.upstream)'
    const app = await startFragile({ code }, {}, { switches: { runs: 0, upstream: `http://127.0.0.1:${port}/` } })
    for (let request = 0; request < 6; request += 1) {
      const arrived = once(hanging, 'request')
      const client = new AbortController()
      const answer = fetch(app.uri, { signal: client.signal })
      await arrived
      client.abort()
      await expect(answer).rejects.toThrow()
      await vi.waitFor(() => expect(failures(app)).toHaveLength(request + 1))
    }
    expect(app.status()?.breaker).toBe('closed')
  })

  it('is closed by a deliberate exit', async () => {
    const app = await startFragile({ code: `${FRAGILE.code}; exit(204)` })
    await app.send(3)
    app.switches.broken = false
    pass(2000)
    await app.request.get('/').expect(204)
    expect(app.status()?.breaker).toBe('closed')
  })

  it('opens after at most five overruns by default, and each held up the others for one budget only', async () => {
    const app = await startApp({ plugins: [plugin('access', 'while (true);', { budget_ms: 10 })] })
    for (let request = 0; request < 12; request += 1) await app.request.get('/').expect(200)
    expect(failures(app).map(({ error }) => (error as { code: string }).code)).toEqual(
      Array(5).fill('ERR_DYNACODE_BUDGET'),
    )
    expect(app.dyna.status().plugins[0]?.breaker).toBe('open')
  })

  it.each([
    ['deadlines that were missed', 'await new Promise(() => {})'],
    ['overruns of what plugins leave behind', 'setTimeout(() => { for (;;); }, 1)'],
  ])('counts %s', async (_, code) => {
    const app = await startApp({
      plugins: [plugin('access', code, { timeout_ms: 10, budget_ms: 10 })],
      options: { breaker_failures: 2 },
    })
    for (let request = 1; request <= 2; request += 1) {
      await app.request.get('/').expect(200)
      await vi.waitFor(() => expect(failures(app)).toHaveLength(request))
    }
    expect(app.dyna.status().plugins[0]?.breaker).toBe('open')
  })

  it('lets a shadow plugin try again, too', async () => {
    const app = await startFragile({ mode: 'shadow' })
    await app.send(5)
    // Shadows run when the response is sent.
    await expect.poll(() => app.status()?.breaker).toBe('open')
    expect(app.switches.runs).toBe(3)
    app.switches.broken = false
    pass(2000)
    await app.send(3)
    await expect.poll(() => app.switches.runs).toBe(6)
    expect(app.status()?.breaker).toBe('closed')
  })

  it('G60 is not closed by an old run that goes well while another is its try', async () => {
    const gates = [createDeferred(), createDeferred()]
    const code =
      'const n = switches.runs++; if (n < 2) await wait(n); else if (switches.broken) throw new Error("broken")'
    const app = await startFragile(
      { code },
      { breaker_failures: 2 },
      { wait: (n: number) => (gates[n] as { promise: Promise<void> }).promise },
    )
    const old = app.send(1)
    await vi.waitFor(() => expect(app.switches.runs).toBe(1))
    // The second one is for the try: it waits there.
    app.switches.runs = 2
    await app.send(2)
    expect(app.status()?.breaker).toBe('open')
    pass(2000)
    app.switches.runs = 1
    const trying = app.send(1)
    await vi.waitFor(() => expect(app.switches.runs).toBe(2))
    gates[0]?.resolve()
    await old
    expect(app.status()?.breaker).toBe('half_open')
    gates[1]?.resolve()
    await trying
    expect(app.status()?.breaker).toBe('closed')
  })

  it.each([
    ['at once', 'return Symbol("x")'],
    ['later', 'await null; return () => 1'],
  ])('is opened by a body filter that returns %s what cannot be sent', async (_, code) => {
    const app = await startFragile({ phase: 'body_filter', code })
    await app.send(3)
    expect(failures(app)).toHaveLength(3)
    expect(app.status()?.breaker).toBe('open')
  })

  it('lets a shadow plugin try again that could not have its view of the request', async () => {
    const state = { broken: false }
    const app = await startApp({
      plugins: [{ ...FRAGILE, mode: 'shadow' } as PluginFields],
      options: { globals: { switches: { runs: 0, broken: true } }, breaker_failures: 1 },
      outer: [
        (ctx, next) => {
          const inner = new Proxy({}, { ownKeys: () => assert(state.broken) })
          if (state.broken) Object.defineProperty(ctx, 'state', { value: inner, configurable: true })
          return next()
        },
      ],
    })
    const breaker = () => app.dyna.status().plugins[0]?.breaker
    await app.request.get('/').expect(200)
    expect(breaker()).toBe('open')
    pass(2000)
    state.broken = true
    await app.request.get('/').expect(200)
    expect(breaker()).toBe('open')
    state.broken = false
    await app.request.get('/').expect(200)
    // Its try was had, and failed.
    expect(app.dyna.status().plugins[0]).toMatchObject({ breaker: 'open' })
    expect(app.dyna.status().plugins[0]?.retry_at).toBeGreaterThan(Date.now() + 1000)
  })

  it('never opens with breaker_failures: 0', async () => {
    const app = await startFragile({}, { breaker_failures: 0 })
    await app.send(20)
    expect(app.switches.runs).toBe(20)
    expect(app.opened).not.toHaveBeenCalled()
  })

  it('grants its one try in whatever phase the plugin is', async () => {
    const switches = { runs: 0, broken: true }
    const phases = ['rewrite', 'content', 'balancer', 'header_filter', 'body_filter', 'log'] as const
    for (const phase of phases) {
      Object.assign(switches, { runs: 0, broken: true })
      const app = await startApp({
        plugins: [{ ...FRAGILE, phase }],
        options: { globals: { switches }, breaker_failures: 2 },
      })
      for (let request = 0; request < 4; request += 1) await app.request.get('/').expect(200)
      // Plugins of log run after the response.
      await expect.poll(() => [phase, switches.runs]).toEqual([phase, 2])
      switches.broken = false
      pass(2000)
      for (let request = 0; request < 2; request += 1) await app.request.get('/').expect(200)
      await expect.poll(() => [phase, switches.runs]).toEqual([phase, 4])
    }
  })
})

function assert(broken: boolean): string[] {
  if (broken) throw new Error('not to be looked at')
  return []
}
