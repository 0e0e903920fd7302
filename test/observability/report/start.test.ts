import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import type { DynacodeOptions, Report } from '../../../lib/index.ts'
import { VERSION } from '../../../lib/version.ts'
import { everywhere, plugin, serveBehind } from '../../fixtures/app.ts'
import { createInstance } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'
import { startReceiver } from '../../fixtures/receiver.ts'

/** An API, a receiver, and an instance that asks the one when told to and reports to the other within some 0.1 s. */
async function setUp({ document, ...options }: Partial<DynacodeOptions> & { document?: unknown } = {}) {
  const api = await startPluginApi(document)
  const receiver = await startReceiver()
  const dyna = createInstance({
    plugin_api_uri: api.uri,
    plugin_api_poll_at_init: false,
    report_uri: receiver.uri,
    report_interval: 0.5,
    ...options,
  })
  return { api, receiver, dyna }
}

const document = (version: number, ...plugins: Parameters<typeof everywhere>[0]) => ({
  general: { version },
  ...everywhere(plugins),
})
const fine = plugin('access', '', { name: 'fine' })
const broken = plugin('access', 'a()\nlet 1', { name: 'broken' })

describe('a report', () => {
  test('says which instance it is of', async () => {
    const { receiver, dyna } = await setUp({ report_name: 'shop' })
    const { requests } = receiver
    expect(await receiver.got(1)).toMatchObject({
      format: 1,
      instance: dyna.status().instance,
      sequence: 1,
      name: 'shop',
      host: expect.any(String),
      pid: process.pid,
      dynacode: VERSION,
      node: process.versions.node,
      interval: 0.5,
      occasions: ['start'],
      closing: false,
    })
    expect(requests[0]).toMatchObject({
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': `dynacode/${VERSION}` },
    })
  })

  test('acknowledges a document that went live, by its version, bytes and ETag', async () => {
    const { receiver, dyna, api } = await setUp()
    api.serve(document(7, fine), { etag: '"seven"' })
    await dyna.refresh()
    const { active, attempted, last_refresh } = await receiver.saw((report) => report.active !== null)
    const { sha1, since } = dyna.status()
    expect(sha1).toMatch(/^[0-9a-f]{40}$/)
    const identity = { version: 7, sha1, etag: '"seven"', from: 'network' }
    expect(active).toEqual({ ...identity, since, validated_at: expect.any(Number), enabled: true })
    expect(attempted).toEqual({
      ...identity,
      at: expect.any(Number),
      verdict: 'ack',
      reason: null,
      error: null,
      refused: [],
      refused_left_out: 0,
    })
    expect(last_refresh).toEqual({ at: expect.any(Number), result: 'updated', error: null })
  })

  test('names each plugin that was refused, with its place in the document and in its code', async () => {
    const { receiver, dyna, api } = await setUp({ document: document(1, plugin('access', '', { name: 'broken' })) })
    await dyna.refresh()
    api.serve({
      general: { version: 2 },
      domains: [
        { name: '*', plugins: [fine, broken, { name: 'lost', phase: 'nowhere', code: '' }] },
        { name: '(', plugins: [] },
      ],
    })
    await dyna.refresh()
    const { attempted, active, plugins } = await receiver.saw((report) => report.attempted?.version === 2)
    expect(active?.version).toBe(2)
    expect(attempted).toMatchObject({ verdict: 'partial', reason: null, error: null, refused_left_out: 0 })
    expect(attempted?.refused).toEqual([
      {
        domain: null,
        name: null,
        phase: null,
        path: 'domains[1].name',
        code: 'ERR_DYNACODE_DOCUMENT',
        message: expect.stringContaining('domains[1].name'),
        line: null,
        column: null,
        kept_last_good: false,
      },
      {
        domain: '*',
        name: 'broken',
        phase: 'access',
        path: 'domains[0].plugins[1]',
        code: 'ERR_DYNACODE_COMPILE',
        message: expect.stringContaining('broken'),
        line: 2,
        column: expect.any(Number),
        kept_last_good: true,
      },
      {
        domain: '*',
        name: 'lost',
        phase: null,
        path: 'domains[0].plugins[2].phase',
        code: 'ERR_DYNACODE_DOCUMENT',
        message: expect.stringContaining('nowhere'),
        line: null,
        column: null,
        kept_last_good: false,
      },
    ])
    expect(plugins).toMatchObject({
      total: 3,
      states: { live: 1, last_good: 1, refused: 1, guarded: 0 },
      breakers: { closed: 3, open: 0, half_open: 0 },
      notable: [
        { name: 'broken', state: 'last_good' },
        { name: 'lost', state: 'refused' },
      ],
      notable_left_out: 0,
    })
  })

  test('refuses a document as a whole, and stays so until the source has the live one again', async () => {
    const { receiver, dyna, api } = await setUp({ document: document(1, fine) })
    await dyna.refresh()
    await receiver.got(1)
    const good = dyna.status().sha1
    api.answer({ body: { general: { version: 2 }, domains: 'none' }, headers: { ETag: '"two"' } })
    await dyna.refresh()
    const refused = await receiver.got(2)
    expect(refused).toMatchObject({
      occasions: ['refused'],
      active: { version: 1, sha1: good },
      attempted: {
        etag: '"two"',
        verdict: 'nack',
        reason: 'invalid',
        error: {
          code: 'ERR_DYNACODE_DOCUMENT',
          path: 'domains',
          message: expect.stringContaining('expected an array'),
        },
      },
      last_refresh: { result: 'invalid', error: { code: 'ERR_DYNACODE_DOCUMENT' } },
    })
    expect(refused.attempted?.sha1).not.toBe(good)

    api.answer({ status: 500 })
    await dyna.refresh()
    expect(await receiver.got(3)).toMatchObject({
      occasions: ['fetch'],
      attempted: { verdict: 'nack', reason: 'invalid' },
      last_refresh: { result: 'fetch', error: { code: 'ERR_DYNACODE_FETCH_STATUS', path: null } },
    })

    api.serve(document(1, fine))
    await dyna.refresh()
    expect(await receiver.got(4)).toMatchObject({
      occasions: ['recovered'],
      attempted: { version: 1, sha1: good, verdict: 'ack' },
      last_refresh: { result: 'unchanged', error: null },
    })
  })

  test('is not sent for the same trouble at every poll', async () => {
    const { receiver, dyna, api } = await setUp({ report_interval: 5 })
    await dyna.refresh()
    await receiver.got(1)
    api.answer({ body: '{' })
    for (let poll = 0; poll < 3; poll += 1) await dyna.refresh()
    await receiver.got(2)
    await dyna.refresh()
    await wait(800)
    expect(receiver.reports.flatMap(({ occasions }) => occasions)).toEqual(['start', 'update', 'refused'])
  })

  test('counts what the plugins did: those that fail, then the busiest', async () => {
    const { receiver, dyna } = await setUp({
      breaker_failures: 0,
      document: document(
        1,
        plugin('access', 'if (ctx.path !== "/rare") return; ', { name: 'calm' }),
        plugin('access', 'throw 1', { name: 'failing' }),
        plugin('access', 'exit(403)', { name: 'trying', mode: 'shadow' }),
        plugin('access', 'exit(204)', { name: 'ending', when: { paths: '/end' } }),
      ),
    })
    await dyna.refresh()
    const request = await serveBehind(dyna)
    for (const path of ['/', '/', '/end']) await request.get(path)
    const { counters } = await receiver.saw((report) => report.counters.plugins.length === 4)
    const times = { sync_ms: expect.any(Number), p50_ms: expect.any(Number), p99_ms: expect.any(Number) }
    const buckets = (calls: number) =>
      expect.toSatisfy(
        (counts: number[]) => counts.length === 13 && counts.reduce((sum, count) => sum + count) === calls,
      )
    const shadow = { shadow_runs: 0, shadow_exits: 0, shadow_changes: 0, shadow_errors: 0 }
    const row = {
      domain: '*',
      phase: 'access',
      errors: 0,
      errors_closed: 0,
      exits: 0,
      ...shadow,
      ...times,
      last_error: null,
    }
    const tried = { calls: 0, shadow_runs: 3, shadow_exits: 3, sync_ms: 0, p50_ms: null, p99_ms: null }
    expect(counters.plugins).toEqual([
      { ...row, name: 'failing', calls: 3, errors: 3, buckets: buckets(3), last_error: expect.any(Object) },
      { ...row, name: 'calm', calls: 3, buckets: buckets(3) },
      { ...row, ...tried, name: 'trying', buckets: buckets(0) },
      { ...row, name: 'ending', calls: 1, exits: 1, buckets: buckets(1) },
    ])
    expect(counters.bounds_ms).toHaveLength(12)
    expect(counters).toMatchObject({
      events: { rt_plugins_error: 3, bg_updated_plugins: 1 },
      refreshes: { updated: 1 },
      errors: {},
      plugins_left_out: 0,
    })
  })

  test('comes when a rollout stops itself, with the counts of both groups', async () => {
    const rollout = { percent: 50, by: 'header:x-user', stop_when: { error_rate: 0.1, min_runs: 7 } }
    const { receiver, dyna } = await setUp({
      breaker_failures: 0,
      document: document(
        1,
        plugin('access', 'throw 1', { name: 'bad', rollout }),
        plugin('access', '', { name: 'good', rollout }),
        plugin('access', '', { name: 'unguarded', rollout: { percent: 50 } }),
      ),
    })
    await dyna.refresh()
    const request = await serveBehind(dyna)
    for (let user = 0; user < 20; user += 1) await request.get('/').set('X-User', `${user}`).expect(200)
    const { rollouts, plugins } = await receiver.saw(({ occasions }) => occasions.includes('rollout'))
    expect(rollouts).toMatchObject({
      guarded: [
        { name: 'bad', percent: 0, stopped: { condition: 'error_rate', limit: 0.1 }, inside: { runs: 7, errors: 7 } },
        { name: 'good', percent: 50, stopped: null, inside: { errors: 0 } },
      ],
      left_out: 0,
    })
    const [, good] = rollouts.guarded
    expect(good?.inside?.requests).toBeGreaterThan(0)
    expect(good?.control?.requests).toBeGreaterThan(0)
    expect(plugins.states).toMatchObject({ live: 2, stopped: 1 })
    expect(plugins.notable).toMatchObject([{ name: 'bad', state: 'stopped' }])
  })

  test('has the last error of each plugin, with its place in the code, and nothing of the request in it', async () => {
    const { receiver, dyna } = await setUp({
      breaker_failures: 0,
      document: document(
        1,
        plugin('access', '\nthrow new Error("no user " + ctx.query.user + " of " + ctx.get("x-shop"))', {
          name: 'own',
        }),
        plugin('access', 'const users = {}\nusers[ctx.query.user].name', { name: 'reads' }),
        plugin('access', 'JSON.parse(ctx.query.user)', { name: 'parses' }),
        plugin('access', 'throw ctx.query.user', { name: 'throws' }),
        plugin('access', 'for (;;);', { name: 'endless', budget_ms: 5 }),
        plugin('access', 'ctx.nothing()', { name: 'closed', on_failure: 'closed' }),
      ),
    })
    await dyna.refresh()
    const request = await serveBehind(dyna)
    await request.get('/?user=hunter2%20s3cret').set('X-Shop', 'hats4all').expect(503)
    const { counters } = await receiver.saw((report) => report.counters.plugins.length === 6)
    const errors = Object.fromEntries(counters.plugins.map(({ name, last_error }) => [name, last_error]))
    const at = expect.any(Number)
    const open = { at, code: null, column: expect.any(Number), outcome: 'open' }
    expect(errors).toEqual({
      own: { ...open, line: 2, message: 'Error: no user … of …' },
      reads: { ...open, line: 2, message: "TypeError: Cannot read properties of undefined (reading 'name')" },
      parses: {
        ...open,
        line: 1,
        message: expect.stringMatching(/^SyntaxError: Unexpected token '…', "….* is not valid JSON$/),
      },
      throws: { ...open, line: null, column: null, message: 'string: …' },
      endless: { ...open, line: 1, code: 'ERR_DYNACODE_BUDGET', message: expect.stringContaining('5 ms') },
      closed: { ...open, line: 1, outcome: 'closed', message: 'TypeError: ctx.nothing is not a function' },
    })
    expect(JSON.stringify(receiver.reports)).not.toMatch(/hunter2|s3cret|hats4all/)
    expect(counters.plugins.find(({ name }) => name === 'closed')).toMatchObject({ errors: 1, errors_closed: 1 })
  })

  test('comes when a breaker opens, a switch is thrown, a plugin or the document expires', async () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(0)
    const expires = new Date(Date.now() + 1500).toISOString()
    const { receiver, dyna } = await setUp({
      report_interval: 60,
      breaker_failures: 1,
      document: {
        general: { version: 1, expires },
        ...everywhere([plugin('access', 'throw 1'), plugin('log', '', { expires_at: expires })]),
      },
    })
    try {
      await dyna.refresh()
      const of = (occasion: 'update' | 'breaker' | 'switch') =>
        receiver.saw(({ occasions }) => occasions.includes(occasion))
      await of('update')
      await (await serveBehind(dyna)).get('/')
      expect(await of('breaker')).toMatchObject({
        occasions: ['breaker'],
        plugins: { breakers: { open: 1 }, notable: [{ breaker: 'open', retry_at: expect.any(Number) }] },
      })
      dyna.disable()
      expect(await of('switch')).toMatchObject({ occasions: ['switch'], disabled: true })
      const last = await receiver.saw(({ stale }) => stale)
      expect(last).toMatchObject({ plugins: { states: { expired: 1 } } })
      expect([...last.occasions].sort()).toEqual(['expired', 'stale'])
    } finally {
      random.mockRestore()
    }
  })

  test('carries what is configured, and asks anew for it after 401', async () => {
    const given: boolean[] = []
    const { receiver } = await setUp({
      report_headers: async ({ renew }) => {
        given.push(renew)
        return { Authorization: renew ? 'Bearer new' : 'Bearer old' }
      },
    })
    receiver.answer((response, request) => {
      response.writeHead(request.headers.authorization === 'Bearer new' ? 200 : 401).end()
    })
    await receiver.got(2)
    expect(given).toEqual([false, true])
    expect(receiver.reports.map(({ sequence }) => sequence)).toEqual([1, 1])
  })

  test('is not sent where no report_uri is given, and nobody listens to the runs then', () => {
    const { events } = createInstance({ plugin_api_uri: 'http://127.0.0.1:1/' })
    expect((events.eventNames() as string[]).filter((name) => name !== 'newListener')).toEqual([])
  })
})

