import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { Registry } from 'prom-client'
import supertest from 'supertest'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { type CanaryOptions, canary, type DynacodeOptions } from '../../../lib/index.ts'
import { collect } from '../../../lib/observability/metrics/index.ts'
import type { TestClock } from '../../../lib/testing/manual-clock.ts'
import { createApp, exchange, listen } from '../../fixtures/app.ts'
import { createReadyInstance, payloadsOf, record } from '../../fixtures/instance.ts'
import { startReceiver } from '../../fixtures/receiver.ts'

const START = Date.parse('2030-01-01T12:00:00Z')
const MINUTE_MS = 60_000
/** What time it is for canaries: steps begin when a test says so. */
const time = vi.hoisted(() => ({ clock: undefined as unknown as TestClock, now: 0 }))
vi.mock(import('../../../lib/time/clock.ts'), async (original) => {
  const [real, { createTestClock }] = await Promise.all([original(), import('../../../lib/testing/manual-clock.ts')])
  time.clock = createTestClock(() => time.now)
  return { ...real, SYSTEM_CLOCK: Object.freeze({ ...time.clock }) }
})
beforeEach(() => {
  time.now = START
})
function setTime(now: number): void {
  time.now = now
  time.clock.check()
}

const TOKEN = 'a-token-of-32-random-characters0'
const STOP = { status_5xx_rate: { above_control: 0.02 } }
const documentOf = (side: string, code: string) => ({
  domains: [{ name: '*', plugins: [{ name: 'side', phase: 'access', code: `ctx.set('x-side', '${side}'); ${code}` }] }],
})

async function start(given: Partial<CanaryOptions>, code = '', options: DynacodeOptions = {}) {
  const document = { candidate: documentOf('candidate', code) }
  const sourceOf = (read: () => object) => ({ fetch: async () => ({ bytes: Buffer.from(JSON.stringify(read())) }) })
  const common = { logger: false as const, breaker_failures: 0 }
  const live = await createReadyInstance({ source: sourceOf(() => documentOf('live', '')), ...common })
  const on_canary_stop = vi.fn()
  const candidate = await createReadyInstance({
    source: sourceOf(() => document.candidate),
    ...common,
    on_canary_stop,
    ...options,
  })
  const share = given.steps === undefined ? { percent: 50 } : {}
  const rollout = canary({ live, candidate, by: 'header:x-user', ...share, ...given })
  const { app } = createApp([
    rollout,
    (ctx) => {
      ctx.body = 'app'
    },
  ])
  const server = createServer(app.callback())
  const port = await listen(server)
  const seen = record(candidate, ['rt_canary_stopped', 'rt_canary_changed'])
  const request = supertest(server)
  const countCandidates = async (count = 100) => {
    let found = 0
    for (let user = 0; user < count; user += 1) {
      const { headers } = await request.get('/').set('x-user', `u${user}`)
      if (headers['x-side'] === 'candidate') found += 1
    }
    return found
  }
  const serve = async (code: string) => {
    document.candidate = documentOf('candidate', code)
    expect(await candidate.refresh()).toMatchObject({ updated: true })
  }
  const changes = () =>
    payloadsOf(seen, 'rt_canary_changed').map((event) => [event.reason, event.previous_percent, event.percent])
  return { live, candidate, rollout, app, server, port, seen, countCandidates, serve, changes, on_canary_stop }
}

