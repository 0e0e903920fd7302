import { Readable } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import type { TestClock } from '../../../lib/testing/manual-clock.ts'
import { type PluginFields, startApp } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'
import { burn } from '../../fixtures/own-clock.ts'

/** What time it is in every app of this file: windows turn when a test says so, and a run takes what its code burns. */
const time = vi.hoisted(() => ({ clock: undefined as unknown as TestClock, now: 0 }))
vi.mock(import('../../../lib/time/steady-clock.ts'), async () => {
  const { ownNow } = await import('../../fixtures/own-clock.ts')
  return { steadyNow: ownNow }
})
vi.mock(import('../../../lib/time/clock.ts'), async (original) => {
  const [real, { createTestClock }, { ownNow }] = await Promise.all([
    original(),
    import('../../../lib/testing/manual-clock.ts'),
    import('../../fixtures/own-clock.ts'),
  ])
  time.clock = createTestClock(() => time.now)
  return { ...real, SYSTEM_CLOCK: Object.freeze({ ...time.clock, steady: ownNow }) }
})

const HALF_A_MINUTE_MS = 30_000
function passTime(ms: number): void {
  for (const end = time.now + ms; time.now < end; ) {
    time.now += Math.min(HALF_A_MINUTE_MS, end - time.now)
    time.clock.check()
  }
}

const pause = async (ms: number) => burn(ms)

/** An app with one plugin whose rollout is guarded. `is_bad` is what its code asks. */
async function start(code: string, stop_when: object, more: Record<string, unknown> = {}) {
  const { percent = 100, body = 'app', ...fields } = more
  const switches = { is_bad: true }
  const app = await startApp({
    plugins: [
      {
        name: 'new',
        phase: 'access',
        code,
        rollout: { percent, by: 'header:x-user', stop_when },
        ...fields,
      } as PluginFields,
    ],
    inner: (ctx) => {
      if (ctx.state.slow) burn(30)
      ctx.body = typeof body === 'function' ? body() : body
    },
    options: { globals: { switches, burn, pause }, breaker_failures: 0 },
  })
  const seen = record(app.dyna, ['rt_rollout_stopped'])
  let user = 0
  const send = async (count: number) => {
    const statuses = new Set<number>()
    for (let request = 0; request < count; request += 1) {
      user += 1
      statuses.add((await app.request.get('/').set('x-user', `u${user}`)).status)
    }
    return [...statuses]
  }
  const rollout = () => app.dyna.status().plugins[0]?.rollout
  return { ...app, switches, send, rollout, stops: () => payloadsOf(seen, 'rt_rollout_stopped') }
}

describe('each condition as a bound, and above the control group', () => {
  it.each([
    ['error_rate', 'throw new Error("bad")', 0.3],
    ['error_rate', 'throw new Error("bad")', { above_control: 0.3 }],
    ['exit_rate', 'exit(403)', 0.3],
    ['exit_rate', 'exit(403)', { above_control: 0.3 }],
    ['status_5xx_rate', 'exit(500)', 0.3],
    ['p99_ms', 'burn(4)', 2],
  ])(
    '%s of a plugin that does %j, limit %j: stops after 20 runs, which is min_runs',
    async (condition, code, limit) => {
      const app = await start(code, { [condition]: limit }, { percent: 50 })
      await app.send(60)
      const above_control = typeof limit === 'object'
      expect(app.stops()).toMatchObject([
        { condition, above_control, limit: above_control ? limit.above_control : limit, inside: { runs: 20 } },
      ])
      expect(app.rollout()).toMatchObject({ percent: 0, stopped: { condition }, inside: { runs: 20 } })
      expect(app.rollout()?.control?.requests).toBeGreaterThan(5)
    },
  )

  it.each([
    ['error_rate', 'if (switches.is_bad = !switches.is_bad) throw new Error("every other one")', { error_rate: 0.6 }],
    ['exit_rate', 'if (switches.is_bad = !switches.is_bad) exit(403)', { exit_rate: { above_control: 0.6 } }],
    ['status_5xx_rate', 'if (switches.is_bad = !switches.is_bad) exit(500)', { status_5xx_rate: 0.6 }],
    ['p99_ms', 'burn(1.5)', { p99_ms: 2 }],
    ['p99_ms above the control group', 'burn(8)', { p99_ms: { above_control: 10 } }],
  ])('%s within its limit stops nothing', async (_, code, stop_when) => {
    const app = await start(code, stop_when, { percent: 50 })
    await app.send(300)
    expect(app.stops()).toEqual([])
    expect(app.rollout()).toMatchObject({ percent: 50, stopped: null })
  })

  it('p99_ms above the control group stops what makes whole requests slower, whoever spends the time', async () => {
    const app = await start('ctx.state.slow = true', { p99_ms: { above_control: 10 } }, { percent: 50 })
    await app.send(330)
    const [stop] = app.stops()
    expect(stop).toMatchObject({ condition: 'p99_ms', limit: 10, above_control: true })
    expect(stop?.control.slow_responses).toBeLessThan(3)
    expect(stop?.inside.slow_responses).toBeLessThan(40)
  })
})

