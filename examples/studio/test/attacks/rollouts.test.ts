import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Rollout } from '../../shared/rollouts.ts'
import { beginSet } from '../change-sets.ts'
import { IN_MEMORY } from '../databases.ts'
import { type RunningStudio, runStudio } from '../running-studio.ts'

const MINUTE = 60_000
const STEPS = [{ percent: 1, for: '10m' }, { percent: 10, for: '30m' }, { percent: 100 }]
const soon = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: 30_000 })

/** Whoever has a reporter's token reports whatever they like: it can stop rollouts, as docs/studio.md says, and no more than that. */
describe("a reporter's token in wrong hands", () => {
  let running: RunningStudio
  let tokens: { readonly fleet: string; readonly stolen: string }
  let sequence = 0
  let ahead = 0
  const began = new Map<string, number>()

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    ahead = 0
    began.clear()
    pass(0)
    running = await runStudio({ database: IN_MEMORY })
    const make = async (name: string) =>
      (await running.ada.post('/api/tokens', { name, role: 'reporter', expires_at: null }).expect(201)).body.secret
    tokens = { fleet: await make('fleet'), stolen: await make('stolen') }
    const set = await beginSet(running.ada)
    await set.addDomain('a.example').expect(201)
    for (const name of ['aim', 'other']) {
      const rollout = { percent: 1, stop_when: { error_rate: 0.05 } }
      const fields = { code: 'exit(403)', rollout, 'x-steps': STEPS }
      await set.add('a.example', { name, phase: 'access', fields }).expect(201)
    }
    expect(await set.publish('begin')).toMatchObject({ status: 201 })
  })
  afterEach(async () => {
    vi.useRealTimers()
    await running.close()
    expect(running.failures).toEqual([])
  })

  /** Lets so much time pass at once, beside that which does. */
  function pass(ms: number): void {
    ahead += ms
    vi.setSystemTime(performance.timeOrigin + performance.now() + ahead)
  }
  const newest = async () => (await running.ada.get('/api/versions')).body[0]
  const counted = (name: string, runs: number, errors = 0, stopped: object | null = null) => {
    const group = { requests: runs, responses: runs, status_5xx: 0, slow_responses: 0 }
    const inside = { runs, errors, exits: 0, slow_runs: 0, ...group }
    return { domain: 'a.example', name, phase: 'access', sha1: '', stopped, inside, control: group }
  }
  const stopped = () => ({ condition: 'error_rate', limit: 0.05, above_control: false, at: Date.now() })
  async function report(token: string, instance: string, guarded: readonly object[], more: object = {}) {
    sequence += 1
    pass(0)
    const started_at = began.get(instance) ?? Date.now()
    began.set(instance, started_at)
    const body = {
      format: 1,
      instance,
      started_at,
      sequence,
      host: 'web-1',
      pid: 7,
      closing: false,
      interval: 60,
      sent_at: Date.now(),
      active: { version: (await newest()).version },
      rollouts: { guarded, left_out: 0 },
      ...more,
    }
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const sent = await fetch(`${running.address}/api/reports`, { method: 'POST', headers, body: JSON.stringify(body) })
    await sent.text()
    return sent.status
  }
  const rolloutOf = async (name: string): Promise<Rollout | undefined> =>
    (await running.ada.get('/api/rollouts/of').query({ domain: 'a.example', plugin: name, phase: 'access' })).body
      .rollouts[0]
  /** What the fleet gets. */
  const sharesLive = async () => {
    const document = (await (await fetch(`${running.address}/plugins.json`)).json()) as {
      domains: { plugins: { name: string; code: string; enabled?: boolean; rollout: { percent: number } }[] }[]
    }
    return document.domains[0]?.plugins.map(({ name, code, enabled, rollout }) => [
      name,
      code,
      enabled,
      rollout.percent,
    ])
  }
  const before = [
    ['aim', 'exit(403)', undefined, 1],
    ['other', 'exit(403)', undefined, 1],
  ]

  test('G55 reporter | stops | stops what it names and nothing else, and the history says by which token it was', async () => {
    expect(await report(tokens.fleet, 'real', [counted('aim', 50), counted('other', 50)])).toBe(204)
    expect(await report(tokens.stolen, 'made up', [counted('aim', 20, 20, stopped())])).toBe(204)
    await soon(sharesLive).toEqual([['aim', 'exit(403)', undefined, 0], before[1]])
    const { version, kind, created_by, message } = await newest()
    expect({ kind, created_by }).toEqual({ kind: 'stop', created_by: null })
    expect(message).toBe('aim: rollout stopped: more than 5 % of the runs fail: 20 of 20, on web-1 (process 7)')
    const { body: log } = await running.ada.get('/api/audit')
    expect(log[0]).toMatchObject({
      action: 'stop',
      actor: 'the studio',
      subject: `version ${version}`,
      details: { plugin: 'aim', reported_by: 'token stolen' },
    })
    expect(await rolloutOf('other')).toMatchObject({ state: 'running', percent: 1 })
  })

  test('G55 reporter | stops | is named as well where what it invents puts the sums over a limit', async () => {
    await report(tokens.fleet, 'real', [counted('aim', 50)])
    await report(tokens.stolen, 'made up', [counted('aim', 1000, 900)])
    await soon(async () => (await rolloutOf('aim'))?.state).toBe('stopped')
    const { body: log } = await running.ada.get('/api/audit')
    expect(log[0].details).toMatchObject({ plugin: 'aim', reported_by: 'token stolen' })
    expect(log[0].details.reason).toMatch(/in all processes together$/)
  })

  test('G55 reporter | undoes | brings no stopped rollout back, whatever healthy processes it invents', async ({
    task,
  }) => {
    task.meta.attacks = 4
    await report(tokens.fleet, 'real', [counted('aim', 20, 20, stopped())])
    await soon(async () => (await rolloutOf('aim'))?.state).toBe('stopped')
    const { version } = await newest()
    for (const active of [{ version }, { version: version - 1 }, { version: version + 1 }, { version: 'aim' }]) {
      for (let at = 0; at < 5; at += 1) {
        await report(tokens.stolen, `made up ${at}`, [counted('aim', 1e6 * (at + 1))], { active })
        pass(11 * MINUTE)
      }
    }
    expect(await newest()).toMatchObject({ version })
    expect((await sharesLive())?.[0]).toEqual(['aim', 'exit(403)', undefined, 0])
    expect(await rolloutOf('aim')).toMatchObject({ state: 'stopped', percent: 0 })
  })

  test('G55 reporter | advances | begins no step before its time, nor one that a person has paused', async ({
    task,
  }) => {
    task.meta.attacks = 2
    const trouble = { domain: 'a.example', name: 'other', phase: 'access', state: 'live', breaker: 'open', error: null }
    const plugins = { total: 2, states: {}, breakers: {}, notable: [trouble], notable_left_out: 0 }
    const invent = async (runs: number, more: object = {}) => {
      for (let at = 0; at < 20; at += 1) {
        await report(tokens.stolen, `made up ${at}`, [counted('aim', runs), counted('other', runs)], more)
      }
    }
    const of = async (name: string) => (await rolloutOf(name)) as Rollout
    await invent(1e6, { plugins })
    // By then the studio has looked at all of them.
    await soon(async () => (await of('other')).hold).toMatch(/its breaker is open/)
    expect(await sharesLive()).toEqual(before)
    await running.ada.post(`/api/rollouts/${(await of('aim')).id}/pause`, { on: true }).expect(204)
    pass(11 * MINUTE)
    await invent(2e6)
    await soon(async () => (await of('other')).percent).toBe(10)
    expect(await of('aim')).toMatchObject({ percent: 1, hold: 'paused by Ada' })
    expect((await sharesLive())?.[0]).toEqual(before[0])
  })

  test('G55 reporter | speaks | for one process by one id, however much that counts', async () => {
    const { version } = await newest()
    // The real process is there, and has not taken the version yet.
    await report(tokens.fleet, 'real', [], { active: { version: version - 1 } })
    await report(tokens.stolen, 'made up', [counted('aim', 10)])
    pass(11 * MINUTE)
    await report(tokens.fleet, 'real', [], { active: { version: version - 1 } })
    await report(tokens.stolen, 'made up', [counted('aim', 1e9)])
    await soon(async () => (await rolloutOf('aim'))?.hold).toBe(
      'reports are missing: 1 of 2 processes report and run this version',
    )
    expect(await sharesLive()).toEqual(before)
  })

  test('G55 reporter | speaks | for no process that another token reports', async () => {
    await report(tokens.fleet, 'real', [counted('aim', 50)])
    expect(await report(tokens.stolen, 'real', [counted('aim', 20, 20, stopped())])).toBe(403)
    expect(await rolloutOf('aim')).toMatchObject({ state: 'running', counts: { inside: { runs: 50, errors: 0 } } })
  })

  test('G56 reporter | reports | holds up no stop by numbers that no sum has room for', async ({ task }) => {
    const numbers = [Number.MAX_SAFE_INTEGER, 1e300, -5, 0.5, '7']
    task.meta.attacks = numbers.length
    for (const [at, runs] of numbers.entries()) {
      for (let again = 0; again < 3; again += 1) {
        const status = await report(tokens.stolen, `made up ${at} ${again}`, [counted('aim', runs as number)])
        expect([204, 400, 413, 422]).toContain(status)
      }
    }
    expect(await report(tokens.fleet, 'real', [counted('aim', 20, 20, stopped())])).toBe(204)
    await soon(async () => (await rolloutOf('aim'))?.state).toBe('stopped')
    expect((await running.ada.get('/api/rollouts')).status).toBe(200)
  })
})
