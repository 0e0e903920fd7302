import { EventEmitter } from 'node:events'
import type { Context } from 'koa'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { readStopWhen, type StopWhen } from '../../../lib/matching/stop-when.ts'
import { createRolloutWatch } from '../../../lib/request/rollout/watch.ts'
import { createTestClock } from '../../../lib/testing/manual-clock.ts'
import { burn } from '../../fixtures/own-clock.ts'

vi.mock(import('../../../lib/time/steady-clock.ts'), async () => {
  const { ownNow } = await import('../../fixtures/own-clock.ts')
  return { steadyNow: ownNow }
})

const stopped = vi.fn()
beforeEach(() => stopped.mockClear())

function watch(stop_when: StopWhen) {
  const clock = createTestClock(0)
  const watched = createRolloutWatch(readStopWhen(stop_when, Number.POSITIVE_INFINITY), clock, stopped)
  watched.begin()
  return { ...watched, clock }
}

/** A request and its response, as far as anybody looks at them here. */
function createRequest() {
  const res = Object.assign(new EventEmitter(), {
    statusCode: 200,
    headersSent: false,
    writableFinished: false,
    destroyed: false,
  })
  const end = (status: number, { sent = true, finished = true } = {}) => {
    Object.assign(res, { statusCode: status, headersSent: sent, writableFinished: finished })
    res.emit('close')
  }
  return { ctx: { res } as unknown as Context, res, end }
}

type Watched = ReturnType<typeof watch>

/** A request of one of both groups that takes so long; its plugin runs if it is in the rollout. */
function pass(watched: Watched, is_inside: boolean, status = 200, took_ms = 1) {
  const { ctx, end } = createRequest()
  watched.met(ctx, is_inside)
  if (is_inside) watched.ran(ctx, 'done', undefined, false)
  burn(took_ms)
  end(status)
}

describe('what is counted of responses', () => {
  const rule = { status_5xx_rate: { above_control: 0.05 } }

  test('is each one once, in its group, however often its rollout is asked', () => {
    const watched = watch(rule)
    const { ctx, end } = createRequest()
    watched.met(ctx, true)
    watched.met(ctx, true)
    watched.ran(ctx, 'done', undefined, false)
    end(502)
    pass(watched, false)
    expect(watched.counts()).toMatchObject({
      inside: { responses: 1, status_5xx: 1, runs: 1 },
      control: { requests: 1, responses: 1, status_5xx: 0 },
    })
  })

  test('is none that the plugin was chosen for and did not run', () => {
    const watched = watch(rule)
    const { ctx, end } = createRequest()
    watched.met(ctx, true)
    end(500)
    expect(watched.counts().inside).toMatchObject({ requests: 1, responses: 0, status_5xx: 0 })
  })

  test('is none of which the client has seen nothing', () => {
    const watched = watch(rule)
    const { ctx, end } = createRequest()
    watched.met(ctx, false)
    end(500, { sent: false, finished: false })
    expect(watched.counts().control).toMatchObject({ requests: 1, responses: 0 })
  })

  test('is none that was over before the plugin ran', () => {
    const watched = watch(rule)
    const { ctx, res } = createRequest()
    Object.assign(res, { writableFinished: true })
    watched.met(ctx, true)
    expect(res.listenerCount('close')).toBe(0)
  })

  test('goes to each of several rollouts that the request met', () => {
    const [one, other] = [watch(rule), watch(rule)]
    const { ctx, res, end } = createRequest()
    one.met(ctx, false)
    other.met(ctx, true)
    other.ran(ctx, 'done', undefined, false)
    expect(res.listenerCount('close')).toBe(1)
    end(503)
    expect(one.counts().control.status_5xx).toBe(1)
    expect(other.counts().inside.status_5xx).toBe(1)
  })

  test('is nothing where no condition asks for it, and costs no listener', () => {
    const watched = watch({ error_rate: 0.1 })
    const { ctx, res } = createRequest()
    watched.met(ctx, false)
    expect(res.listenerCount('close')).toBe(0)
  })
})

