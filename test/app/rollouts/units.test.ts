import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Payload, Report } from '../../../lib/index.ts'
import { createDeferred, type PluginFields, startApp, type TestAppSetup } from '../../fixtures/app.ts'
import { payloadsOf, record } from '../../fixtures/instance.ts'
import { startReceiver } from '../../fixtures/receiver.ts'

// Breakers go by the fake time.
vi.mock(import('../../../lib/time/clock.ts'), async (original) => {
  const { SYSTEM_CLOCK, ...rest } = await original()
  return { ...rest, SYSTEM_CLOCK: { ...SYSTEM_CLOCK, steady: () => performance.now() } }
})

/** A plugin of the unit that shows which version of it ran. */
const member = (name: string, version: number, fields: object = {}, code = ''): PluginFields => ({
  name,
  phase: 'header_filter',
  unit: 'checkout',
  code: `${code}; ctx.set('x-${name}', '${version}')`,
  ...fields,
})
const documentOf = (...plugins: object[]) => ({ domains: [{ name: '*', plugins }] })

async function startUnit(plugins: readonly PluginFields[], options: TestAppSetup['options'] = {}, globals = {}) {
  const switches = { bad: true }
  const on_unit_revert = vi.fn<(event: Payload<'bg_unit_reverted'>) => void>()
  const app = await startApp({
    plugins,
    options: { globals: { switches, ...globals }, breaker_failures: 3, on_unit_revert, ...options },
  })
  const seen = record(app.dyna, ['bg_compile_error', 'rt_rollout_stopped'])
  /** Which versions of a and b a request gets. */
  const ask = async (user = 'u1') => {
    const { headers, status } = await app.request.get('/').set('x-user', user)
    return status === 200 ? `${headers['x-a'] ?? '-'}${headers['x-b'] ?? '-'}` : String(status)
  }
  const askMany = async (count: number) => {
    const answers: string[] = []
    for (let user = 0; user < count; user += 1) answers.push(await ask(`u${user}`))
    return answers
  }
  const serve = (...next: object[]) => app.serve(documentOf(...next))
  const states = () => app.dyna.status().plugins.map(({ name, state }) => `${name}: ${state}`)
  const reverted = () => vi.waitFor(() => expect(on_unit_revert).toHaveBeenCalled())
  return { ...app, switches, on_unit_revert, events: seen, ask, askMany, serve, states, reverted }
}

const FIRST = [member('a', 1), member('b', 1)]
const FAIL = 'if (switches.bad) throw new Error("bad")'

describe('the plugins of a unit', () => {
  it.each([
    ['does not compile', member('b', 2, { code: 'ctx.set(' })],
    ['is refused', member('b', 2, { budget_ms: -1 })],
    ['has a misspelled field', member('b', 2, { whne: {} })],
  ])('stay on the earlier version together where one %s, and change together', async (_, broken) => {
    const app = await startUnit(FIRST)
    expect(await app.ask()).toBe('11')
    await app.serve(member('a', 2), broken)
    expect(await app.ask()).toBe('11')
    expect(app.states()).toEqual(['a: last_good', 'b: last_good'])
    const [first, second] = payloadsOf(app.events, 'bg_compile_error')
    expect(first).toMatchObject({ plugin: { name: 'a' }, kept_last_good: true })
    expect(first?.error.message).toMatch(
      /^domains\[0\]\.plugins\[0\]: not live, as its unit "checkout" changes as a whole/,
    )
    expect(second).toMatchObject({ plugin: { name: 'b' }, kept_last_good: true })
    await app.serve(member('a', 2), member('b', 2))
    expect(await app.ask()).toBe('22')
    expect(app.states()).toEqual(['a: live', 'b: live'])
  })

  it('do not run at all where one is refused and there is no earlier version', async () => {
    const app = await startUnit([member('a', 1), member('b', 1, { code: '(' }), { ...member('c', 1), unit: undefined }])
    const { headers } = await app.request.get('/').expect(200)
    expect(headers).toMatchObject({ 'x-c': '1' })
    expect(headers).not.toHaveProperty('x-a')
    expect(app.states()).toEqual(['c: live', 'a: refused', 'b: refused'])
  })

  it('refuse requests where one that fails closed has no earlier version, sound or not', async () => {
    const app = await startUnit([member('a', 1, { on_failure: 'closed' }), member('b', 1, { code: '(' })])
    expect(await app.ask()).toBe('503')
    await app.serve(...FIRST)
    expect(await app.ask()).toBe('11')
  })

  it('take with them those that a version adds and removes', async () => {
    const app = await startUnit([...FIRST, member('c', 1)])
    await app.serve(member('a', 2), member('b', 2, { code: '(' }), member('d', 2))
    const kept = await app.request.get('/')
    expect(kept.headers).toMatchObject({ 'x-a': '1', 'x-b': '1', 'x-c': '1' })
    expect(kept.headers).not.toHaveProperty('x-d')
    await app.serve(member('a', 2), member('d', 2))
    const { headers } = await app.request.get('/')
    expect(headers).toMatchObject({ 'x-a': '2', 'x-d': '2' })
    expect(headers).not.toHaveProperty('x-b')
    expect(headers).not.toHaveProperty('x-c')
  })

  it('run on as they are where nothing of them changes', async () => {
    const app = await startUnit(FIRST)
    app.api.serve(documentOf(...FIRST, { name: 'other', phase: 'log', code: '' }))
    expect(await app.dyna.refresh()).toMatchObject({ updated: true, compiled: 1, reused: 2, failed: 0 })
    app.api.serve(documentOf(member('a', 1), member('b', 1, { priority: 1 })))
    expect(await app.dyna.refresh()).toMatchObject({ updated: true, failed: 0, removed: 1 })
    expect(await app.ask()).toBe('11')
  })

  it('can come from shared plugins, each domain with a unit of its own', async () => {
    const shared = (broken: boolean) => ({
      domains: [
        {
          name: 'a.com',
          plugins: [
            { id: 1, unit: 'x' },
            { id: 2, unit: 'x' },
            ...(broken ? [member('c', 1, { unit: 'x', code: '(' })] : []),
          ],
        },
        {
          name: '127.0.0.1',
          plugins: [
            { id: 1, unit: 'x' },
            { id: 2, unit: 'x' },
          ],
        },
      ],
      plugins: [
        { ...member('a', broken ? 2 : 1), unit: undefined, id: 1 },
        { ...member('b', broken ? 2 : 1), unit: undefined, id: 2 },
      ],
    })
    const app = await startUnit([])
    await app.serve()
    app.api.serve(shared(false))
    await app.dyna.refresh()
    app.api.serve(shared(true))
    await app.dyna.refresh()
    expect(await app.ask()).toBe('22')
    const { headers } = await app.request.get('/').set('Host', 'a.com')
    expect(headers).toMatchObject({ 'x-a': '1', 'x-b': '1' })
  })
})