describe('a receiver that', () => {
  /** What became of reports that a receiver like this gets. */
  async function afterFailures(
    break_it: Parameters<Awaited<ReturnType<typeof startReceiver>>['answer']>[0],
    hangs = false,
  ) {
    const errors: unknown[] = []
    const running = await setUp({
      report_interval: 0.2,
      report_timeout: hangs ? 0.5 : 60,
      on_error: ({ section, error }) => errors.push([section, (error as Error).message]),
    })
    const { receiver, dyna, api } = running
    receiver.answer(break_it)
    for (let version = 1; version <= 5; version += 1) {
      api.serve(document(version))
      expect(await dyna.refresh()).toMatchObject({ updated: true, version })
      await wait(60)
    }
    await receiver.got(3)
    receiver.answer((response) => response.writeHead(200).end('{}'))
    const count = receiver.reports.length
    const back = await receiver.got(count + 1)
    expect(back.active?.version).toBe(5)
    expect(back.occasions).toEqual(expect.arrayContaining(['start', 'update']))
    // Told once, however often it failed.
    expect(errors).toHaveLength(1)
    return errors[0] as [string, string]
  }

  test.each<[string, Parameters<typeof afterFailures>[0], RegExp]>([
    ['answers 500', (response) => response.writeHead(500).end('no'), /answered 500, expected 200 to 299$/],
    [
      'redirects',
      (response) => response.writeHead(307, { Location: 'http://127.0.0.1:1/' }).end(),
      /answered 307, expected 200 to 299$/,
    ],
    ['hangs', () => undefined, /did not answer within 0\.5 s$/],
    ['resets the connection', (response) => response.socket?.destroy(), /cannot be reached: /],
    ['answers what is no HTTP', (response) => response.socket?.end('hello\r\n\r\n'), /cannot be reached: /],
  ])('%s gets the newest report once it is well again', async (name, break_it, message) => {
    expect(await afterFailures(break_it, name === 'hangs')).toEqual(['report', expect.stringMatching(message)])
  })

  test.each<[string, Parameters<Awaited<ReturnType<typeof startReceiver>>['answer']>[0]]>([
    [
      'answers without end',
      (response) => {
        const more = () => {
          while (!response.destroyed && response.write('x'.repeat(65536)));
        }
        response.writeHead(200).on('drain', more)
        more()
      },
    ],
    ['answers 200 and never ends it', (response) => void response.writeHead(200).write('x')],
    ['answers what is no JSON', (response) => response.writeHead(200).end('\0<html>')],
  ])('%s has taken the report', async (_, answer) => {
    const errors: unknown[] = []
    const { receiver } = await setUp({
      report_interval: 0.2,
      report_timeout: 1,
      on_error: (error) => errors.push(error),
    })
    receiver.answer(answer)
    await receiver.got(3)
    expect(receiver.reports.map(({ occasions }) => occasions)).toEqual([['start'], ['interval'], ['interval']])
    expect(errors).toEqual([])
  })

  test('asks to be left alone is', async () => {
    const { receiver, dyna, api } = await setUp({ report_interval: 0.2 })
    receiver.answer((response) => response.writeHead(503, { 'Retry-After': '1' }).end())
    await receiver.got(1)
    const asked = Date.now()
    api.serve(document(2))
    await dyna.refresh()
    await receiver.got(2)
    expect(Date.now() - asked).toBeGreaterThan(950)
  })

  test('is not there costs requests nothing, and is told of once', async () => {
    const errors: unknown[] = []
    const { dyna } = await setUp({
      report_uri: 'http://127.0.0.1:1/?token=hunter2',
      report_interval: 0.05,
      on_error: ({ section, error }) => errors.push(`${section} ${error}`),
    })
    await dyna.refresh()
    const request = await serveBehind(dyna)
    await request.get('/').expect(200, 'app')
    await wait(500)
    expect(errors).toEqual([
      expect.stringMatching(/^report .*127\.0\.0\.1:1\/ \(report_uri\) cannot be reached: .*ECONNREFUSED/),
    ])
  })

  test.each<[string, unknown, RegExp]>([
    [
      'fails',
      () => {
        throw new Error('no token')
      },
      /report_headers\(\) failed: no token/,
    ],
    ['gives none', async () => 'Bearer hunter2', /report_headers\(\): expected an object, got a string/],
    ['never ends', () => new Promise(() => undefined), /did not answer within 0\.1 s/],
  ])('needs headers whose function %s gets nothing, and that is told', async (_, report_headers, message) => {
    const errors: unknown[] = []
    const { receiver } = await setUp({
      report_timeout: 0.1,
      report_headers: report_headers as never,
      on_error: ({ error }) => errors.push(error),
    })
    await expect
      .poll(() => errors)
      .toMatchObject([{ code: 'ERR_DYNACODE_REPORT', message: expect.stringMatching(message) }])
    expect(receiver.reports).toEqual([])
  })
})

