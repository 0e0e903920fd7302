import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createStaleness, type Staleness } from '../../lib/background/staleness.ts'

// It goes as the fake timers do.
vi.mock('../../lib/time/steady-clock.ts', () => ({ steadyNow: () => performance.now() }))

const MINUTE = 60_000
const DAY = 86_400_000
let staleness: Staleness | undefined

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'], now: Date.now() })
})

afterEach(() => {
  staleness?.close()
  vi.useRealTimers()
})

function create(max_stale_ms: number): { judge: Staleness; told: string[] } {
  const told: string[] = []
  const judge = createStaleness(max_stale_ms, ({ reason }) => told.push(reason))
  staleness = judge
  return { judge, told }
}

test('that expires between two looks at the clock is told of all the same', async () => {
  const { judge, told } = create(Number.POSITIVE_INFINITY)
  const expires = Date.now() + 1000
  const now = vi
    .spyOn(Date, 'now')
    .mockReturnValueOnce(expires - 1)
    .mockReturnValue(expires)
  judge.activated(expires)
  await vi.advanceTimersByTimeAsync(1)
  now.mockRestore()
  expect(told).toEqual(['expired'])
})

describe('a document that was not found current for too long', () => {
  test('is stale from then on, and that is told once', async () => {
    const { judge, told } = create(MINUTE)
    judge.activated(undefined)
    judge.validated(Date.now())
    await vi.advanceTimersByTimeAsync(MINUTE - 1)
    expect([judge.isStale(), told]).toEqual([false, []])
    await vi.advanceTimersByTimeAsync(1)
    expect([judge.isStale(), told]).toEqual([true, ['age']])
    await vi.advanceTimersByTimeAsync(DAY)
    expect([judge.isStale(), told]).toEqual([true, ['age']])
  })

  test('is not stale any more once it is found current, and is told of again the next time', async () => {
    const { judge, told } = create(MINUTE)
    judge.activated(undefined)
    for (let times = 1; times <= 3; times += 1) {
      judge.validated(Date.now())
      expect(judge.isStale()).toBe(false)
      await vi.advanceTimersByTimeAsync(MINUTE)
      expect([judge.isStale(), told]).toEqual([true, Array(times).fill('age')])
    }
  })

  test('is stale as soon as it is live where it was found current too long ago', () => {
    const { judge, told } = create(MINUTE)
    judge.activated(undefined)
    judge.validated(Date.now() - MINUTE)
    expect([judge.isStale(), told]).toEqual([true, ['age']])
  })

  test('counts from when it went live where nobody ever found it current', async () => {
    const { judge, told } = create(MINUTE)
    judge.activated(undefined)
    await vi.advanceTimersByTimeAsync(MINUTE - 1)
    expect(judge.isStale()).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect([judge.isStale(), told]).toEqual([true, ['age']])
  })

  test('never is where there is no limit', async () => {
    const { judge, told } = create(Number.POSITIVE_INFINITY)
    judge.activated(undefined)
    judge.validated(0)
    await vi.advanceTimersByTimeAsync(1000 * DAY)
    expect([judge.isStale(), told]).toEqual([false, []])
  })

  test('is judged by how much time has passed, not by what the wall clock was set to', async () => {
    const { judge } = create(MINUTE)
    judge.activated(undefined)
    judge.validated(Date.now())
    vi.setSystemTime(Date.now() + DAY)
    expect(judge.isStale()).toBe(false)
    vi.setSystemTime(Date.now() - 2 * DAY)
    await vi.advanceTimersByTimeAsync(MINUTE)
    expect(judge.isStale()).toBe(true)
  })
})

describe('a document that is past its own end', () => {
  test('is stale, however often it is found current', async () => {
    const { judge, told } = create(MINUTE)
    judge.activated(Date.now() + 1000)
    judge.validated(Date.now())
    await vi.advanceTimersByTimeAsync(999)
    expect([judge.isStale(), told]).toEqual([false, []])
    await vi.advanceTimersByTimeAsync(1)
    expect([judge.isStale(), told]).toEqual([true, ['expired']])
    judge.validated(Date.now())
    await vi.advanceTimersByTimeAsync(DAY)
    expect([judge.isStale(), told]).toEqual([true, ['expired']])
  })

  test('is so from the start, where it is', () => {
    const { judge, told } = create(Number.POSITIVE_INFINITY)
    judge.activated(Date.now() - 1)
    expect([judge.isStale(), told]).toEqual([true, ['expired']])
  })

  test('is not stale any more once there is a new one', async () => {
    const { judge, told } = create(Number.POSITIVE_INFINITY)
    judge.activated(Date.now() + 1000)
    await vi.advanceTimersByTimeAsync(2000)
    judge.activated(Date.now() + 1000)
    expect(judge.isStale()).toBe(false)
    await vi.advanceTimersByTimeAsync(1000)
    expect([judge.isStale(), told]).toEqual([true, ['expired', 'expired']])
    judge.activated(undefined)
    expect(judge.isStale()).toBe(false)
  })

  test.each([100 * DAY, 1e15])('in %d ms, more than a timer can wait, is not stale before', async (ms) => {
    const { judge, told } = create(Number.POSITIVE_INFINITY)
    judge.activated(Date.now() + ms)
    await vi.advanceTimersByTimeAsync(99 * DAY)
    expect([judge.isStale(), told]).toEqual([false, []])
    if (ms > 100 * DAY) return
    await vi.advanceTimersByTimeAsync(DAY)
    expect([judge.isStale(), told]).toEqual([true, ['expired']])
  })
})

test('nothing is told after closing', async () => {
  const { judge, told } = create(MINUTE)
  judge.activated(Date.now() + 1000)
  judge.validated(Date.now())
  judge.close()
  await vi.advanceTimersByTimeAsync(DAY)
  judge.activated(0)
  expect(told).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})