describe('what becomes of a canary', () => {
  it('is told by the candidate instance alone, and shown in its status', async () => {
    const app = await start({ stop_when: STOP }, 'exit(502)')
    const on_live = record(app.live, ['rt_canary_stopped', 'rt_canary_changed'])
    expect(app.candidate.status().canary).toMatchObject({ percent: 50, stopped: null, candidate: { requests: 0 } })
    await app.countCandidates()
    const [stop] = payloadsOf(app.seen, 'rt_canary_stopped')
    const { stopped, candidate, live } = app.rollout.status()
    const { at, ...condition } = stopped ?? { at: 0 }
    expect(stop).toEqual({ ...condition, at, inside: candidate, control: live })
    expect(condition).toEqual({ condition: 'status_5xx_rate', limit: 0.02, above_control: true })
    expect(app.on_canary_stop).toHaveBeenCalledExactlyOnceWith(stop)
    expect(app.candidate.status().canary).toEqual(app.rollout.status())
    expect(app.candidate.status().canary).toMatchObject({ percent: 0, stopped: { condition: 'status_5xx_rate' } })
    expect(app.live.status().canary).toBeNull()
    expect(on_live).toEqual([])
    expect(app.changes()).toEqual([])
  })

  it('is told when it is dropped, promoted, or comes back with another version', async () => {
    const app = await start({ stop_when: STOP }, 'exit(502)')
    await app.countCandidates()
    await app.serve('')
    app.rollout.set_percent(100)
    app.rollout.set_percent(100)
    app.rollout.set_percent(0)
    await app.serve('// the same share')
    expect(app.changes()).toEqual([
      ['version', 0, 50],
      ['set', 50, 100],
      ['set', 100, 0],
    ])
  })

  it('is in the metrics of the candidate instance, and in those of no other', async () => {
    const app = await start({ stop_when: STOP }, 'exit(502)')
    const [of_candidate, of_live] = [new Registry(), new Registry()]
    collect(app.candidate, { register: of_candidate })
    collect(app.live, { register: of_live })
    expect(await of_candidate.metrics()).toMatch(/^dynacode_canary_percent 50$/m)
    await app.countCandidates()
    const text = await of_candidate.metrics()
    expect(text).toMatch(/^dynacode_canary_percent 0$/m)
    expect(text).toMatch(/^dynacode_canary_stopped 1$/m)
    expect(text).toContain('dynacode_events_total{event="rt_canary_stopped"} 1')
    expect(await of_live.metrics()).not.toMatch(/^dynacode_canary/m)
  })

  it('is reported at once: a stop, and another share', async () => {
    const receiver = await startReceiver()
    const app = await start({ stop_when: STOP }, 'exit(502)', { report_uri: receiver.uri, report_interval: 600 })
    await app.countCandidates()
    const { canary: told } = await receiver.saw(({ occasions }) => occasions.includes('canary'))
    expect(told).toEqual(JSON.parse(JSON.stringify(app.rollout.status())))
    app.rollout.set_percent(20)
    await receiver.saw(({ occasions, canary }) => occasions.includes('canary') && canary?.percent === 20)
  })

  it('is over with the candidate instance: nothing waits for its steps or windows any more', async () => {
    const steps = [{ percent: 10, for: '10m' }, { percent: 100 }]
    const app = await start({ steps, starts_at: new Date(START).toISOString(), stop_when: STOP })
    await app.candidate.close()
    setTime(START + 20 * MINUTE_MS)
    expect(app.candidate.status().canary).toMatchObject({ percent: 0, stopped: null })
    expect(await app.countCandidates(10)).toBe(0)
    expect(app.changes()).toEqual([])
  })
})

describe('the steps of a canary', () => {
  const steps = [{ percent: 10, for: '10m' }, { percent: 50, for: '1h' }, { percent: 100 }]
  const scheduled = { steps, starts_at: new Date(START).toISOString() }

  it('follow each other by the time, are told, and only add clients', async () => {
    time.now = START - MINUTE_MS
    const app = await start(scheduled)
    const counts = [await app.countCandidates()]
    for (const minutes of [0, 9, 10, 70]) {
      setTime(START + minutes * MINUTE_MS)
      counts.push(await app.countCandidates())
    }
    const [before, first, , second, last] = counts as [number, number, number, number, number]
    expect(counts).toEqual([0, first, first, second, 100])
    expect([before, last]).toEqual([0, 100])
    expect(first).toBeGreaterThan(2)
    expect(first).toBeLessThan(25)
    expect(second).toBeGreaterThan(35)
    expect(second).toBeLessThan(65)
    expect(app.changes()).toEqual([
      ['step', 0, 10],
      ['step', 10, 50],
      ['step', 50, 100],
    ])
    expect(app.candidate.status().canary?.percent).toBe(100)
  })

  it('end when the candidate is stopped, and another version has the share of the time', async () => {
    const app = await start({ ...scheduled, stop_when: STOP }, 'exit(502)')
    setTime(START + 11 * MINUTE_MS)
    await app.countCandidates()
    expect(app.rollout.status()).toMatchObject({ percent: 0, stopped: { condition: 'status_5xx_rate' } })
    setTime(START + 80 * MINUTE_MS)
    expect(app.rollout.status().percent).toBe(0)
    await app.serve('')
    expect(app.changes()).toEqual([
      ['step', 10, 50],
      ['version', 0, 100],
    ])
    expect(await app.countCandidates(10)).toBe(10)
  })

  it('end with set_percent', async () => {
    const app = await start(scheduled)
    app.rollout.set_percent(0)
    setTime(START + 80 * MINUTE_MS)
    expect(await app.countCandidates(20)).toBe(0)
    expect(app.changes()).toEqual([['set', 10, 0]])
  })

  it.each<[object, string]>([
    [{ percent: 5 }, 'option steps: expected either percent or steps, got both'],
    [{ starts_at: undefined }, 'option starts_at: expected the time at which the first step begins, got nothing'],
    [{ starts_at: 'tomorrow' }, 'option starts_at: expected an ISO 8601 time with its zone'],
    [{ steps: undefined }, 'option starts_at: expected steps with it'],
    [{ steps: undefined, starts_at: undefined }, 'option percent: expected a number, or steps, got nothing'],
    [{ steps: [] }, 'option steps: expected an array of at least 1'],
    [{ steps: [{ percent: 10, for: '1m' }, { percent: 5 }] }, 'option steps[1].percent: expected more than the 10'],
    [{ steps: [{ percent: 10 }, { percent: 15 }] }, 'option steps[0].for: expected a length of time'],
    [
      { steps: [{ percent: 100 }], stop_when: STOP },
      'option steps[0].percent: expected less than 100: no request is left',
    ],
    [
      { stop_when: { ...STOP, window: '2h' } },
      'option stop_when.window: expected at most the 4200 s that the steps take',
    ],
  ])('are refused where they cannot be meant: %j', async (wrong, message) => {
    const source = { fetch: async () => ({ bytes: Buffer.from('{"domains":[]}') }) }
    const [live, candidate] = [await createReadyInstance({ source }), await createReadyInstance({ source })]
    expect(() => canary({ live, candidate, ...scheduled, ...wrong } as CanaryOptions)).toThrow(`canary: ${message}`)
  })
})