describe('each way of failing', () => {
  const bound = { error_rate: 0.3 }
  it.each<[string, string, Record<string, string | number>?]>([
    ['an error that is thrown', 'throw new Error("bad")'],
    ['something else that is thrown', 'throw null'],
    ['a rejected promise', 'await Promise.reject(new Error("bad"))'],
    ['an error after an await', 'await pause(1); missing.field'],
    ['a loop past budget_ms', 'for (;;) burn(1)', { budget_ms: 20 }],
    ['a run past timeout_ms', 'await new Promise(() => {})', { timeout_ms: 1 }],
    ['a chunk that cannot be sent', 'return Symbol("none")', { phase: 'body_filter' }],
    ['an error in header_filter', 'throw new Error("bad")', { phase: 'header_filter' }],
    ['an error in log, after the response', 'throw new Error("bad")', { phase: 'log' }],
  ])('is a run that failed: %s', async (_, code, fields = {}) => {
    const app = await start(code, bound, fields)
    expect(await app.send(25)).toEqual([200])
    expect(app.stops()).toMatchObject([{ condition: 'error_rate', inside: { runs: 20, errors: 20, exits: 0 } }])
  })

  it.each([
    ['exit', 'exit(204)'],
    ['ctx.throw', 'ctx.throw(404)'],
    ['an http-error of 5xx', 'ctx.throw(503)'],
  ])('%s is none', async (_, code) => {
    const app = await start(code, bound)
    await app.send(25)
    expect(app.stops()).toEqual([])
    expect(app.rollout()?.inside).toMatchObject({ runs: 25, errors: 0, exits: 25 })
  })
})

describe('p99_ms', () => {
  it.each([
    ['access', 'await pause(4)'],
    ['header_filter', 'await pause(4)'],
    ['body_filter', 'await pause(4); return chunk'],
    ['log', 'await pause(4)'],
  ])('has what an asynchronous plugin waits for, in the phase %s', async (phase, code) => {
    const app = await start(code, { p99_ms: 2 }, { phase })
    await app.send(20)
    await vi.waitFor(() => expect(app.stops()).toMatchObject([{ condition: 'p99_ms', inside: { slow_runs: 20 } }]))
  })

  it('has the time of runs that fail, too', async () => {
    const app = await start('burn(4); throw new Error("late")', { p99_ms: 2 })
    await app.send(25)
    expect(app.stops()).toMatchObject([{ condition: 'p99_ms', inside: { errors: 20, slow_runs: 20 } }])
  })
})

describe('a body_filter', () => {
  it('runs once for each chunk of a stream, and each run counts', async () => {
    const body = () => Readable.from([Buffer.from('a'), Buffer.from('b'), Buffer.from('c')])
    const app = await start('throw new Error("bad")', { error_rate: 0.3 }, { phase: 'body_filter', body })
    expect((await app.request.get('/').set('x-user', 'u').buffer(true)).status).toBe(200)
    expect(app.rollout()?.inside).toMatchObject({ requests: 1, runs: 4, errors: 4 })
    await app.send(10)
    expect(app.stops()).toMatchObject([{ inside: { runs: 20 } }])
  })

  it('is judged by the responses as any other plugin', async () => {
    const app = await start(
      'exit(502)',
      { status_5xx_rate: { above_control: 0.1 } },
      { phase: 'body_filter', percent: 50 },
    )
    await app.send(80)
    expect(app.stops()).toMatchObject([{ condition: 'status_5xx_rate', control: { status_5xx: 0 } }])
  })
})

describe('min_runs', () => {
  it.each([
    ['error_rate', 'throw new Error("bad")', 0.3],
    ['status_5xx_rate', 'exit(500)', 0.3],
    ['p99_ms', 'burn(4)', 2],
  ])('is how many runs there are before %s stops anything', async (condition, code, limit) => {
    const app = await start(code, { [condition]: limit, min_runs: 35 })
    await app.send(34)
    expect(app.stops()).toEqual([])
    await app.send(3)
    expect(app.stops()).toMatchObject([{ condition, inside: { runs: 35 } }])
  })

  it('covers a bad beginning: what went well since then outweighs it', async () => {
    const app = await start('if (switches.is_bad) throw new Error("cold")', { error_rate: 0.2, min_runs: 40 })
    await app.send(10)
    app.switches.is_bad = false
    await app.send(150)
    app.switches.is_bad = true
    await app.send(1)
    expect(app.stops()).toEqual([])
    expect(app.rollout()?.inside).toMatchObject({ runs: 161, errors: 11 })
  })
})

describe('window', () => {
  /** How many runs fail before the rollout stops, after many that went well. */
  async function countFailures(windows: number): Promise<number> {
    const app = await start('if (switches.is_bad) throw new Error("bad")', { error_rate: 0.2, window: '1m' })
    app.switches.is_bad = false
    await app.send(300)
    for (let half = 0; half < windows * 2; half += 1) {
      passTime(HALF_A_MINUTE_MS)
      await app.send(1)
    }
    app.switches.is_bad = true
    await app.send(120)
    return app.rollout()?.stopped === null ? Number.POSITIVE_INFINITY : (app.rollout()?.inside?.errors as number)
  }

  it('is how far back what went well counts', async () => {
    expect(await countFailures(0)).toBeGreaterThan(60)
    expect(await countFailures(2)).toBeLessThanOrEqual(20)
  })

  it('of which nobody sent anything costs nothing: the rollout stops as fast after a quiet week', async () => {
    const app = await start('throw new Error("bad")', { error_rate: 0.3, window: '1m' })
    passTime(7 * 86_400_000)
    await app.send(25)
    expect(app.stops()).toMatchObject([{ at: time.now, inside: { runs: 20 } }])
  })
})

describe('in shadow mode', () => {
  it.each([
    ['error_rate', 'throw new Error("bad")', 0.3],
    ['exit_rate', 'exit(403)', 0.3],
    ['status_5xx_rate', 'exit(500)', { above_control: 0.1 }],
    ['p99_ms', 'burn(4)', 2],
  ])('%s stops nothing, and nothing is counted', async (condition, code, limit) => {
    const app = await start(code, { [condition]: limit }, { mode: 'shadow', percent: 50 })
    expect(await app.send(50)).toEqual([200])
    expect(app.stops()).toEqual([])
    expect(app.rollout()).toEqual({ percent: 50, stopped: null, inside: null, control: null })
  })
})
