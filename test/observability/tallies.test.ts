import { describe, expect, test } from 'vitest'
import type { Phase } from '../../lib/document.ts'
import { createEvents } from '../../lib/events/emitter.ts'
import { createRunObservers } from '../../lib/events/run-observers.ts'
import { CALLBACKS, type PluginInfo } from '../../lib/events/table.ts'
import { createTallies, OTHER } from '../../lib/observability/tallies.ts'

const KEEP_MS = 60_000

function setUp(max = 10) {
  const events = createEvents({})
  const tallies = createTallies(events.emitter, { max, keep_ms: KEEP_MS })
  const run = (plugin: PluginInfo, duration_ms = 1) =>
    events.emit('rt_plugins_done', {
      ...about(plugin),
      duration_ms,
      sync_ms: duration_ms / 2,
      outcome: 'done',
    } as never)
  const update = () => events.emit('bg_updated_plugins', {} as never)
  /** How often each has run, by its labels. */
  const counts = () =>
    Object.fromEntries(
      tallies.plugins().map(({ domain, name, phase, runs }) => [[domain, name, phase].join(), runs.done.count]),
    )
  return { events, tallies, run, update, counts }
}

const info = (name: string, domain = '*', phase: Phase = 'access') => Object.freeze({ name, domain, phase })
const about = (plugin: PluginInfo) => ({ plugin, phase: plugin.phase as Phase, host: 'a.com' })

describe('the tally of a plugin', () => {
  test('has its runs by outcome, their durations and the time they kept the event loop', () => {
    const { events, tallies, run } = setUp()
    const plugin = info('p')
    run(plugin, 2)
    const failed = { ...about(plugin), error: new Error('no'), duration_ms: 30, sync_ms: 10 }
    events.emit('rt_plugins_error', { ...failed, outcome: 'open' } as never)
    events.emit('rt_plugins_error', { ...failed, outcome: 'closed' } as never)
    events.emit('rt_plugins_done', { ...about(plugin), duration_ms: 4, sync_ms: 4, outcome: 'exit' } as never)
    const [tally, ...others] = tallies.plugins()
    expect(others).toEqual([])
    expect(tally).toMatchObject({
      ...plugin,
      runs: {
        done: { count: 1, seconds: 0.002 },
        exit: { count: 1, seconds: 0.004 },
        open: { count: 1, seconds: 0.03 },
        closed: { count: 1, seconds: 0.03 },
      },
      shadow: { runs: 0, exits: 0, changes: 0, errors: 0 },
    })
    expect(tally?.sync_seconds).toBeCloseTo(0.025)
  })

  test('counts shadow runs apart', () => {
    const { events, tallies } = setUp()
    const runs = [[], ['exit 403', 'set a: b', 'set c: d'], ['body: 1 → 2 bytes'], ['state exit: 1', 'threw no']]
    for (const effects of runs) events.emit('rt_plugins_shadow', { ...about(info('p')), effects, duration_ms: 1 })
    const shadow = { runs: 4, exits: 1, changes: 3, errors: 1 }
    expect(tallies.plugins()).toMatchObject([{ name: 'p', shadow, runs: { done: { count: 0 } } }])
  })

  test('is one for all versions of the plugin, and one for each domain and phase', () => {
    const { run, counts } = setUp()
    for (const plugin of [info('p'), info('p'), info('p', 'a.com'), info('p', '*', 'log')]) run(plugin)
    expect(counts()).toEqual({ '*,p,access': 2, 'a.com,p,access': 1, '*,p,log': 1 })
  })

  test('is found by its names', () => {
    const { run, tallies } = setUp(1)
    run(info('a'))
    run(info('b'))
    expect(tallies.find(info('a'))).toMatchObject({ name: 'a', domain: '*' })
    expect(tallies.find(info('b'))).toBeUndefined()
    expect(tallies.plugins()).toHaveLength(2)
  })
})

describe('beyond the bound', () => {
  test('plugins share one tally for each phase', () => {
    const { run, counts } = setUp(1)
    for (const name of ['a', 'b', 'c', 'a']) run(info(name))
    run(info('d', '*', 'log'))
    expect(counts()).toEqual({ '*,a,access': 2, 'other,other,access': 2, 'other,other,log': 1 })
  })

  test('a plugin that really has the names of the shared tally counts there', () => {
    const { run, counts } = setUp(2)
    run(info(OTHER, OTHER))
    for (const name of ['a', 'b', 'c']) run(info(name))
    expect(counts()).toEqual({ '*,a,access': 1, '*,b,access': 1, 'other,other,access': 2 })
  })

  test('10 000 plugins that come and go keep to the bound', () => {
    const { run, tallies, update } = setUp(100)
    for (let index = 0; index < 10_000; index += 1) {
      run(info(`p${index}`))
      if (index % 50 !== 0) continue
      update()
      tallies.retain([info(`p${index}`)], index * KEEP_MS)
      expect(tallies.plugins().length).toBeLessThanOrEqual(101)
    }
    expect(tallies.plugins().reduce((sum, { runs }) => sum + runs.done.count, 0)).toBeLessThanOrEqual(10_000)
    expect(tallies.events.rt_plugins_done).toBe(10_000)
  })
})