describe('requests to upgrade', () => {
  const REFUSED = 'if (ctx.get("upgrade") !== "") exit(403)'
  const asked = (user: string, more = '') =>
    `GET / HTTP/1.1\r\nHost: a.com\r\nX-User: ${user}\r\n${more}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`

  async function startUpgrading(given: Partial<CanaryOptions>, code = REFUSED) {
    const running = await start({ choose: { tokens: [TOKEN] }, ...given }, code)
    const headers: IncomingMessage['headers'][] = []
    running.server.on('upgrade', async (req: IncomingMessage, socket: Duplex) => {
      const { allowed } = await running.rollout.upgrade(running.app, req, socket)
      headers.push(req.headers)
      if (allowed) socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
    })
    const upgrade = async (user: string, more = '') =>
      Number((await exchange(running.port, asked(user, more))).split(' ')[1])
    return { ...running, headers, upgrade }
  }

  it("get the client's document, as its other requests do, and are in neither group", async () => {
    const app = await startUpgrading({ stop_when: STOP })
    for (let user = 0; user < 30; user += 1) {
      const { headers } = await supertest(app.server).get('/').set('x-user', `u${user}`)
      expect(await app.upgrade(`u${user}`)).toBe(headers['x-side'] === 'candidate' ? 403 : 101)
    }
    const { candidate, live } = app.rollout.status()
    expect((candidate?.requests ?? 0) + (live?.requests ?? 0)).toBe(30)
    expect(candidate?.responses).toBe(candidate?.requests)
  })

  it('get the live document once the candidate is stopped, dropped or closed', async () => {
    const app = await startUpgrading({ percent: 100 })
    expect(await app.upgrade('u1')).toBe(403)
    app.rollout.set_percent(0)
    expect(await app.upgrade('u1')).toBe(101)
    app.rollout.set_percent(100)
    await app.candidate.close()
    expect(await app.upgrade('u1')).toBe(101)
    const stopped = await startUpgrading({ stop_when: STOP }, 'exit(ctx.get("upgrade") === "" ? 502 : 403)')
    await stopped.countCandidates()
    expect(stopped.rollout.status().stopped).not.toBeNull()
    for (let user = 0; user < 20; user += 1) expect(await stopped.upgrade(`u${user}`)).toBe(101)
  })

  it('choose their document by a token, which nobody behind sees', async () => {
    const app = await startUpgrading({ percent: 0 })
    expect(await app.upgrade('u1', `dynacode-side: candidate ${TOKEN}\r\n`)).toBe(403)
    expect(await app.upgrade('u1', `dynacode-side: candidate ${TOKEN.replace('a', 'b')}\r\n`)).toBe(101)
    app.rollout.set_percent(100)
    expect(await app.upgrade('u1', `dynacode-side: live ${TOKEN}\r\n`)).toBe(101)
    for (const headers of app.headers) expect(headers).not.toHaveProperty('dynacode-side')
  })
})
