import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createTokenBucket } from '../../lib/time/token-bucket.ts'

// It goes as the fake timers do.
vi.mock('../../lib/time/steady-clock.ts', () => ({ steadyNow: () => performance.now() }))

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

test('lets so many through at once, and then so many a second', () => {
  const bucket = createTokenBucket(3, 10)
  expect([1, 2, 3, 4, 5].map(() => bucket.take())).toEqual([0, 0, 0, 100, 200])
  vi.advanceTimersByTime(200)
  expect(bucket.take()).toBeCloseTo(100)
})

test('is never fuller than at the start', () => {
  const bucket = createTokenBucket(2, 10)
  vi.advanceTimersByTime(3_600_000)
  expect([1, 2, 3].map(() => bucket.take())).toEqual([0, 0, 100])
})
