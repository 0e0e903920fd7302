import { AggregatorRegistry, Counter, type OpenMetricsContentType, Registry, register } from 'prom-client'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { OptionError } from '../../../lib/index.ts'
import { collect } from '../../../lib/observability/metrics/index.ts'
import { METRICS } from '../../../lib/observability/metrics/table.ts'
import { everywhere, type PluginFields, startApp } from '../../fixtures/app.ts'
import { createInstance, createReadyInstance } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

afterEach(() => register.clear())

const EXIT: PluginFields = { name: 'wall', phase: 'access', code: `if (ctx.path === '/wall') exit(403)` }
const FAILS: PluginFields = { name: 'fails', phase: 'access', code: `if (ctx.path === '/fail') throw new Error('no')` }
const CLOSED: PluginFields = {
  name: 'closed',
  phase: 'access',
  on_failure: 'closed',
  code: `if (ctx.path === '/closed') throw new Error('no')`,
}
const SHADOW: PluginFields = { name: 'shadow', phase: 'access', mode: 'shadow', code: 'exit(403)' }
const BROKEN: PluginFields = { name: 'broken', phase: 'access', code: '(' }

/** The samples of a scrape by their whole name, labels included, as they are written. */
async function scrape(from: Pick<Registry, 'metrics'>): Promise<Record<string, number>> {
  const text = await from.metrics()
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const samples = lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))])
  // The same series twice would make Prometheus refuse the whole scrape.
  expect(new Set(samples.map(([name]) => name)).size).toBe(samples.length)
  return Object.fromEntries(samples)
}

const beginning = (samples: Record<string, number>, name: string) =>
  Object.fromEntries(Object.entries(samples).filter(([key]) => key.startsWith(name)))

async function startCollected(options: Parameters<typeof collect>[1] = {}, ...plugins: PluginFields[]) {
  const app = await startApp({ plugins, options: { breaker_failures: 2 } })
  const own = new Registry()
  const stop = collect(app.dyna, { register: own, ...options })
  return { ...app, own, stop }
}