describe('a plugin that leaves the document', () => {
  test('keeps its tally for a while, then makes room for another one, and no count of a third goes back', () => {
    const { run, counts, update, tallies } = setUp(2)
    const [gone, stays, late] = [info('gone'), info('stays'), info('late')]
    for (const plugin of [gone, stays, late]) run(plugin)
    update()
    tallies.retain([stays, late], 0)
    tallies.retain([stays, late], KEEP_MS - 1)
    expect(counts()).toEqual({ '*,gone,access': 1, '*,stays,access': 1, 'other,other,access': 1 })
    tallies.retain([stays, late], KEEP_MS)
    for (const plugin of [stays, late]) run(plugin)
    expect(counts()).toEqual({ '*,stays,access': 2, '*,late,access': 1, 'other,other,access': 1 })
  })

  test('that comes back in time goes on with its tally', () => {
    const { run, counts, update, tallies } = setUp()
    run(info('p'))
    update()
    tallies.retain([], 0)
    update()
    tallies.retain([info('p')], KEEP_MS - 1)
    tallies.retain([info('p')], 2 * KEEP_MS)
    run(info('p'))
    expect(counts()).toEqual({ '*,p,access': 2 })
    update()
    tallies.retain([], 2 * KEEP_MS)
    expect(counts()).toEqual({ '*,p,access': 2 })
  })

  test('that still runs after it was freed is counted anew', () => {
    const { run, counts, update, tallies } = setUp()
    const plugin = info('p')
    run(plugin)
    update()
    tallies.retain([], 0)
    tallies.retain([], KEEP_MS)
    expect(counts()).toEqual({})
    run(plugin)
    expect(counts()).toEqual({ '*,p,access': 1 })
  })
})

describe('events', () => {
  test('are all counted, but for the one before each run, which nobody listens to', () => {
    const { events, tallies } = setUp()
    const names = Object.keys(CALLBACKS) as (keyof typeof CALLBACKS)[]
    expect(Object.keys(tallies.events).sort()).toEqual(names.filter((name) => name !== 'rt_plugins_starting').sort())
    expect(events.has('rt_plugins_starting')).toBe(false)
    const payload = { ...about(info('p')), duration_ms: 1, sync_ms: 1, reason: 'fetch', effects: [] }
    for (const name of names) {
      events.emit(name, { ...payload, outcome: name === 'rt_plugins_error' ? 'open' : 'done' } as never)
    }
    expect(new Set(Object.values(tallies.events))).toEqual(new Set([1]))
  })

  test('of runs are not listened to where runs are told of in another way, and are counted all the same', () => {
    const events = createEvents({})
    const observers = createRunObservers()
    const tallies = createTallies(events.emitter, { max: 10, observeRuns: observers.add })
    expect([events.has('rt_plugins_done'), events.has('rt_plugins_error'), events.has('on_error')]).toEqual([
      false,
      false,
      true,
    ])
    for (const outcome of ['done', 'exit', 'open', 'closed'] as const) {
      for (const observe of observers.all()) observe(info('p'), 'access', outcome, 2, 1)
    }
    expect(tallies.events).toMatchObject({ rt_plugins_done: 2, rt_plugins_error: 2 })
    expect(tallies.plugins()).toMatchObject([{ name: 'p', runs: { exit: { count: 1, seconds: 0.002 } } }])
    tallies.close()
    expect(observers.all()).toEqual([])
  })

  test('are counted by the result of refreshes and the section of errors', () => {
    const { events, tallies, update } = setUp()
    update()
    events.emit('bg_didnt_update_plugins', { reason: 'unchanged', error: undefined })
    events.emit('bg_didnt_update_plugins', { reason: 'held', error: new Error('held') })
    events.emit('on_error', { section: 'cache', error: undefined })
    expect(tallies.refreshes).toEqual({ updated: 1, unchanged: 1, held: 1 })
    expect(tallies.sections).toEqual({ cache: 1 })
  })

  test('are no longer counted after close, and nobody listens then', () => {
    const { events, tallies, run } = setUp()
    run(info('p'))
    tallies.close()
    run(info('p'))
    expect(tallies.events.rt_plugins_done).toBe(1)
    for (const name of Object.keys(CALLBACKS) as (keyof typeof CALLBACKS)[]) expect(events.has(name)).toBe(false)
  })
})
