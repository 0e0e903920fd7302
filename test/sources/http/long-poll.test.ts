import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Fetched } from '../../../lib/sources/contract.ts'
import { createLongPoll } from '../../../lib/sources/http/long-poll.ts'
import { StatusError } from '../../../lib/sources/http/status-error.ts'

// It goes as the fake timers do.
vi.mock('../../../lib/time/steady-clock.ts', () => ({ steadyNow: () => performance.now() }))

const HOUR_MS = 3_600_000
const PAUSE_MS = 30_000
const KNOWN: Fetched = { bytes: new Uint8Array(), tag: '"1"' }

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  vi.spyOn(Math, 'random').mockReturnValue(1)
})

afterEach(() => {
  vi.useRealTimers()
})

/** Asks an API that fails, and that may say when to come back. */
async function start(retry_after_ms?: number, longest_ms = 35_000) {
  const get = vi.fn((_signal: AbortSignal, _last: string | undefined): Promise<Fetched> => {
    return Promise.reject(new StatusError(503, 'http://api/', retry_after_ms))
  })
  const poll = createLongPoll({ get, longest_ms, pause_ms: PAUSE_MS })
  poll.saw(KNOWN, undefined)
  const stop = poll.watch(() => undefined)
  await vi.advanceTimersByTimeAsync(0)
  expect(get).toHaveBeenCalledTimes(1)
  return { poll, get, stop }
}

describe('after a failure', () => {
  test('it waits longer each time, and no longer than an API that holds nothing back is left alone', async () => {
    const { get, stop } = await start()
    for (const [index, wait_ms] of [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].entries()) {
      await vi.advanceTimersByTimeAsync(wait_ms - 1)
      expect(get).toHaveBeenCalledTimes(index + 1)
      await vi.advanceTimersByTimeAsync(1)
      expect(get).toHaveBeenCalledTimes(index + 2)
    }
    stop()
  })

  test.each([999_999_999_000, Number.POSITIVE_INFINITY])(
    'a Retry-After of %d ms counts for an hour',
    async (asked_ms) => {
      const { get, stop } = await start(asked_ms)
      await vi.advanceTimersByTimeAsync(HOUR_MS - 1)
      expect(get).toHaveBeenCalledTimes(1)
      await vi.advanceTimersByTimeAsync(PAUSE_MS + 1)
      expect(get).toHaveBeenCalledTimes(2)
      stop()
    },
  )

  test('a poll that went well ends the wait', async () => {
    const { poll, get, stop } = await start(HOUR_MS)
    await vi.advanceTimersByTimeAsync(1000)
    poll.saw({ unchanged: true }, '"1"')
    await vi.advanceTimersByTimeAsync(0)
    expect(get).toHaveBeenCalledTimes(2)
    stop()
    poll.saw({ unchanged: true }, '"1"')
    await vi.advanceTimersByTimeAsync(HOUR_MS * 2)
    expect(get).toHaveBeenCalledTimes(2)
    expect(vi.getTimerCount()).toBe(0)
  })
})

test('an API that does not hold its answers back is not asked sooner for a poll that went well', async () => {
  const { poll, get, stop } = await start()
  get.mockResolvedValue({ unchanged: true })
  await vi.advanceTimersByTimeAsync(500)
  expect(get).toHaveBeenCalledTimes(2)
  poll.saw({ unchanged: true }, '"1"')
  await vi.advanceTimersByTimeAsync(PAUSE_MS - 1)
  expect(get).toHaveBeenCalledTimes(2)
  await vi.advanceTimersByTimeAsync(1)
  expect(get).toHaveBeenCalledTimes(3)
  stop()
})

test('a deadline beyond what a timer can wait is none that is over at once', async () => {
  const { get, stop } = await start(undefined, 2 ** 31 + 30_000)
  get.mockImplementation((signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal))))
  await vi.advanceTimersByTimeAsync(500)
  expect(get).toHaveBeenCalledTimes(2)
  await vi.advanceTimersByTimeAsync(HOUR_MS)
  expect(get).toHaveBeenCalledTimes(2)
  stop()
  await vi.advanceTimersByTimeAsync(0)
  expect(get.mock.lastCall?.[0].aborted).toBe(true)
})

describe('an answer', () => {
  const bytes = (tag: string): Fetched => ({ bytes: new Uint8Array(), tag })

  /** Asks for what comes after "1"; what is answered, and when, is for the test to say. */
  async function ask() {
    const answers: ((fetched: Fetched) => void)[] = []
    const get = vi.fn(() => new Promise<Fetched>((resolve) => answers.push(resolve)))
    const changed = vi.fn()
    const poll = createLongPoll({ get, longest_ms: 35_000, pause_ms: PAUSE_MS })
    poll.saw(KNOWN, undefined)
    const stop = poll.watch(changed)
    await vi.advanceTimersByTimeAsync(0)
    async function answer(fetched: Fetched) {
      answers.shift()?.(fetched)
      await vi.advanceTimersByTimeAsync(0)
    }
    return { poll, get, changed, answer, stop }
  }

  test('is taken once, by who asks for what comes after the same', async () => {
    const { poll, changed, answer, stop } = await ask()
    await answer(bytes('"2"'))
    expect(changed).toHaveBeenCalledTimes(1)
    expect([poll.take('"1"')?.tag, poll.take('"1"')]).toEqual(['"2"', undefined])
    stop()
  })

  test('is taken by who asks for what comes after an earlier one that nobody has taken', async () => {
    const { poll, answer, stop } = await ask()
    await answer(bytes('"2"'))
    await answer(bytes('"3"'))
    expect(poll.take('"1"')?.tag).toBe('"3"')
    stop()
  })

  test('is not taken by who has something else by now', async () => {
    const { poll, answer, stop } = await ask()
    await answer(bytes('"2"'))
    expect([poll.take('"3"'), poll.take('"1"')]).toEqual([undefined, undefined])
    stop()
  })

  test('is not taken once it is five seconds old', async () => {
    const { poll, answer, stop } = await ask()
    await answer(bytes('"2"'))
    await vi.advanceTimersByTimeAsync(5000)
    expect(poll.take('"1"')).toBeUndefined()
    stop()
  })

  test('counts for nothing where an ordinary fetch has brought something while it was on its way', async () => {
    const { poll, get, changed, answer, stop } = await ask()
    poll.saw(bytes('"3"'), '"1"')
    await answer(bytes('"2"'))
    expect([poll.take('"1"'), poll.take('"3"')]).toEqual([undefined, undefined])
    expect(changed).not.toHaveBeenCalled()
    expect(get).toHaveBeenLastCalledWith(expect.anything(), '"3"')
    stop()
  })
})
