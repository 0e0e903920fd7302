import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { BOUNDS_MS } from '../server/fleet/deltas.ts'
import { createFleet, type Fleet } from '../server/fleet/fleet.ts'
import { MOST_PLUGINS, RINGS } from '../server/fleet/ring-tables.ts'
import { announce } from '../server/store/announcements.ts'
import { type Database, openDatabase } from '../server/store/database.ts'
import type { FleetChange } from '../shared/fleet.ts'
import { REPORT } from '../shared/report.ts'
import { databases } from './databases.ts'

const ada = { account_id: 1, name: 'Ada', role: 'publisher', csrf: undefined } as const
const MINUTE = 60_000

describe.each(databases)('a fleet in $name', ({ options }) => {
  /** Two studios; of the embedded database, twice the same. */
  let opened: Database[] = []
  let fleets: Fleet[] = []
  const failures: unknown[] = []
  let now = 0
  let heard = 0

  beforeAll(async () => {
    const given = await options()
    opened = [await openDatabase(given)]
    if ('url' in given) opened.push(await openDatabase(given))
    await db().insertInto('account').values({ name: 'Ada', role: 'publisher', password_hash: '' }).execute()
  })
  beforeEach(async () => {
    // Only the time: what is waited for is real.
    vi.useFakeTimers({ toFake: ['Date'] })
    pass(0)
    for (const table of ['instance', 'activity', 'plugin_error', 'live_processes'] as const) {
      await db().deleteFrom(table).execute()
    }
    const [first, second = first] = opened as [Database, Database | undefined]
    const failed = (error: unknown) => failures.push(error)
    fleets = [await createFleet(first, failed), await createFleet(second, failed)]
  })
  afterEach(async () => {
    for (const fleet of fleets) await fleet.close()
    vi.useRealTimers()
    expect(failures.splice(0)).toEqual([])
  })
  afterAll(async () => {
    for (const database of opened) await database.close()
  })

  const db = () => (opened[0] as Database).db
  const one = () => fleets[0] as Fleet
  const other = () => fleets[1] as Fleet
  function pass(ms: number): void {
    now = ms === 0 ? Date.UTC(2030, 0, 1, 12, 0, 30) : now + ms
    vi.setSystemTime(now)
  }
  /** Waits until every studio has heard of what was announced so far: announcements come in their order. */
  async function hearAll(): Promise<void> {
    heard += 1
    const last = `last of ${heard}`
    const all = opened.map(
      ({ listen }) =>
        new Promise<void>((resolve) => {
          const end = listen('studio_report', (id) => {
            if (id !== last) return
            end()
            resolve()
          })
        }),
    )
    await announce(db(), 'studio_report', last)
    await Promise.all(all)
  }
  async function refresh(): Promise<void> {
    await hearAll()
    for (const fleet of fleets) {
      await fleet.flush()
      await fleet.tidy()
      await fleet.view.refresh()
    }
  }
  const started = new Map<string, number>()
  /** A report of a process, taken by one of the studios. */
  function send(instance: string, sequence: number, more: object = {}, to = one()): Promise<void> {
    if (sequence === 1) started.set(instance, now)
    return to.take(
      ada,
      REPORT.parse({
        format: 1,
        instance,
        sequence,
        host: `host-${instance}`,
        pid: 7,
        closing: false,
        interval: 60,
        started_at: started.get(instance),
        sent_at: now,
        active: { version: 9 },
        ...more,
      }),
    )
  }
  const counted = (plugins: object[], more: object = {}) => ({
    counters: {
      bounds_ms: [...BOUNDS_MS],
      plugins: plugins.map((plugin) => ({ domain: '*', phase: 'access', ...plugin })),
    },
    ...more,
  })
  const publish = (version: number) =>
    db()
      .insertInto('version')
      .values({ version, kind: 'publish', message: `version ${version}`, document: '{"domains":[]}' })
      .execute()
  const names = (fleet: Fleet, is_gone = false) =>
    fleet.view.list({ is_gone, search: undefined }).map(({ id, condition }) => `${id} ${condition}`)

  test('says how many of those that report run what is live, and what is in trouble, in every studio alike', async () => {
    await publish(9)
    await announce(db(), 'studio_version', '9')
    await send('good', 1)
    await send('late', 1, { active: { version: 8 } }, other())
    await send('bad', 1, { attempted: { version: 9, verdict: 'nack' }, active: { version: 8 } })
    await send('gone', 1, { closing: true })
    await expect.poll(() => names(other())).toEqual(['bad bad', 'late warn', 'good good'])
    for (const fleet of fleets) {
      await fleet.view.refresh()
      expect(fleet.view.headline()).toEqual({
        version: 9,
        live: 3,
        on_version: 1,
        bad: 1,
        warn: 1,
        silent: 0,
        closed: 1,
      })
      expect(names(fleet, true)).toEqual(['gone closed'])
    }
    pass(4 * MINUTE)
    await send('good', 2)
    await refresh()
    for (const fleet of fleets) expect(names(fleet)).toEqual(['good good'])
    expect(names(one(), true)).toEqual(['bad silent', 'late silent', 'gone closed'])
  })

  test('forgets who is dismissed, who has closed for an hour, and who is silent for a day', async () => {
    for (const id of ['kept', 'dismissed', 'silent']) await send(id, 1)
    await send('closed', 1, { closing: true })
    pass(5 * MINUTE)
    await send('kept', 2)
    await one().dismiss(ada, ['dismissed'])
    await refresh()
    expect(names(other(), true)).toEqual(['silent silent', 'closed closed'])
    pass(61 * MINUTE)
    await send('new', 1)
    await refresh()
    expect(names(one(), true)).toEqual(['kept silent', 'silent silent'])
    pass(23 * 60 * MINUTE)
    await send('newer', 1)
    await refresh()
    expect(names(one(), true)).toEqual(['new silent'])
  })

  test('tells watchers of differences alone', async () => {
    const told: FleetChange[] = []
    await send('one', 1)
    await send('two', 1)
    await refresh()
    const end = one().view.watch((change) => told.push(change))
    for (let sequence = 2; sequence < 20; sequence += 1) await send('one', sequence)
    await send('two', 2, { stale: true })
    await expect.poll(() => told.flatMap(({ changed }) => changed)).toMatchObject([{ id: 'two', text: 'stale' }])
    expect(told).toMatchObject([{ headline: { live: 2, bad: 1 }, gone: [] }])
    end()
  })

  test('has the rates of the last minutes: of all processes together, across restarts, and not since they began', async () => {
    await send('a', 1, counted([{ name: 'token', calls: 0 }]))
    await send('b', 1, counted([{ name: 'token', calls: 0 }]))
    pass(MINUTE)
    await send('a', 2, counted([{ name: 'token', calls: 6000, exits: 60, buckets: [6000] }]))
    await send('b', 2, counted([{ name: 'token', calls: 3000, buckets: [3000] }]), other())
    await refresh()
    // 9,000 calls in the three minutes and a half.
    for (const fleet of fleets) {
      const { plugins } = await fleet.activity()
      expect(plugins).toMatchObject([{ name: 'token', calls: 42.86, exits: 0.2857, errors: 0, condition: 'good' }])
    }
    pass(MINUTE)
    // It has ended without a word, and another one began in its place.
    await send('a2', 1, counted([{ name: 'token', calls: 0 }]))
    pass(MINUTE)
    await send('a2', 2, counted([{ name: 'token', calls: 600, buckets: [600] }]))
    await refresh()
    expect((await one().activity()).plugins[0]?.calls).toBeCloseTo(9600 / 210, 1)
    pass(10 * MINUTE)
    expect((await one().activity()).plugins).toEqual([])
  })

  test('shows a plugin that answers 503 to everybody first, with its last error, line and time', async () => {
    const error = { message: 'TypeError: x is not a function', line: 4, column: 2, outcome: 'closed' }
    await send(
      'a',
      1,
      counted([
        { name: 'busy', calls: 0 },
        { name: 'guard', calls: 0 },
      ]),
    )
    pass(MINUTE)
    const last_error = { ...error, at: now - 2000 }
    const counters = counted([
      { name: 'busy', calls: 9000, errors: 9, buckets: [9000] },
      { name: 'guard', calls: 60, errors: 60, errors_closed: 60, last_error },
      { name: 'quiet', calls: 600 },
    ])
    await send('a', 2, counters)
    await refresh()
    const { plugins } = await other().activity()
    expect(plugins.map(({ name, condition, text }) => `${name} ${condition}: ${text}`)).toEqual([
      'guard bad: answers 503 to 100 % of requests',
      'busy warn: 1 % of runs fail',
      'quiet good: healthy',
    ])
    const at = new Date(now - 2000).toISOString()
    expect(plugins[0]?.last_error).toEqual({ ...error, code: null, at, host: 'host-a', pid: 7 })
  })

  test('shows plugins that do not run because something is wrong, and those that are switched off', async () => {
    const notable = (more: object[]) => ({
      plugins: {
        total: 3,
        states: {},
        breakers: {},
        notable: more.map((each) => ({ domain: '*', phase: 'access', ...each })),
      },
    })
    const off = { name: 'off', state: 'disabled' }
    await send(
      'a',
      1,
      notable([{ name: 'open', state: 'live', breaker: 'open' }, { name: 'broken', state: 'refused' }, off]),
    )
    await send('b', 1, notable([off]))
    await refresh()
    const { plugins } = await one().activity()
    expect(plugins.map(({ name, condition, text, is_off }) => [name, condition, text, is_off])).toEqual([
      ['broken', 'bad', 'refused in 1 of 2 processes', false],
      ['open', 'bad', 'breaker open in 1 of 2 processes', false],
      ['off', 'good', 'switched off', true],
    ])
  })

  test('keeps an hour and a day of it, in bounded rings, with the versions that went live', async () => {
    await publish(10)
    await send('a', 1, counted([{ name: 'token', calls: 0 }]))
    for (let minute = 1; minute <= 3; minute += 1) {
      pass(MINUTE)
      await send(
        'a',
        minute + 1,
        counted([{ name: 'token', calls: minute * 600, errors: minute * 60, buckets: [minute * 600] }]),
      )
    }
    await refresh()
    pass(MINUTE)
    for (const plugin of [undefined, { domain: '*', name: 'token', phase: 'access' }]) {
      const chart = await other().chart('hour', plugin)
      expect(chart.points.map(({ calls }) => calls)).toEqual([5, 10, 10, 5])
      expect(chart.points[1]).toMatchObject({ errors: 1, exits: 0, p50_ms: 0.005 })
      expect(chart.step_seconds * RINGS.hour.slots).toBe(3600)
    }
    expect((await one().chart('hour', undefined)).marks.map(({ version }) => version)).toBeInstanceOf(Array)
    pass(20 * MINUTE)
    expect((await one().chart('day', undefined)).points).toMatchObject([{ calls: 2 }])
    const rows = () => db().selectFrom('activity').select('slot').execute()
    expect(await rows()).not.toEqual([])
    pass(26 * 60 * MINUTE)
    await one().tidy()
    expect(await rows()).toEqual([])
  })

  test('G56 reporter | reports | takes up no more room than the rings have, whatever names are reported', async () => {
    for (let turn = 0; turn < 4; turn += 1) {
      const plugins = Array.from({ length: 900 }, (_, at) => ({ name: `${turn} ${at}`, calls: 1 }))
      await send(`a${turn}`, 1, counted(plugins))
      await one().flush()
    }
    const { rows } = await db()
      .selectFrom('activity')
      .select(({ fn }) => fn.countAll().as('rows'))
      .executeTakeFirstOrThrow()
    expect(Number(rows)).toBeLessThanOrEqual(2 * (2 * MOST_PLUGINS + 1))
    const [whole] = await db()
      .selectFrom('activity')
      .select('calls')
      .where('name', '=', '')
      .where('step', '=', 60)
      .execute()
    expect(whole?.calls).toBe(3600)
  })
})