describe('p99_ms above the control group', () => {
  const rule = { p99_ms: { above_control: 10 } }

  test('stops a rollout whose requests take so much longer', () => {
    const watched = watch(rule)
    for (let request = 0; request < 400; request += 1) pass(watched, request % 4 === 0, 200, request % 4 === 0 ? 40 : 5)
    expect(stopped).toHaveBeenCalledTimes(1)
    expect(stopped.mock.calls[0]).toMatchObject([
      { condition: 'p99_ms', limit: 10, above_control: true, at: 0 },
      { control: { slow_responses: 0 } },
    ])
    const slow_responses = stopped.mock.calls[0]?.[1].inside.slow_responses
    expect(slow_responses).toBeGreaterThan(10)
    expect(slow_responses).toBeLessThan(30)
  })

  test('does not stop one that takes a little longer, nor one that is slow while all are', () => {
    const watched = watch(rule)
    for (let request = 0; request < 1000; request += 1) {
      const [inside, slow] = [request % 4 === 0, request % 400 > 350 ? 200 : 0]
      pass(watched, inside, 200, slow + (inside ? 12 : 5))
    }
    expect(stopped).not.toHaveBeenCalled()
  })

  test('knows nothing before it has seen 128 of the control group', () => {
    const watched = watch(rule)
    for (let request = 0; request < 127; request += 1) pass(watched, false, 200, 5)
    for (let request = 0; request < 100; request += 1) pass(watched, true, 200, 500)
    expect(watched.counts().inside).toMatchObject({ responses: 100, slow_responses: 0 })
    expect(stopped).not.toHaveBeenCalled()
  })
})

describe('a watch', () => {
  const { ctx } = createRequest()
  const run = (watched: Watched, outcome: 'done' | 'failed', count: number) => {
    for (let each = 0; each < count; each += 1) watched.ran(ctx, outcome, undefined, false)
  }

  test.each([
    ['what went well within the window counts', 0, 200],
    ['what went well before the last window does not', 2, 20],
  ])('looks back for a window: %s', (_, windows, at_most) => {
    const watched = watch({ error_rate: 0.2, window: '1m' })
    run(watched, 'done', 2000)
    for (let half = 1; half <= windows * 2; half += 1) {
      watched.clock.set(half * 30_000)
      run(watched, 'done', 1)
    }
    let failed = 0
    while (watched.stop() === null && failed < 2000) {
      run(watched, 'failed', 1)
      failed += 1
    }
    if (windows === 0) expect(failed).toBeGreaterThan(at_most)
    else expect(failed).toBeLessThanOrEqual(at_most)
  })

  test('is over once it has stopped: later runs are not counted, and it stops once', () => {
    const watched = watch({ error_rate: 0.05, exit_rate: 0.05 })
    run(watched, 'failed', 40)
    expect(stopped).toHaveBeenCalledTimes(1)
    expect(watched.counts().inside).toMatchObject({ runs: 20, errors: 20 })
  })

  test('times no run where nothing is asked of the time, and otherwise the first thousand, then some', () => {
    const timed = (stop_when: StopWhen) => {
      const watched = watch(stop_when)
      return Array.from({ length: 3000 }, () => watched.isTimed()).filter(Boolean).length
    }
    expect(timed({ error_rate: 0.1 })).toBe(0)
    expect(timed({ p99_ms: { above_control: 5 } })).toBe(0)
    expect(timed({ p99_ms: 5 })).toBe(1000 + 2000 / 8)
  })

  test('times many runs after a slow one', () => {
    const watched = watch({ p99_ms: 5 })
    for (let each = 0; each < 2000; each += 1) watched.isTimed()
    watched.ran(ctx, 'done', 6, false)
    expect(Array.from({ length: 150 }, () => watched.isTimed())).toEqual(Array(150).fill(true))
  })

  test('stops to turn its window when its plugin ends', () => {
    const clock = createTestClock(0)
    const at = vi.fn(clock.at)
    const watched = createRolloutWatch(readStopWhen({ error_rate: 0.1 }, 1000), { ...clock, at }, stopped)
    expect(at).not.toHaveBeenCalled()
    watched.begin()
    watched.begin()
    expect(at).toHaveBeenCalledTimes(1)
    watched.end()
    clock.set(10_000)
    expect(at).toHaveBeenCalledTimes(1)
  })
})
