import { get } from 'node:http'
import { Registry } from 'prom-client'
import { describe, expect, it, vi } from 'vitest'
import { collect } from '../../../lib/observability/metrics/index.ts'
import { type PluginFields, startApp, type TestApp } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'

/** How many runs have failed by now. */
const countFailures = (app: TestApp) => () => payloadsOf(app.seen, 'rt_plugins_error').length

const KEYED = { percent: 50, by: 'header:x-user' }

/** An app with a plugin whose rollout is guarded; `bad` is what its code can ask. */
async function startGuarded(code: string, stop_when: object, more: Record<string, unknown> = {}, fields: object = {}) {
  const switches = { bad: true, runs: 0 }
  const plugin = {
    name: 'new',
    phase: 'access',
    code: `switches.runs += 1; ${code}`,
    rollout: { ...KEYED, stop_when, ...more },
    ...fields,
  } as PluginFields
  const on_rollout_stop = vi.fn()
  const app = await startApp({
    plugins: [plugin],
    inner: (ctx) => {
      ctx.status = ctx.get('x-status') === '' ? 200 : Number(ctx.get('x-status'))
      ctx.body = 'app'
    },
    options: { globals: { switches }, breaker_failures: 0, on_rollout_stop },
  })
  const seen = record(app.dyna, ['rt_rollout_stopped'])
  let user = 0
  /** Requests of as many users; some of them are in the rollout. */
  const send = async (count: number, headers: Record<string, string> = {}) => {
    const statuses: number[] = []
    for (let request = 0; request < count; request += 1) {
      user += 1
      const { status } = await app.request.get('/').set({ 'x-user': `u${user}`, ...headers })
      statuses.push(status)
    }
    return statuses
  }
  const status = () => app.dyna.status().plugins.find(({ name }) => name === 'new')
  const stops = () => payloadsOf(seen, 'rt_rollout_stopped')
  return { ...app, plugin, switches, send, status, stops, on_rollout_stop }
}