describe('a unit one of whose breakers opens', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('goes back to its earlier version, says so, and stays there until it changes', async () => {
    const app = await startUnit(FIRST)
    const second = [member('a', 2), member('b', 2, {}, FAIL)]
    await app.serve(...second)
    expect(await app.askMany(3)).toEqual(['2-', '2-', '2-'])
    await app.reverted()
    expect(await app.ask()).toBe('11')
    expect(app.on_unit_revert).toHaveBeenCalledExactlyOnceWith({
      at: expect.any(Number),
      unit: 'checkout',
      plugin: { name: 'b', domain: '*', phase: 'header_filter' },
      error: expect.objectContaining({
        code: 'ERR_DYNACODE_UNIT',
        message: 'the unit "checkout" went back to its earlier version: of "b", its breaker opened after 3 failures',
      }),
      plugins: [expect.objectContaining({ name: 'a' }), expect.objectContaining({ name: 'b' })],
    })
    expect(app.dyna.status().plugins).toMatchObject([
      { name: 'a', state: 'last_good', breaker: 'closed', error: expect.stringMatching(/went back/) },
      { name: 'b', state: 'last_good', breaker: 'closed' },
    ])
    app.switches.bad = false
    await app.serve(...second, { name: 'other', phase: 'log', code: '' })
    expect(await app.ask()).toBe('11')
    expect(app.states()).toEqual(['a: last_good', 'b: last_good', 'other: live'])
    expect(payloadsOf(app.events, 'bg_compile_error')).toMatchObject([
      { plugin: { name: 'a' }, kept_last_good: true },
      { plugin: { name: 'b' }, kept_last_good: true },
    ])
    await app.serve(member('a', 2), member('b', 3))
    expect(await app.ask()).toBe('23')
    expect(app.states()).toEqual(['a: live', 'b: live'])
  })

  it('stays back in a large document of which only another part changes', async () => {
    const other = (version: number) => ({
      name: 'other.com',
      plugins: Array.from({ length: 300 }, (_, at) => member(`p${at}`, version, {}, `/* ${'x'.repeat(100)} */`)),
    })
    const app = await startUnit(FIRST)
    const second = { name: '*', plugins: [member('a', 2), member('b', 2, {}, FAIL)] }
    for (const version of [1, 2]) {
      app.api.serve({ domains: [second, other(version)] })
      expect(await app.dyna.refresh()).toMatchObject({ updated: true, failed: 0 })
    }
    await app.askMany(3)
    await app.reverted()
    app.api.serve({ domains: [second, other(3)] })
    expect(await app.dyna.refresh()).toMatchObject({ updated: true, failed: 2 })
    expect(await app.ask()).toBe('11')
  })

  it('brings nothing back that the document switches off, and what was there before there was a unit', async () => {
    const app = await startUnit([{ ...member('a', 1), unit: undefined }, member('b', 1), member('c', 1)])
    await app.serve(member('a', 2, {}, FAIL), member('b', 2), member('c', 1, { enabled: false }))
    await app.askMany(3)
    await app.reverted()
    const { headers } = await app.request.get('/')
    expect(headers).toMatchObject({ 'x-a': '1', 'x-b': '1' })
    expect(headers).not.toHaveProperty('x-c')
  })

  it('pauses and tries as a whole where it has no earlier version', async () => {
    const app = await startUnit([member('a', 1), member('b', 1, {}, FAIL)])
    expect(await app.askMany(5)).toEqual(['1-', '1-', '1-', '--', '--'])
    vi.advanceTimersByTime(2000)
    expect(await app.askMany(3)).toEqual(['1-', '--', '--'])
    app.switches.bad = false
    vi.advanceTimersByTime(4000)
    expect(await app.askMany(3)).toEqual(['11', '11', '11'])
    expect(app.on_unit_revert).not.toHaveBeenCalled()
  })

  it('refuses for as long as it pauses, where one of it fails closed', async () => {
    const app = await startUnit([member('a', 1, { phase: 'access', on_failure: 'closed' }), member('b', 1, {}, FAIL)])
    expect(await app.askMany(5)).toEqual(['1-', '1-', '1-', '503', '503'])
  })

  it('lets one request at a time try all of it', async () => {
    const entered = createDeferred<void>()
    const left = createDeferred<void>()
    const wait = 'if (ctx.get("x-user") === "slow") { entered.resolve(); await left.promise }'
    const app = await startUnit(
      [member('a', 1, { phase: 'access' }, wait), member('b', 1, {}, FAIL)],
      {},
      { entered, left },
    )
    await app.askMany(3)
    app.switches.bad = false
    vi.advanceTimersByTime(2000)
    const slow = app.ask('slow')
    await entered.promise
    expect(await app.askMany(2)).toEqual(['--', '--'])
    left.resolve()
    expect(await slow).toBe('11')
    expect(await app.ask()).toBe('11')
  })

  it('leaves requests under way all of the version that they began with', async () => {
    const entered = createDeferred<void>()
    const left = createDeferred<void>()
    const wait = 'if (ctx.get("x-user") === "slow") { entered.resolve(); await left.promise }'
    const bad = 'if (ctx.get("x-user") !== "slow") throw new Error("bad")'
    const app = await startUnit([member('a', 1, { phase: 'access' }), member('b', 1)], {}, { entered, left })
    await app.serve(member('a', 2, { phase: 'access' }, wait), member('b', 2, {}, bad))
    const slow = app.ask('slow')
    await entered.promise
    await app.askMany(3)
    await app.reverted()
    expect(await app.ask()).toBe('11')
    left.resolve()
    expect(await slow).toBe('22')
  })

  it('takes no notice of one in shadow mode', async () => {
    const app = await startUnit(FIRST)
    await app.serve(member('a', 2), member('b', 2, { mode: 'shadow' }, FAIL))
    await app.askMany(5)
    expect(app.dyna.status().plugins).toMatchObject([{ state: 'live' }, { state: 'shadow', breaker: 'open' }])
    expect(app.on_unit_revert).not.toHaveBeenCalled()
  })
})