describe('a scrape', () => {
  test('has the time of each plugin by its outcome, as a histogram', async () => {
    const { request, own } = await startCollected({}, EXIT, FAILS, CLOSED)
    for (const path of ['/', '/', '/wall', '/fail', '/closed']) await request.get(path)
    const samples = await scrape(own)
    const name = 'dynacode_plugin_duration_seconds'
    const of = (plugin: string, outcome: string) =>
      `{domain="*",plugin="${plugin}",phase="access",outcome="${outcome}"}`
    expect(beginning(samples, `${name}_count`)).toEqual({
      [`${name}_count${of('wall', 'done')}`]: 4,
      [`${name}_count${of('wall', 'exit')}`]: 1,
      [`${name}_count${of('fails', 'done')}`]: 3,
      [`${name}_count${of('fails', 'open')}`]: 1,
      [`${name}_count${of('closed', 'done')}`]: 3,
      [`${name}_count${of('closed', 'closed')}`]: 1,
    })
    const buckets = Object.entries(beginning(samples, `${name}_bucket`)).filter(([key]) => key.includes('"wall"'))
    const done = buckets.filter(([key]) => key.includes('"done"')).map(([, value]) => value)
    expect(done).toHaveLength(13)
    expect(done).toEqual(done.toSorted((a, b) => a - b))
    expect(done.at(-1)).toBe(4)
    expect(samples[`${name}_sum${of('wall', 'done')}`]).toBeGreaterThan(0)
  })

  test('has the time that a plugin kept the event loop, and not the time that it waited', async () => {
    const busy = `const end = performance.now() + 5; while (performance.now() < end) {}`
    const waits = `await new Promise((done) => setTimeout(done, 60))`
    const { request, own } = await startCollected(
      {},
      { name: 'busy', phase: 'access', code: busy },
      { name: 'waits', phase: 'access', code: waits },
    )
    await request.get('/')
    const samples = await scrape(own)
    const seconds = (plugin: string) =>
      samples[`dynacode_plugin_event_loop_seconds_total{domain="*",plugin="${plugin}",phase="access"}`]
    expect(seconds('busy')).toBeGreaterThanOrEqual(0.005)
    expect(seconds('waits')).toBeGreaterThan(0)
    // The rest of its time is what it waited.
    const wall = samples[
      'dynacode_plugin_duration_seconds_sum{domain="*",plugin="waits",phase="access",outcome="done"}'
    ] as number
    expect(wall - (seconds('waits') as number)).toBeGreaterThan(0.055)
  })

  test('has every event, from the start, and how refreshes ended', async () => {
    const { request, own, dyna, api } = await startCollected({}, EXIT)
    expect(await scrape(own)).toMatchObject({
      'dynacode_events_total{event="rt_plugins_done"}': 0,
      'dynacode_refreshes_total{result="fetch"}': 0,
    })
    await request.get('/')
    await dyna.refresh()
    api.answer({ status: 500 })
    await dyna.refresh()
    expect(await scrape(own)).toMatchObject({
      'dynacode_events_total{event="rt_plugins_done"}': 1,
      'dynacode_events_total{event="bg_fetch_api_status_code_error"}': 1,
      'dynacode_refreshes_total{result="unchanged"}': 1,
      'dynacode_refreshes_total{result="fetch"}': 1,
      dynacode_last_refresh_successful: 0,
    })
  })

  test('has what is live, since when, what was attempted, and how the plugins fare', async () => {
    const document = (version: number, ...plugins: PluginFields[]) => ({ general: { version }, ...everywhere(plugins) })
    const before = Date.now() / 1000
    const { own, serve, dyna, request } = await startCollected({ max_plugins: 1 })
    await serve(document(7, FAILS, SHADOW, BROKEN))
    const samples = await scrape(own)
    expect(samples).toMatchObject({
      'dynacode_document_info{version="7",from="network"}': 1,
      'dynacode_document_attempted_info{version="7"}': 1,
      dynacode_document_loaded: 1,
      dynacode_document_enabled: 1,
      dynacode_document_stale: 0,
      dynacode_disabled: 0,
      dynacode_last_refresh_successful: 1,
      'dynacode_plugins{state="live"}': 1,
      'dynacode_plugins{state="shadow"}': 1,
      'dynacode_plugins{state="refused"}': 1,
      'dynacode_plugins{state="guarded"}': 0,
      dynacode_breakers_open: 0,
    })
    for (const name of ['live', 'validated']) {
      const at = samples[`dynacode_document_${name}_timestamp_seconds`]
      expect(at).toBeGreaterThanOrEqual(before)
      expect(at).toBeLessThanOrEqual(Date.now() / 1000)
    }
    expect(beginning(samples, 'dynacode_plugin_breaker_open')).toEqual({})

    for (const path of ['/fail', '/fail']) await request.get(path)
    dyna.disable()
    expect(await scrape(own)).toMatchObject({
      dynacode_breakers_open: 1,
      'dynacode_plugin_breaker_open{domain="*",plugin="fails",phase="access"}': 1,
      'dynacode_plugin_shadow_runs_total{domain="other",plugin="other",phase="access"}': 2,
      dynacode_disabled: 1,
    })
  })

  test('before there is a document has no more than is known', async () => {
    const api = await startPluginApi('<html>')
    const dyna = createInstance({ plugin_api_uri: api.uri })
    const own = new Registry()
    collect(dyna, { register: own })
    await dyna.refresh()
    const samples = await scrape(own)
    expect(samples).toMatchObject({ dynacode_document_loaded: 0, dynacode_last_refresh_successful: 0 })
    expect(beginning(samples, 'dynacode_document_info')).toEqual({})
    expect(samples).not.toHaveProperty('dynacode_document_live_timestamp_seconds')
    expect(samples).not.toHaveProperty('dynacode_document_enabled')
  })

  test('takes its time in turns of the event loop, and reads one moment', async () => {
    const { own, request, dyna } = await startCollected({}, EXIT)
    await request.get('/')
    const status = vi.fn(() => dyna.status())
    const looked = new Registry()
    collect({ events: dyna.events, status }, { register: looked })
    let turns = 0
    let scraping = true
    const count = () => {
      turns += 1
      if (scraping) setImmediate(count)
    }
    setImmediate(count)
    await looked.metrics()
    scraping = false
    expect(turns).toBeGreaterThan(METRICS.length)
    expect(status).toHaveBeenCalledTimes(1)
    await Promise.all([own.metrics(), looked.metrics()])
    expect(status).toHaveBeenCalledTimes(2)
  })

  test('writes names as Prometheus reads them, whatever is in them', async () => {
    const { request, own } = await startCollected({}, { ...EXIT, name: 'a "b"\n\\c{}=,é' })
    await request.get('/')
    expect(await own.metrics()).toContain(String.raw`plugin="a \"b\"\n\\c{}=,é",phase="access",outcome="done"} 1`)
  })

  test('fits registers for OpenMetrics, and the aggregation of a cluster', async () => {
    const { request, dyna, own } = await startCollected({}, EXIT)
    const open = new Registry<OpenMetricsContentType>()
    open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    const stop = collect(dyna, { register: open, labels: { site: 'a' } })
    await request.get('/')
    for (const _ of [1, 2]) {
      const text = await open.metrics()
      expect(text).toContain('# TYPE dynacode_events counter')
      expect(text).toContain('dynacode_events_total{event="rt_plugins_done",site="a"} 1')
      expect(text).toContain('_count{site="a",domain="*",plugin="wall",phase="access",outcome="done"} 1')
    }
    stop()
    expect(open.getMetricsAsArray()).toEqual([])

    const workers = await Promise.all([own.getMetricsAsJSON(), own.getMetricsAsJSON()])
    const together = await scrape(AggregatorRegistry.aggregate(workers))
    expect(together['dynacode_events_total{event="rt_plugins_done"}']).toBe(2)
    expect(together['dynacode_plugins{state="live"}']).toBe(1)
    const counts = Object.entries(beginning(together, 'dynacode_plugin_duration_seconds_count'))
    expect(counts).toMatchObject([[expect.stringContaining('plugin="wall"'), 2]])
  })

  test('has the labels that the register gives to all metrics', async () => {
    const { request, own } = await startCollected({}, EXIT)
    own.setDefaultLabels({ app: 'shop' })
    await request.get('/')
    const names = Object.keys(await scrape(own))
    expect(names.filter((name) => !name.includes('app="shop"'))).toEqual([])
  })
})