describe('close()', () => {
  test('sends a last report, and nothing after it', async () => {
    const { receiver, dyna } = await setUp({ report_interval: 0.2 })
    await dyna.refresh()
    await receiver.got(1)
    dyna.disable()
    await dyna.close()
    expect(receiver.reports.at(-1)).toMatchObject({ closing: true, occasions: ['switch', 'close'], active: {} })
    const count = receiver.reports.length
    dyna.enable()
    await wait(400)
    expect(receiver.reports).toHaveLength(count)
  })

  test('breaks off a report that is under way', async () => {
    const { receiver, dyna } = await setUp({ report_interval: 0.2, report_timeout: 60 })
    await receiver.got(1)
    let gone = false
    receiver.answer((response, request) => {
      if (receiver.reports.at(-1)?.closing) return response.writeHead(204).end()
      return request.socket.once('close', () => {
        gone = true
      })
    })
    await receiver.got(2)
    await dyna.close()
    expect(receiver.reports.at(-1)).toMatchObject({ closing: true })
    await expect.poll(() => gone).toBe(true)
  })

  test('does not wait for a receiver that was not there the last time, or was never asked', async () => {
    const { receiver, dyna } = await setUp({ report_interval: 0.1 })
    receiver.answer((response) => response.writeHead(500).end())
    await receiver.got(1)
    await wait(20)
    await dyna.close()
    const early = await setUp()
    await early.dyna.close()
    await wait(300)
    expect([receiver, early.receiver].map(({ reports }) => reports.some(({ closing }) => closing))).toEqual([
      false,
      false,
    ])
  })

  test('waits at most a second for one that hangs', async () => {
    const { receiver, dyna } = await setUp({ report_timeout: 60 })
    await receiver.got(1)
    await wait(50)
    receiver.answer(() => undefined)
    const closed = dyna.close()
    expect(await Promise.race([closed.then(() => 'closed'), wait(30_000, 'waits')])).toBe('closed')
  })
})