describe('the rollout of a unit', () => {
  const rollout = { percent: 50, by: 'header:x-user' }
  const guarded = { ...rollout, stop_when: { error_rate: 0.05, min_runs: 5 } }

  it('stands in one of its plugins, and gives a request all of them or none', async () => {
    const app = await startUnit([member('a', 1), member('b', 1, { rollout })])
    const answers = await app.askMany(60)
    expect(new Set(answers)).toEqual(new Set(['11', '--']))
    const count = answers.filter((answer) => answer === '11').length
    expect(count).toBeGreaterThan(15)
    expect(count).toBeLessThan(45)
    expect(app.dyna.status().plugins).toMatchObject([{ rollout: { percent: 50 } }, { rollout: { percent: 50 } }])
  })

  it('is by one throw of the dice where chance decides', async () => {
    const app = await startUnit([member('a', 1, { rollout: { percent: 50, by: 'random' } }), member('b', 1)])
    expect(new Set(await app.askMany(60))).toEqual(new Set(['11', '--']))
  })

  it('stops all of them with one, and the earlier version is back for everybody', async () => {
    const app = await startUnit(FIRST, { breaker_failures: 0 })
    await app.serve(member('a', 2, { rollout: guarded }), member('b', 2, {}, FAIL))
    const answers = await app.askMany(40)
    expect(answers.filter((answer) => answer === '2-')).toHaveLength(5)
    await app.reverted()
    expect(new Set(await app.askMany(10))).toEqual(new Set(['11']))
    expect(payloadsOf(app.events, 'rt_rollout_stopped')).toMatchObject([{ plugin: { name: 'b' }, inside: { runs: 5 } }])
    expect(app.on_unit_revert.mock.calls[0]?.[0].error.message).toMatch(/its rollout stopped itself \(error_rate\)$/)
  })

  it('is reported as stopped once it went back, beside that of the earlier version, until the document has another', async () => {
    const receiver = await startReceiver()
    const reporting = { report_uri: receiver.uri, report_interval: 0.5 }
    const first = { rollout: { ...guarded, percent: 100 } }
    const app = await startUnit([member('a', 1, first), member('b', 1)], { breaker_failures: 0, ...reporting })
    const second = [member('a', 2, { rollout: guarded }), member('b', 2, {}, FAIL)]
    await app.serve(...second)
    await app.askMany(40)
    await app.reverted()
    const told = (report: Report) => report.rollouts.guarded.map(({ name, stopped }) => [name, stopped?.condition])
    const [gone, earlier] = ['error_rate', undefined].map((why) => [
      ['a', why],
      ['b', why],
    ])
    const both = [...(gone ?? []), ...(earlier ?? [])]
    const report = await receiver.saw((each) => told(each).length === 4)
    expect(told(report)).toEqual(both)
    expect(report.rollouts.guarded[1]).toMatchObject({ percent: 0, inside: { runs: 5, errors: 5 } })
    expect(report.attempted?.refused).toMatchObject([{ name: 'a', code: 'ERR_DYNACODE_UNIT' }, { name: 'b' }])
    await app.serve(...second, member('c', 1, { unit: undefined }))
    expect(told(await receiver.saw((each) => each.active?.sha1 === app.dyna.status().sha1))).toEqual(both)
    await app.serve(member('a', 3), member('b', 3))
    await receiver.saw((each) => each.active?.sha1 === app.dyna.status().sha1 && told(each).length === 0)
  })

  it('stops all of them where there is no earlier version', async () => {
    const app = await startUnit([member('a', 1, { rollout: guarded }), member('b', 1, {}, FAIL)], {
      breaker_failures: 0,
    })
    await app.askMany(40)
    expect(new Set(await app.askMany(40))).toEqual(new Set(['--']))
    expect(app.states()).toEqual(['a: stopped', 'b: stopped'])
    expect(app.dyna.status().plugins).toMatchObject([
      { rollout: { percent: 0, stopped: { condition: 'error_rate' }, inside: { runs: 5, errors: 0 } } },
      { rollout: { percent: 0, stopped: { condition: 'error_rate' }, inside: { runs: 5, errors: 5 } } },
    ])
    expect(app.on_unit_revert).not.toHaveBeenCalled()
  })

  it('that has stopped is nothing to go back to', async () => {
    const app = await startUnit([member('a', 1, { rollout: guarded }), member('b', 1, {}, FAIL)], {
      breaker_failures: 6,
    })
    await app.askMany(40)
    expect(app.states()).toEqual(['a: stopped', 'b: stopped'])
    await app.serve(member('a', 2), member('b', 2, {}, FAIL))
    expect(await app.askMany(8)).toEqual([...Array(6).fill('2-'), '--', '--'])
    expect(app.on_unit_revert).not.toHaveBeenCalled()
  })

  it('goes on for a request that is in it when it stops', async () => {
    const entered = createDeferred<void>()
    const left = createDeferred<void>()
    const wait = 'if (ctx.get("x-user") === "slow") { entered.resolve(); await left.promise }'
    const bad = 'if (ctx.get("x-user") !== "slow") throw new Error("bad")'
    const whole = { ...guarded, percent: 100 }
    const unit = [member('a', 1, { phase: 'access', rollout: whole }, wait), member('b', 1, {}, bad)]
    const app = await startUnit(unit, { breaker_failures: 0 }, { entered, left })
    const slow = app.ask('slow')
    await entered.promise
    await app.askMany(6)
    expect(app.states()).toEqual(['a: stopped', 'b: stopped'])
    left.resolve()
    expect(await slow).toBe('11')
  })
})

describe('after a restart', () => {
  it('there is no earlier version: the unit runs as in the document, or not at all', async () => {
    const broken = [member('a', 2), member('b', 2, { code: '(' })]
    const app = await startUnit(FIRST)
    await app.serve(...broken)
    expect(await app.ask()).toBe('11')
    const restarted = await startUnit(broken)
    expect(await restarted.ask()).toBe('--')
  })
})