describe('a guarded rollout', () => {
  it('stops within 20 runs of a plugin that fails for every request', async () => {
    const app = await startGuarded('throw new Error("bad")', { error_rate: 0.05 })
    await app.send(100)
    expect(app.switches.runs).toBe(20)
    expect(app.stops()).toEqual([
      {
        at: expect.any(Number),
        plugin: { name: 'new', domain: '*', phase: 'access' },
        condition: 'error_rate',
        limit: 0.05,
        above_control: false,
        inside: {
          requests: 20,
          runs: 20,
          errors: 20,
          exits: 0,
          slow_runs: 0,
          responses: 0,
          status_5xx: 0,
          slow_responses: 0,
        },
        control: { requests: expect.any(Number), responses: 0, status_5xx: 0, slow_responses: 0 },
      },
    ])
    expect(app.on_rollout_stop).toHaveBeenCalledExactlyOnceWith(app.stops()[0])
    expect(app.status()).toMatchObject({
      state: 'stopped',
      rollout: { percent: 0, stopped: { condition: 'error_rate', limit: 0.05, above_control: false } },
    })
  })

  it.each([
    ['exit_rate', 'exit(403)', { exit_rate: 0.3 }],
    ['an http-error is an exit', 'ctx.throw(403)', { exit_rate: 0.3 }],
    ['p99_ms', 'const end = Date.now() + 4; while (Date.now() < end);', { p99_ms: 2 }],
    ['p99_ms of what waits', 'await new Promise((done) => setTimeout(done, 4))', { p99_ms: 2 }],
    ['min_runs', 'throw new Error("bad")', { error_rate: 0.05, min_runs: 7 }, 7],
  ])('stops for %s', async (_, code, stop_when, runs = 20) => {
    const app = await startGuarded(code, stop_when)
    await app.send(60)
    expect(app.switches.runs).toBe(runs)
    expect(app.stops()).toMatchObject([{ condition: Object.keys(stop_when)[0] }])
  })

  it.each([
    ['a bound', { status_5xx_rate: 0.05 }],
    ['more than in the control group', { status_5xx_rate: { above_control: 0.05 } }],
  ])('stops for the responses that its requests get: %s', async (_, stop_when) => {
    const app = await startGuarded("ctx.req.headers['x-status'] = '502'", stop_when)
    const statuses = await app.send(150)
    expect(app.stops()).toMatchObject([{ condition: 'status_5xx_rate' }])
    const [stop] = app.stops()
    expect(stop?.inside.status_5xx).toBe(statuses.filter((status) => status === 502).length)
    expect(stop?.control.status_5xx).toBe(0)
    expect(app.switches.runs).toBeLessThanOrEqual(45)
  })

  it('goes on in an outage of the app that both groups see alike', async () => {
    const app = await startGuarded('', { status_5xx_rate: { above_control: 0.05 } })
    await app.send(120, { 'x-status': '503' })
    expect(app.stops()).toEqual([])
    expect(app.status()).toMatchObject({ state: 'live', rollout: { percent: 50, stopped: null } })
    const { inside, control } = app.status()?.rollout ?? {}
    expect(inside?.status_5xx).toBe(inside?.requests)
    expect(control?.status_5xx).toBe(control?.requests)
    expect((inside?.requests ?? 0) + (control?.requests ?? 0)).toBe(120)
  })

  it('goes on while the plugin fails now and then, within its bound', async () => {
    const app = await startGuarded('if (switches.runs % 20 === 0) throw new Error("rare")', { error_rate: 0.1 })
    await app.send(200)
    expect(app.stops()).toEqual([])
    expect(app.status()?.rollout?.inside?.errors).toBe(Math.floor(app.switches.runs / 20))
  })

  it('stays stopped over refreshes that leave the plugin as it is, and begins anew with a changed one', async () => {
    const app = await startGuarded('if (switches.bad) throw new Error("bad")', { error_rate: 0.05 })
    await app.send(60)
    const others = [{ name: 'other', phase: 'log', code: '' }]
    await app.serve({ domains: [{ name: '*', plugins: [app.plugin, ...others] }] })
    await app.send(20)
    expect(app.switches.runs).toBe(20)
    expect(app.status()?.state).toBe('stopped')
    app.switches.bad = false
    await app.serve({ domains: [{ name: '*', plugins: [{ ...app.plugin, code: `${app.plugin.code} // mended` }] }] })
    await app.send(20)
    expect(app.switches.runs).toBeGreaterThan(20)
    expect(app.status()).toMatchObject({ state: 'live', rollout: { stopped: null, inside: { errors: 0 } } })
  })

  it('does not wait for min_runs where its breaker keeps the plugin from running', async () => {
    const app = await startApp({
      plugins: [
        {
          name: 'new',
          phase: 'access',
          code: 'throw new Error("bad")',
          rollout: { percent: 100, stop_when: { error_rate: 0.02, min_runs: 1000 } },
        },
      ],
      options: { breaker_failures: 5 },
    })
    for (let request = 0; request < 10; request += 1) await app.request.get('/').expect(200)
    expect(app.dyna.status().plugins).toMatchObject([{ state: 'stopped', rollout: { inside: { runs: 5, errors: 5 } } }])
  })

  it('is refused for a plugin that fails closed: a client that makes it fail would switch it off', async () => {
    const closed = { on_failure: 'closed' }
    const app = await startGuarded('throw new Error("bad")', { error_rate: 0.05 }, { percent: 100 }, closed)
    expect(await app.send(25)).toEqual(Array(25).fill(503))
    expect(app.switches.runs).toBe(0)
    expect(app.status()).toMatchObject({
      state: 'guarded',
      error: expect.stringContaining('rollout.stop_when: expected a plugin with "on_failure": "open"'),
    })
    expect(app.stops()).toEqual([])
  })

  it('leaves the earlier version of such a plugin in place', async () => {
    const guard = { name: 'new', phase: 'access', code: 'if (!ctx.get("x-token")) exit(401)', on_failure: 'closed' }
    const app = await startApp({ plugins: [guard as PluginFields] })
    const rollout = { percent: 10, stop_when: { error_rate: 0.05 } }
    await app.serve({ domains: [{ name: '*', plugins: [{ ...guard, rollout }] }] })
    await app.request.get('/').expect(401)
    expect(app.dyna.status().plugins).toMatchObject([{ state: 'last_good' }])
  })

  it('is not watched in shadow mode: what the plugin did has not happened', async () => {
    const app = await startGuarded('throw new Error("bad")', { error_rate: 0.05 }, {}, { mode: 'shadow' })
    await app.send(60)
    expect(app.switches.runs).toBeGreaterThan(20)
    expect(app.status()).toMatchObject({ state: 'shadow', rollout: { percent: 50, stopped: null, inside: null } })
  })

  it('is not stopped by clients that go away', async () => {
    const code = `await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))`
    const app = await startGuarded(code, { error_rate: 0.05, status_5xx_rate: 0.05 }, { percent: 100 })
    const failed = countFailures(app)
    for (let client = 0; client < 25; client += 1) {
      const sent = get(app.uri)
      sent.on('error', () => undefined)
      await vi.waitFor(() => expect(app.switches.runs).toBe(client + 1))
      sent.destroy()
      await vi.waitFor(() => expect(failed()).toBe(client + 1))
    }
    expect(app.status()?.rollout).toMatchObject({
      stopped: null,
      inside: { requests: 25, runs: 0, errors: 0, responses: 0 },
    })
  })

  it('counts requests without a key in neither group', async () => {
    const app = await startGuarded('', { error_rate: 0.05 })
    await app.request.get('/').expect(200)
    expect(app.status()?.rollout).toMatchObject({ inside: { requests: 0 }, control: { requests: 0 } })
  })

  it('guards each variant by itself', async () => {
    const code = 'throw new Error("bad")'
    const app = await startApp({
      plugins: [
        {
          name: 'price',
          phase: 'access',
          rollout: { by: 'header:x-user', stop_when: { error_rate: 0.05, min_runs: 10 } },
          variants: [
            { name: 'old', percent: 50, code: '' },
            { name: 'new', percent: 50, code },
          ],
        } as unknown as PluginFields,
      ],
      options: { breaker_failures: 0 },
    })
    for (let user = 0; user < 60; user += 1) await app.request.get('/').set('x-user', `u${user}`).expect(200)
    expect(app.dyna.status().plugins).toMatchObject([
      { name: 'price/old', state: 'live' },
      { name: 'price/new', state: 'stopped', rollout: { inside: { runs: 10 } } },
    ])
  })

  it('shows in the metrics', async () => {
    const app = await startGuarded('throw new Error("bad")', { error_rate: 0.05 })
    const register = new Registry()
    collect(app.dyna, { register })
    await app.send(60)
    const text = await register.metrics()
    expect(text).toContain('dynacode_plugins{state="stopped"} 1')
    expect(text).toContain('dynacode_plugin_rollout_stopped{domain="*",plugin="new",phase="access"} 1')
    expect(text).toContain('dynacode_events_total{event="rt_rollout_stopped"} 1')
  })
})