describe('the size of a report', () => {
  test('stays below 64 KiB with 10 000 plugins of long names that are refused, failing and busy', async () => {
    const long = (index: number) => `${index}${'\u0001"é'.repeat(340)}`
    const plugins = Array.from({ length: 10_000 }, (_, index) =>
      plugin('access', index % 2 === 0 ? '}' : 'throw 1', { name: index < 200 ? long(index) : `p${index}` }),
    )
    const { receiver, dyna } = await setUp({
      document: { general: { version: 'v'.repeat(2000) }, ...everywhere(plugins) },
      breaker_failures: 1,
      report_interval: 1,
      report_name: '\u0001'.repeat(200),
    })
    await dyna.refresh()
    await (await serveBehind(dyna)).get('/').set('Host', 'a.test')
    const report = await receiver.saw(({ counters }) => counters.plugins.length > 0)
    expect(report.plugins.total).toBe(10_000)
    expect(report.plugins).toMatchObject({ states: { refused: 5000, live: 5000 }, breakers: { open: 5000 } })
    const { attempted, plugins: seen, counters } = report as Report & { attempted: object }
    expect(attempted?.refused.length ?? 0).toBeGreaterThan(0)
    expect((attempted?.refused.length ?? 0) + (attempted?.refused_left_out ?? 0)).toBe(5000)
    expect(seen.notable.length + seen.notable_left_out).toBe(10_000)
    expect(counters.plugins_left_out).toBeGreaterThan(900)
    for (const body of receiver.bodies) expect(Buffer.byteLength(body)).toBeLessThan(64 * 1024)
  })
})