describe('the labels', () => {
  test('are bounded: beyond max_plugins, plugins count as other', async () => {
    const plugins = Array.from({ length: 30 }, (_, index) => ({ ...EXIT, name: `wall ${index}` }))
    const { request, own } = await startCollected({ max_plugins: 3 }, ...plugins)
    await request.get('/')
    const counts = beginning(await scrape(own), 'dynacode_plugin_duration_seconds_count')
    expect(Object.values(counts)).toEqual([1, 1, 1, 27])
    expect(Object.keys(counts).at(-1)).toContain('{domain="other",plugin="other",phase="access",outcome="done"}')
  })

  test('leave with the plugin, some minutes after it', async () => {
    const { request, own, serve } = await startCollected({}, EXIT)
    await request.get('/')
    await serve(everywhere([FAILS]))
    const has = async () => Object.keys(await scrape(own)).some((name) => name.includes('"wall"'))
    expect(await has()).toBe(true)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 299_000 })
    expect(await has()).toBe(true)
    vi.setSystemTime(Date.now() + 2000)
    expect(await has()).toBe(false)
    vi.useRealTimers()
  })
})

describe('collect', () => {
  test('puts its metrics into prom-client’s own register unless told otherwise', async () => {
    const dyna = await createReadyInstance({
      bootstrap: everywhere([EXIT]),
      source: { fetch: () => new Promise(() => {}) },
    })
    const stop = collect(dyna)
    expect(await scrape(register)).toMatchObject({ dynacode_document_loaded: 1 })
    stop()
    expect(register.getMetricsAsArray()).toEqual([])
  })

  test('tells two instances on one register apart by labels or by prefix', async () => {
    const { own, dyna, request } = await startCollected({ labels: { edge: 'a' } }, EXIT)
    const other = await createReadyInstance({
      bootstrap: everywhere([]),
      source: { fetch: () => new Promise(() => {}) },
    })
    const stop = collect(other, { register: own, labels: { edge: 'b' } })
    collect(other, { register: own, prefix: 'b_' })
    await request.get('/')
    const samples = await scrape(own)
    expect(samples).toMatchObject({
      'dynacode_document_loaded{edge="a"}': 1,
      'dynacode_document_loaded{edge="b"}': 1,
      b_document_loaded: 1,
      'dynacode_events_total{event="rt_plugins_done",edge="a"}': 1,
      'dynacode_events_total{event="rt_plugins_done",edge="b"}': 0,
    })
    expect(() => collect(dyna, { register: own, labels: { edge: 'b' } })).toThrow(/^collect: option labels: expected/)
    stop()
    expect(Object.keys(await scrape(own)).some((name) => name.includes('edge="b"'))).toBe(false)
    expect(await scrape(own)).toMatchObject({ 'dynacode_document_loaded{edge="a"}': 1 })
  })

  test.each([
    [{ max_plugins: -1 }, /^collect: option max_plugins: expected .+ at least 0, got -1$/],
    [{ max_plugins: 1.5 }, /^collect: option max_plugins: expected an integer, got 1.5$/],
    [{ prefix: '9_' }, /^collect: option prefix: expected .+, got a string$/],
    [{ labels: { phase: 'x' } }, /^collect: option labels: expected .+, got an object$/],
    [{ labels: { 'a-b': 'x' } }, /^collect: option labels: expected .+, got an object$/],
    [{ labels: { a: 1 } }, /^collect: option labels: expected .+, got an object$/],
    [{ register: {} }, /^collect: option register: expected a register of prom-client, got an object$/],
    [{ regsiter: new Registry() }, /^collect: option regsiter: is not known$/],
  ])('refuses %o', (options, message) => {
    const dyna = createInstance({ source: { fetch: () => new Promise(() => {}) } })
    expect(() => collect(dyna, options as never)).toThrow(OptionError)
    expect(() => collect(dyna, options as never)).toThrow(message)
    expect((dyna.events.eventNames() as string[]).filter((name) => name !== 'newListener')).toEqual([])
  })

  test('refuses a register that has a metric of that name from elsewhere, and leaves it as it was', () => {
    const dyna = createInstance({ source: { fetch: () => new Promise(() => {}) } })
    const own = new Registry()
    new Counter({ name: 'dynacode_errors_total', help: 'Errors.', registers: [own] })
    const text = 'collect: option prefix: the register has another metric named dynacode_errors_total'
    expect(() => collect(dyna, { register: own })).toThrow(text)
    expect(own.getMetricsAsArray()).toHaveLength(1)
    expect((dyna.events.eventNames() as string[]).filter((name) => name !== 'newListener')).toEqual([])
  })

  test('stops when it is told to, as often as it is: no metrics, and nobody listens', async () => {
    const { own, stop, dyna } = await startCollected({}, EXIT)
    for (const _ of [1, 2]) stop()
    expect(own.getMetricsAsArray()).toEqual([])
    expect(dyna.events.listenerCount('bg_updated_plugins')).toBe(0)
    collect(dyna, { register: own })
    stop()
    expect(own.getMetricsAsArray()).not.toEqual([])
  })

  test('stops by itself at the first scrape after close', async () => {
    const { own, dyna } = await startCollected({}, EXIT)
    await dyna.close()
    await own.metrics()
    expect(own.getMetricsAsArray()).toEqual([])
  })

  test('is not harmed by a stop in the middle of a scrape', async () => {
    const { own, stop } = await startCollected({}, EXIT)
    const scraping = scrape(own)
    stop()
    expect(await scraping).toMatchObject({ dynacode_document_loaded: 1 })
  })

  test('listens to no event of each run, so that none is made', async () => {
    const dyna = createInstance({ source: { fetch: () => new Promise(() => {}) } })
    collect(dyna, { register: new Registry() })
    const names = dyna.events.eventNames()
    expect(names).toContain('rt_plugins_shadow')
    expect(names.filter((name) => /rt_plugins_(starting|done|error)/.test(name))).toEqual([])
  })

  test('counts the same where it is given no more than events and status of an instance', async () => {
    const { request, own, dyna } = await startCollected({}, EXIT, FAILS)
    const other = new Registry()
    collect({ events: dyna.events, status: () => dyna.status() }, { register: other })
    for (const path of ['/', '/wall', '/fail']) await request.get(path)
    const counts = async (from: Registry) => beginning(await scrape(from), 'dynacode_plugin_duration_seconds_count')
    expect(Object.keys(await counts(own))).toHaveLength(4)
    expect(await counts(other)).toEqual(await counts(own))
  })
})
