import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createNotices } from '../../lib/background/notices.ts'
import type { Refresh } from '../../lib/background/refresh.ts'
import { StatusError } from '../../lib/sources/http/status-error.ts'

// It goes as the fake timers do.
vi.mock('../../lib/time/steady-clock.ts', () => ({ steadyNow: () => performance.now() }))

const UNCHANGED: Refresh = { updated: false, reason: 'unchanged', error: undefined }
const FAILED: Refresh = { updated: false, reason: 'fetch', error: new Error('down') }

/** Refreshes that end when the test says so. */
function create() {
  const pending: ((result: Refresh) => void)[] = []
  const refresh = vi.fn(() => new Promise<Refresh>((resolve) => pending.push(resolve)))
  const notices = createNotices(refresh)
  const end = async (result = UNCHANGED) => {
    pending.shift()?.(result)
    await vi.advanceTimersByTimeAsync(0)
  }
  return { notices, refresh, end }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

describe('a notice', () => {
  test('brings a refresh at once', () => {
    const { notices, refresh } = create()
    notices.notify()
    expect(refresh).toHaveBeenCalledTimes(1)
  })

  test('that comes while one is under way brings another, however many come', async () => {
    const { notices, refresh, end } = create()
    for (let count = 0; count < 100; count += 1) notices.notify()
    expect(refresh).toHaveBeenCalledTimes(1)
    await end()
    expect(refresh).toHaveBeenCalledTimes(2)
    await end()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(refresh).toHaveBeenCalledTimes(2)
  })

  test('is not lost when the refresh throws', async () => {
    const refresh = vi.fn<() => Promise<Refresh>>().mockRejectedValueOnce(new Error('x')).mockResolvedValue(UNCHANGED)
    const notices = createNotices(refresh)
    notices.notify()
    notices.notify()
    await vi.advanceTimersByTimeAsync(0)
    expect(refresh).toHaveBeenCalledTimes(2)
  })

  test('after the end does nothing', async () => {
    const { notices, refresh, end } = create()
    notices.notify()
    notices.notify()
    notices.stop()
    await end()
    notices.notify()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(refresh).toHaveBeenCalledTimes(1)
  })
})

test('a flood of notices brings ten refreshes at once, and ten a second after that', async () => {
  const refresh = vi.fn(async () => UNCHANGED)
  const notices = createNotices(refresh)
  for (let ms = 0; ms < 3000; ms += 1) {
    notices.notify()
    await vi.advanceTimersByTimeAsync(1)
  }
  expect(refresh.mock.calls.length).toBeGreaterThan(35)
  expect(refresh.mock.calls.length).toBeLessThanOrEqual(41)
})

describe('what was noticed and could not be fetched', () => {
  test('is tried again, less and less often, and left to the polls in the end', async () => {
    const { notices, refresh, end } = create()
    notices.notify()
    for (let tries = 1; tries <= 6; tries += 1) {
      expect(refresh).toHaveBeenCalledTimes(tries)
      await end(FAILED)
      await vi.advanceTimersByTimeAsync(100 * 2 ** (tries - 1))
    }
    await vi.advanceTimersByTimeAsync(60_000)
    expect(refresh).toHaveBeenCalledTimes(6)
    notices.notify()
    expect(refresh).toHaveBeenCalledTimes(7)
  })

  test('is not tried again once it came', async () => {
    const { notices, refresh, end } = create()
    notices.notify()
    await end(FAILED)
    await vi.advanceTimersByTimeAsync(100)
    await end()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(refresh).toHaveBeenCalledTimes(2)
  })

  test('has its tries each time, however often it was given up before', async () => {
    const { notices, refresh, end } = create()
    for (let notice = 0; notice < 3; notice += 1) {
      refresh.mockClear()
      notices.notify()
      for (let tries = 1; tries <= 6; tries += 1) {
        expect(refresh).toHaveBeenCalledTimes(tries)
        await end(FAILED)
        await vi.advanceTimersByTimeAsync(100 * 2 ** (tries - 1))
      }
      await vi.advanceTimersByTimeAsync(60_000)
      expect(refresh).toHaveBeenCalledTimes(6)
    }
  })

  test('is made up for by a poll that goes well', async () => {
    const { notices, refresh, end } = create()
    notices.notify()
    await end(FAILED)
    notices.polled(FAILED)
    notices.polled(UNCHANGED)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(refresh).toHaveBeenCalledTimes(1)
    notices.notify()
    expect(refresh).toHaveBeenCalledTimes(2)
  })

  test('waits for as long as the API asks, up to an hour, or until a poll goes well', async () => {
    const { notices, refresh, end } = create()
    const error = new StatusError(429, 'http://api/', 999_999_999_000)
    notices.notify()
    await end({ updated: false, reason: 'fetch', error })
    notices.notify()
    await vi.advanceTimersByTimeAsync(3_599_000)
    expect(refresh).toHaveBeenCalledTimes(1)
    notices.polled(UNCHANGED)
    expect(refresh).toHaveBeenCalledTimes(2)
    await end({ updated: false, reason: 'fetch', error })
    await vi.advanceTimersByTimeAsync(3_601_000)
    expect(refresh).toHaveBeenCalledTimes(3)
  })
})
