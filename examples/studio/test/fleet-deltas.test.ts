import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dynacode } from 'dynacode'
import { describe, expect, test } from 'vitest'
import { BOUNDS_MS, estimateQuantile, findDeltas } from '../server/fleet/deltas.ts'
import { judge, summarize } from '../server/fleet/summary.ts'
import type { Report } from '../shared/fleet.ts'
import { REPORT } from '../shared/report.ts'

const BEGUN = 1_760_000_000_000

function report(plugins: object[], more: object = {}): Report {
  return REPORT.parse({
    format: 1,
    instance: 'one',
    sequence: 1,
    host: 'web-1',
    pid: 7,
    closing: false,
    started_at: BEGUN,
    sent_at: BEGUN + 3_600_000,
    counters: { bounds_ms: [...BOUNDS_MS], plugins },
    ...more,
  })
}
const plugin = (calls: number, errors = 0, more: object = {}) => ({
  domain: '*',
  name: 'token',
  phase: 'access',
  calls,
  errors,
  errors_closed: errors,
  exits: 0,
  buckets: [calls],
  ...more,
})
const before = ({ started_at, counters }: Report) => ({ started_at, counters })

describe('what a process did between two reports', () => {
  test('is what its counters have grown by', () => {
    const deltas = findDeltas(before(report([plugin(100, 5)])), report([plugin(160, 15)]))
    expect(deltas).toMatchObject([{ name: 'token', calls: 60, errors: 10, errors_closed: 10, exits: 0 }])
    expect(deltas[0]?.buckets).toEqual([60, ...Array(12).fill(0)])
  })

  test('is nothing of a plugin that did not run', () => {
    expect(findDeltas(before(report([plugin(100)])), report([plugin(100)]))).toEqual([])
  })

  test('is all that it has counted where it has just started, or its counters began at 0 once more', () => {
    const young = { sent_at: BEGUN + 30_000 }
    expect(findDeltas(undefined, report([plugin(20)], young))).toMatchObject([{ calls: 20 }])
    const earlier = before(report([plugin(900)], { started_at: BEGUN - 1 }))
    expect(findDeltas(earlier, report([plugin(20)], young))).toMatchObject([{ calls: 20 }])
    expect(findDeltas(before(report([plugin(900)])), report([plugin(20)]))).toMatchObject([{ calls: 20 }])
  })

  test('is not known of a process, or a plugin, that was not heard of for long', () => {
    expect(findDeltas(undefined, report([plugin(900)]))).toEqual([])
    const full = report([], { counters: { bounds_ms: [], plugins: [], plugins_left_out: 3 } })
    expect(findDeltas(before(full), report([plugin(900)]))).toEqual([])
  })

  test('has no durations where a process counts them in other buckets', () => {
    const other = report([plugin(160)], { counters: { bounds_ms: [1, 2], plugins: [plugin(160)] } })
    expect(findDeltas(before(report([plugin(100)])), other)[0]?.buckets).toEqual(Array(13).fill(0))
  })
})

test('durations are estimated from buckets of many processes', () => {
  const buckets = [0, 0, 0, 0, 90, 0, 0, 0, 0, 10, 0, 0, 0]
  expect(estimateQuantile(0.5, buckets)).toBeCloseTo(0.25 + 0.75 * (50 / 90))
  expect(estimateQuantile(0.99, buckets)).toBeCloseTo(50 + 200 * 0.9)
  expect(estimateQuantile(0.5, Array(13).fill(0))).toBe(null)
})

test('the buckets are those that dynacode has', async () => {
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part) => parts.push(part))
    request.on('end', () => {
      response.end()
      server.emit('report', JSON.parse(Buffer.concat(parts).toString()))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const dyna = dynacode({ plugin_api_uri: uri, plugin_api_poll_at_init: false, report_uri: uri, report_interval: 0.2 })
  try {
    const [sent] = await once(server, 'report')
    expect(REPORT.parse(sent).counters?.bounds_ms).toEqual(BOUNDS_MS)
  } finally {
    await dyna.close()
    server.close()
    server.closeAllConnections()
  }
})

describe('a process', () => {
  const fine = { active: { version: 9 }, interval: 60 }
  const open = { total: 1, states: {}, breakers: { open: 1 }, notable: [] }
  const STOPPED = { condition: 'status_5xx_rate', limit: 0.02, above_control: true, at: BEGUN }
  const judged = (more: object, age_ms = 0) => {
    const summary = summarize(report([], { ...fine, ...more }))
    const closed = (more as { closing?: boolean }).closing ?? false
    const known = { id: 'one', host: 'web-1', pid: 7, closed, received_at: new Date(BEGUN - age_ms), summary }
    const { condition, text } = judge(known, 9, BEGUN)
    return `${condition}: ${text}`
  }

  test.each([
    [{}, 'good: healthy'],
    [{ attempted: { version: 9, verdict: 'nack' } }, 'bad: refused version 9'],
    [
      { attempted: { version: 9, verdict: 'partial', refused: [{ message: 'no' }] } },
      'bad: refused 1 part of version 9',
    ],
    [{ active: null }, 'bad: nothing loaded'],
    [{ stale: true }, 'bad: stale'],
    [{ plugins: open }, 'bad: 1 breaker open'],
    [{ canary: { percent: 0, stopped: STOPPED } }, 'bad: candidate document stopped'],
    [{ canary: { percent: 10, stopped: null } }, 'good: healthy'],
    [{ canary: null }, 'good: healthy'],
    [{ disabled: true }, 'warn: disabled in the app'],
    [{ active: { version: 9, enabled: false } }, 'warn: plugins are switched off'],
    [{ active: { version: 8 } }, 'warn: behind'],
    [{ closing: true, stale: true }, 'closed: closed'],
  ])('that reports %j is %s', (more, said) => {
    expect(judged(more)).toBe(said)
  })

  test('is silent after three of its intervals without a report', () => {
    expect([judged({ stale: true }, 180_000), judged({ stale: true }, 180_001)]).toEqual([
      'bad: stale',
      'silent: silent',
    ])
  })
})
