import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Database, openDatabase } from '../server/store/database.ts'
import { describeEvent } from '../server/webhooks/event.ts'
import type { Rollout, RolloutChart } from '../shared/rollouts.ts'
import { beginSet } from './change-sets.ts'
import { databases } from './databases.ts'
import { type RunningStudio, runStudio } from './running-studio.ts'

const MINUTE = 60_000
/** Waits for what the studio does by itself. */
const soon = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: 30_000 })
const STOP_WHEN = { error_rate: 0.05, status_5xx_rate: { above_control: 0.02 } }
const STEPS = [{ percent: 1, for: '10m' }, { percent: 10, for: '30m' }, { percent: 100 }]

describe.each(databases)('guarded rollouts in $name', ({ options }) => {
  let running: RunningStudio
  /** Of a server, another connection: what webhooks got is looked at there. */
  let database: Database | undefined
  let ahead = 0
  let plugins = 0
  let sequence = 0
  const processes = new Map<string, { instance: string; started_at: number }>()

  beforeAll(async () => {
    const given = await options()
    running = await runStudio({ database: given })
    if ('url' in given) database = await openDatabase(given)
  })
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] })
    processes.clear()
    ahead = 0
  })
  afterEach(async () => {
    // What the others of this file have reported is none of the next one's processes.
    for (const name of processes.keys()) await report(name, { closing: true })
    vi.useRealTimers()
    expect(running.failures).toEqual([])
  })
  afterAll(async () => {
    await database?.close()
    await running.close()
  })

  const real = performance.timeOrigin
  /** Lets so much time pass at once, beside that which does. */
  function pass(ms: number): void {
    ahead += ms
    vi.setSystemTime(real + performance.now() + ahead)
  }
  /** Publishes a plugin, or another form of it. */
  async function publish(fields: object, name = `p${++plugins}`): Promise<string> {
    pass(0)
    const set = await beginSet(running.ada)
    const plugin = { name, phase: 'access', fields: { code: 'exit(403)', ...fields } }
    if (await isThere(name)) expect(await set.save('a.example', plugin)).toMatchObject({ status: 200 })
    else {
      const { body: domains } = await running.ada.get('/api/domains')
      if (domains.length === 0) await set.addDomain('a.example').expect(201)
      await set.add('a.example', plugin).expect(201)
    }
    expect(await set.publish(`publish ${name}`)).toMatchObject({ status: 201 })
    return name
  }
  const isThere = async (name: string) => {
    const { body } = await running.ada.get('/api/live/plugins').query({ search: name })
    return body.some((each: { name: string }) => each.name === name)
  }
  const versions = async () => (await running.ada.get('/api/versions')).body
  const newest = async () => (await versions())[0]
  const live = async (name: string) => {
    const document = (await (await fetch(`${running.address}/plugins.json`)).json()) as {
      domains: { plugins: { name: string; rollout: { percent: number } }[] }[]
    }
    return document.domains[0]?.plugins.find((each) => each.name === name)
  }
  /** A report of a process, of the version that is live, where none is said. */
  async function report(process: string, more: object = {}, version?: number): Promise<void> {
    pass(0)
    const known = processes.get(process) ?? { instance: `${process} ${randomUUID()}`, started_at: Date.now() }
    processes.set(process, known)
    sequence += 1
    await running.ada
      .post('/api/reports', {
        format: 1,
        ...known,
        sequence,
        host: process,
        pid: 7,
        closing: false,
        interval: 60,
        sent_at: Date.now(),
        active: { version: version ?? (await newest()).version },
        ...more,
      })
      .expect(204)
  }
  const group = (requests: number, status_5xx = 0) => ({ requests, responses: requests, status_5xx, slow_responses: 0 })
  /** A rollout as a process counts it. */
  const counted = (name: string, runs: number, errors = 0, more: object = {}) => ({
    rollouts: {
      guarded: [
        {
          domain: 'a.example',
          name,
          phase: 'access',
          sha1: '',
          stopped: null,
          inside: { runs, errors, exits: 0, slow_runs: 0, ...group(runs) },
          control: group(runs * 9),
          ...more,
        },
      ],
      left_out: 0,
    },
  })
  const stopped = (at = Date.now()) => ({ stopped: { condition: 'error_rate', limit: 0.05, above_control: false, at } })
  const find = async (name: string): Promise<readonly Rollout[]> =>
    (await running.ada.get('/api/rollouts/of').query({ domain: 'a.example', plugin: name, phase: 'access' })).body
      .rollouts
  const one = async (name: string) => (await find(name))[0] as Rollout
  const guarded = (percent: number, more: object = {}) => ({ rollout: { percent, stop_when: STOP_WHEN }, ...more })

  describe('what processes count', () => {
    test('is added up of both groups, over restarts, plugins made anew, and processes that end', async () => {
      const name = await publish(guarded(10))
      await report('a', counted(name, 10, 1))
      await report('b', counted(name, 4))
      expect(await one(name)).toMatchObject({
        state: 'running',
        percent: 10,
        counts: { inside: { runs: 14, errors: 1 } },
      })
      await report('a', counted(name, 15, 1))
      // Made anew: its counters begin once more.
      await report('b', counted(name, 3))
      // Ended, and another one in its place.
      await report('a', { ...counted(name, 16, 1), closing: true })
      processes.delete('a')
      await report('a', counted(name, 2))
      expect((await one(name)).counts).toEqual({
        inside: { runs: 25, errors: 1, exits: 0, slow_runs: 0, ...group(25) },
        control: group(225),
      })
    })

    test('is not counted twice of a process that was dismissed, or said nothing of it once', async () => {
      const name = await publish(guarded(10))
      await report('a', counted(name, 1))
      pass(10 * MINUTE)
      processes.set('old', { instance: `old ${randomUUID()}`, started_at: Date.now() - 60 * MINUTE })
      await report('old', counted(name, 500))
      expect((await one(name)).counts.inside.runs).toBe(1)
      await report('old', counted(name, 510))
      await report('old', { rollouts: { guarded: [], left_out: 1 } })
      await report('old', counted(name, 520))
      expect((await one(name)).counts.inside.runs).toBe(11)
    })

    test('belongs to the version that they run', async () => {
      const name = await publish(guarded(10))
      const { version } = await newest()
      await report('a', counted(name, 10))
      await publish(guarded(20), name)
      await report('late', counted(name, 5), version)
      await report('a', counted(name, 3))
      expect((await find(name)).map(({ percent, counts }) => [percent, counts.inside.runs])).toEqual([
        [20, 3],
        [10, 15],
      ])
      // What no studio has published is nobody's.
      await report('other', counted(name, 9), 9999)
      await report('other', counted('unknown', 9))
      expect((await one(name)).counts.inside.runs).toBe(3)
    })

    test('is shown over time, by minutes and quarters of an hour', async () => {
      const name = await publish(guarded(10))
      await report('a', counted(name, 10, 1))
      pass(2 * MINUTE)
      await report('a', counted(name, 20, 6))
      const { id } = await one(name)
      const { body } = await running.ada.get(`/api/rollouts/${id}/chart`).expect(200)
      const { points, marks } = body as RolloutChart
      expect(points.map(({ share, errors }) => [share, errors])).toEqual([
        [10, 10],
        [10, 50],
      ])
      expect(marks.map(({ message }) => message)).toEqual([`publish ${name}`])
      const { body: day } = await running.ada.get(`/api/rollouts/${id}/chart?range=day`).expect(200)
      expect(day.points.at(-1).errors).toBeGreaterThan(0)
    })
  })

  describe('a rollout is stopped everywhere', () => {
    test('when one process has stopped it: with a share of 0 and the reason, once, by the studio itself', async () => {
      const name = await publish(guarded(10, { 'x-owner': 'team' }))
      await report('a', counted(name, 10))
      await report('b', { ...counted(name, 20, 20, stopped()) })
      const reason = 'more than 5 % of the runs fail: 20 of 20, on b (process 7)'
      await soon(newest).toMatchObject({
        kind: 'stop',
        created_by: null,
        message: `${name}: rollout stopped: ${reason}`,
      })
      expect(await live(name)).toMatchObject({ 'x-owner': 'team', rollout: { percent: 0, stop_when: STOP_WHEN } })
      const { version } = await newest()
      expect(await one(name)).toMatchObject({ state: 'stopped', percent: 0, reason, stopped_version: version })
      // Others that stop it too, and those that still have it, change nothing.
      await report('c', counted(name, 20, 20, stopped()), version - 1)
      await report('b', counted(name, 20, 20, stopped()), version - 1)
      await report('a', counted(name, 12))
      expect((await newest()).version).toBe(version)
      const { body: log } = await running.ada.get('/api/audit')
      expect(log[0]).toMatchObject({ action: 'stop', actor: 'the studio', details: { plugin: name, reason } })
    })

    test('when the sums are over a limit, though no process has seen enough', async () => {
      const name = await publish(guarded(10))
      for (let at = 0; at < 12; at += 1) await report(`p${at}`, counted(name, 2, 2))
      await soon(() => one(name)).toMatchObject({ state: 'stopped' })
      expect((await one(name)).reason).toMatch(
        /^more than 5 % of the runs fail: 2\d of 2\d, in all processes together$/,
      )
      expect((await live(name))?.rollout.percent).toBe(0)
    })

    test('by a person, at once', async () => {
      const name = await publish(guarded(10))
      await report('a', counted(name, 10))
      await running.ada.post(`/api/rollouts/${(await one(name)).id}/stop`, {}).expect(201)
      expect(await one(name)).toMatchObject({ state: 'stopped', reason: 'stopped by Ada' })
      expect(await newest()).toMatchObject({ kind: 'stop', created_by: 'Ada' })
      await running.ada.post(`/api/rollouts/${(await one(name)).id}/stop`, {}).expect(409)
    })

    test('also one that follows the clock', async () => {
      const steps = [{ percent: 10, for: '10m' }, { percent: 20 }]
      const starts_at = new Date(Date.now() - MINUTE).toISOString()
      const name = await publish({ starts_at, rollout: { steps, stop_when: { error_rate: 0.05 } } })
      await report('a', counted(name, 20, 20, stopped()))
      await soon(() => one(name)).toMatchObject({ state: 'stopped' })
      expect((await live(name))?.rollout).toEqual({ percent: 0, stop_when: { error_rate: 0.05 } })
    })

    test('but not one that a person has changed since: theirs stands', async () => {
      const name = await publish(guarded(10))
      const { version } = await newest()
      await report('a', counted(name, 10))
      await publish(guarded(10, { code: 'exit(404)' }), name)
      await report('b', counted(name, 20, 20, stopped()), version)
      await report('a', counted(name, 1))
      expect((await find(name)).map(({ state }) => state)).toEqual(['running', 'replaced'])
      expect((await newest()).version).toBe(version + 1)
      expect((await live(name))?.rollout.percent).toBe(10)
    })

    test('nor one that a person has begun again, by a process that has missed that it was stopped', async () => {
      const name = await publish(guarded(10, { 'x-steps': [{ percent: 10 }] }))
      const { version } = await newest()
      const old = stopped()
      await report('late', counted(name, 20, 20, old))
      await soon(() => one(name)).toMatchObject({ state: 'stopped' })
      pass(MINUTE)
      await running.ada.post(`/api/rollouts/${(await one(name)).id}/go`, {}).expect(201)
      // It goes straight from the first version to this one, and has never seen the share of 0.
      await report('late', counted(name, 20, 20, old))
      await report('a', counted(name, 5))
      expect(await one(name)).toMatchObject({ state: 'running', percent: 10 })
      expect((await newest()).version).toBe(version + 2)
      // A new one is one.
      await report('a', counted(name, 25, 20, stopped()))
      await soon(async () => (await newest()).version).toBe(version + 3)
    })

    test('and not by what runs in place of a version that was refused', async () => {
      const name = await publish(guarded(10))
      const { version } = await newest()
      const refused = [{ domain: 'a.example', name, phase: 'access', message: 'no', kept_last_good: true }]
      const attempted = { version, verdict: 'partial', refused, refused_left_out: 0 }
      await report('a', { ...counted(name, 20, 20, stopped()), attempted })
      expect(await find(name)).toEqual([])
    })

    test('also a variant that one process has stopped: it has no code any more, and the others keep their clients', async () => {
      const variants = ['old', 'new/2', 'third'].map((name) => ({ name, percent: 30, code: `ctx.state.v = '${name}'` }))
      const rollout = { by: 'header:x-user', stop_when: { error_rate: 0.05 } }
      const name = await publish({ code: undefined, rollout, variants }, 'a/b')
      const { version } = await newest()
      await report('a', counted(`${name}/new/2`, 20))
      await report('b', counted(`${name}/new/2`, 20, 20, stopped()))
      const reason = 'more than 5 % of the runs fail: 20 of 20, on b (process 7)'
      await soon(newest).toMatchObject({ kind: 'stop', message: `${name}: variant new/2 stopped: ${reason}` })
      expect(await live(name)).toMatchObject({
        rollout,
        variants: [variants[0], { ...variants[1], code: '' }, variants[2]],
      })
      const { body: log } = await running.ada.get('/api/audit')
      expect(log[0]).toMatchObject({ action: 'stop', details: { plugin: name, variant: 'new/2', reason } })
      // Others that stop it too change nothing; nor do those that stop what is no variant.
      await report('c', counted(`${name}/new/2`, 20, 20, stopped()), version)
      await report('c', counted(`${name}/new/2`, 20, 20, stopped()))
      await report('c', counted(`${name}/none`, 20, 20, stopped()))
      const other = await publish(guarded(10))
      await report('c', counted(other, 20, 20, stopped()))
      await soon(() => one(other)).toMatchObject({ state: 'stopped' })
      expect((await newest()).version).toBe(version + 3)
      expect(await find(`${name}/new/2`)).toEqual([])
      // Somebody runs it again: another process may stop it once more.
      await publish({ code: undefined, rollout, variants }, name)
      await report('d', counted(`${name}/new/2`, 20, 20, stopped()), version)
      await report('d', counted(`${name}/third`, 20, 20, stopped()))
      await soon(newest).toMatchObject({
        kind: 'stop',
        message: `${name}: variant third stopped: ${reason.replace('on b', 'on d')}`,
      })
      expect((await live(name)) as object).toMatchObject({ variants: [variants[0], variants[1], { code: '' }] })
    })

    test('by a unit that went back because of it, and not by what runs in its place', async () => {
      const name = await publish(guarded(10))
      const { version } = await newest()
      const part = { domain: 'a.example', name, phase: 'access', message: 'no', kept_last_good: true }
      const refused = [{ ...part, code: 'ERR_DYNACODE_UNIT' }]
      const attempted = { version, verdict: 'partial', refused, refused_left_out: 0 }
      const earlier = counted(name, 7).rollouts.guarded
      await report('a', { rollouts: { guarded: earlier, left_out: 0 }, attempted })
      expect(await find(name)).toEqual([])
      const gone = counted(name, 20, 20, stopped()).rollouts.guarded
      await report('a', { rollouts: { guarded: [...gone, ...earlier], left_out: 0 }, attempted })
      await soon(() => one(name)).toMatchObject({ state: 'stopped', percent: 0 })
      expect(await newest()).toMatchObject({ kind: 'stop' })
    })
  })

  describe('steps that the studio takes', () => {
    const begin = () => publish(guarded(1, { 'x-steps': STEPS }))

    test('advance on health, to everybody, each as a version', async () => {
      const name = await begin()
      await report('a', counted(name, 30))
      expect(await one(name)).toMatchObject({
        percent: 1,
        step: 0,
        steps: [{ percent: 1, for: '10m' }, {}, { for: null }],
      })
      pass(11 * MINUTE)
      await report('a', counted(name, 40))
      await soon(() => one(name)).toMatchObject({ percent: 10, step: 1, counts: { inside: { runs: 40 } } })
      expect(await newest()).toMatchObject({
        kind: 'step',
        created_by: null,
        message: `${name}: 10 %, step 2 of 3: 1 of 1 processes report no problem`,
      })
      pass(31 * MINUTE)
      await report('a', counted(name, 50))
      await soon(() => one(name)).toMatchObject({ state: 'running', percent: 100, step: 2, due_at: null })
      // Of everybody, there are no others to compare with.
      expect((await live(name))?.rollout).toEqual({ percent: 100, stop_when: { error_rate: 0.05 } })
      expect(await find(name)).toHaveLength(1)
      // It is still guarded.
      await report('a', counted(name, 20, 20, stopped()))
      await soon(() => one(name)).toMatchObject({ state: 'stopped', step: null })
      expect((await live(name))?.rollout).toEqual({ percent: 0, stop_when: STOP_WHEN })
    })

    test('hold while reports are missing, and while too few runs tell anything', async () => {
      const name = await begin()
      const { version } = await newest()
      await report('a', counted(name, 30))
      await report('b', {}, version - 1)
      pass(11 * MINUTE)
      // First, or it has been silent for so long that it does not count any more when the other one's counts come.
      await report('b', {}, version - 1)
      await report('a', counted(name, 40))
      const missing = 'reports are missing: 1 of 2 processes report and run this version'
      await soon(() => one(name)).toMatchObject({ percent: 1, hold: missing })
      await report('b', counted(name, 0))
      await soon(() => one(name)).toMatchObject({ percent: 10, hold: null })
      pass(31 * MINUTE)
      await report('a', counted(name, 3))
      await report('b', counted(name, 4))
      await soon(() => one(name)).toMatchObject({
        percent: 10,
        hold: 'too few runs to tell: 7 of 20 since this step began',
      })
    })

    test('hold while the plugin is in trouble anywhere, and while somebody has paused them', async () => {
      const name = await begin()
      const { id } = await (async () => {
        await report('a', counted(name, 30))
        return one(name)
      })()
      const notable = [{ domain: 'a.example', name, phase: 'access', state: 'live', breaker: 'open' }]
      const trouble = { plugins: { total: 1, states: {}, breakers: { open: 1 }, notable } }
      pass(11 * MINUTE)
      await report('a', { ...counted(name, 40), ...trouble })
      await soon(() => one(name)).toMatchObject({ percent: 1, hold: 'its breaker is open in 1 process' })
      await running.ada.post(`/api/rollouts/${id}/pause`, { on: true }).expect(204)
      await report('a', counted(name, 41))
      await soon(() => one(name)).toMatchObject({ percent: 1, hold: 'paused by Ada' })
      await running.ada.post(`/api/rollouts/${id}/pause`, { on: false }).expect(204)
      await soon(() => one(name)).toMatchObject({ percent: 10 })
    })

    test('go on at once where a person says so, and begin again where they were stopped', async () => {
      const name = await begin()
      await report('a', counted(name, 1))
      const go = async () => running.ada.post(`/api/rollouts/${(await one(name)).id}/go`, {})
      expect(await go()).toMatchObject({ status: 201 })
      expect(await one(name)).toMatchObject({ percent: 10, step: 1 })
      await running.ada.post(`/api/rollouts/${(await one(name)).id}/stop`, {}).expect(201)
      expect(await go()).toMatchObject({ status: 201 })
      expect((await find(name)).map(({ state, percent }) => [state, percent])).toEqual([
        ['running', 1],
        ['replaced', 0],
      ])
      expect(await go()).toMatchObject({ status: 201 })
      expect(await go()).toMatchObject({ status: 201 })
      expect(await one(name)).toMatchObject({ percent: 100, step: 2 })
      expect(await go()).toMatchObject({ status: 409 })
      expect(await newest()).toMatchObject({
        kind: 'step',
        created_by: 'Ada',
        message: `${name}: 100 %, step 3 of 3: by Ada`,
      })
    })

    test.each([
      [
        'that go down',
        [{ percent: 10, for: '1m' }, { percent: 5 }],
        'expected more than the 10 of the step before, got 5',
      ],
      ['without a length', [{ percent: 10 }, { percent: 20 }], 'expected a length of time for each step but the last'],
      ['that are none', [{ percent: 10, fro: '1m' }], '0: Unrecognized key: "fro"'],
      [
        'of which none is live',
        [{ percent: 5, for: '1m' }],
        'expected rollout.percent to be that of a step, or 0; got 10',
      ],
    ])('are refused where they are steps %s', async (_, steps, message) => {
      const set = await beginSet(running.ada)
      const plugin = {
        name: 'refused',
        phase: 'access',
        fields: { code: 'exit(403)', ...guarded(10, { 'x-steps': steps }) },
      }
      const { body: domains } = await running.ada.get('/api/domains')
      if (domains.length === 0) await set.addDomain('a.example').expect(201)
      await set.add('a.example', plugin).expect(201)
      const { status, body } = await set.publish('p')
      expect(status).toBe(422)
      expect(body.findings).toMatchObject([{ rule: 'steps', message: `x-steps: ${message}`, plugin: 'refused' }])
    })
  })

  test('webhooks get a stop with its reason: of the process, and of the fleet', async () => {
    const hook = { name: 'w', url: 'https://hooks.example.com/x', format: 'json', events: ['rollout_stopped'] }
    const { body: made } = await running.ada.post('/api/webhooks', hook).expect(201)
    const name = await publish(guarded(10))
    await report('a', counted(name, 20, 20, stopped()))
    await soon(() => one(name)).toMatchObject({ state: 'stopped' })
    const { body } = await running.ada.get(`/api/webhooks/${made.id}/deliveries`).expect(200)
    const { version } = await newest()
    expect(body.map(({ text }: { text: string }) => text)).toEqual([
      `The rollout of ${name} in a.example has stopped everywhere: more than 5 % of the runs fail: 20 of 20, on a (process 7). Version ${version} is live, by the studio.`,
      `The rollout of ${name} in a.example has stopped on a (process 7): more than 5 % of the runs fail: 20 of 20`,
    ])
    await running.ada.delete(`/api/webhooks/${made.id}`).expect(204)
  })

  test('takes up no more room than there is, and forgets what is long over', async () => {
    if (database === undefined) return
    await sql`insert into rollout (domain, name, phase, first_version, version, percent, percent_since, stop_when, counts, state, ended_at)
      select 'x', n::text, 'access', 1, 1, 0, now(), '{}', '{}', 'replaced', now() - n * interval '1 hour'
      from generate_series(1, 900) n`.execute(database.db)
    const { forgetRollouts } = await import('../server/rollouts/rows.ts')
    await forgetRollouts(database.db, Date.now())
    const { left } = await database.db
      .selectFrom('rollout')
      .select(({ fn }) => fn.countAll<number>().as('left'))
      .where('state', '<>', 'running')
      .executeTakeFirstOrThrow()
    expect(Number(left)).toBeLessThanOrEqual(200)
    expect(describeEvent({ type: 'test', at: '', actor: 'Ada' })).toContain('Ada')
  })
})

describe('where a new version takes two persons', () => {
  test('one person may stop a rollout, and not raise it', async () => {
    const { IN_MEMORY } = await import('./databases.ts')
    const { ada, close } = await runStudio({ database: IN_MEMORY, two_persons: true })
    await ada.post('/api/rollouts/1/go', {}).expect(403)
    await ada.post('/api/rollouts/1/stop', {}).expect(404)
    await close()
  })
})
