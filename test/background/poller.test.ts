import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Poller, type Schedule, startPoller } from '../../lib/background/poller.ts'

const SCHEDULE: Schedule = { interval_ms: 1000, jitter_ms: 100, at_init: true }
let poller: Poller | undefined

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  poller?.stop()
  vi.useRealTimers()
})

/** Starts a poller whose random numbers are all `random`, and whose polls each take a microtask. */
function start(
  schedule: Partial<Schedule>,
  random = 0.5,
  poll = vi.fn(async (): Promise<number | undefined> => undefined),
) {
  vi.spyOn(Math, 'random').mockReturnValue(random)
  poller = startPoller(poll, { ...SCHEDULE, ...schedule })
  return poll
}

/** The times of all polls within some milliseconds from the start, in milliseconds after it. */
async function times(poll: ReturnType<typeof start>, for_ms: number): Promise<number[]> {
  const begin = Date.now()
  const at: number[] = poll.mock.calls.map(() => 0)
  const implementation = poll.getMockImplementation()
  poll.mockImplementation(() => {
    at.push(Date.now() - begin)
    return implementation?.() ?? Promise.resolve(undefined)
  })
  await vi.advanceTimersByTimeAsync(for_ms)
  return at
}

describe('the first poll', () => {
  test('comes at once, but not before the caller has the poller', async () => {
    const poll = start({})
    expect(poll).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(0)
    expect(poll).toHaveBeenCalledTimes(1)
  })

  test('comes after an interval and its jitter where so asked', async () => {
    expect(await times(start({ at_init: false }, 0.5), 1050)).toEqual([1050])
  })

  test('never comes when the poller is stopped first', async () => {
    const poll = start({})
    poller?.stop()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(poll).not.toHaveBeenCalled()
  })
})

describe('the waits', () => {
  test.each([
    [0, [0, 0, 1000, 2000]],
    [0.5, [0, 500, 1550, 2600]],
    [0.99, [0, 990, 2089, 3188]],
  ])('with chance at %s: the second is spread over the interval, the others jittered', async (random, expected) => {
    const at = await times(start({}, random), 3199)
    expect(at.slice(0, 4)).toEqual(expected)
  })

  test('without jitter are all alike', async () => {
    expect(await times(start({ at_init: false, jitter_ms: 0 }), 4000)).toEqual([1000, 2000, 3000, 4000])
  })

  test('begin when the poll is over, however it ended', async () => {
    let settle = { resolve() {}, reject() {} }
    const poll = vi.fn(
      () =>
        new Promise<undefined>((resolve, reject) => {
          settle = { resolve: () => resolve(undefined), reject: () => reject(new Error('x')) }
        }),
    )
    start({ at_init: false, jitter_ms: 0 }, 0, poll)
    await vi.advanceTimersByTimeAsync(1000)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(poll).toHaveBeenCalledTimes(1)
    settle.resolve()
    await vi.advanceTimersByTimeAsync(999)
    expect(poll).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(poll).toHaveBeenCalledTimes(2)
    settle.reject()
    await vi.advanceTimersByTimeAsync(1000)
    expect(poll).toHaveBeenCalledTimes(3)
  })

  test('are as long as the poll asks for, once', async () => {
    const poll = vi.fn(async (): Promise<number | undefined> => undefined)
    poll.mockResolvedValueOnce(5000)
    start({ jitter_ms: 0 }, 0.5, poll)
    await vi.advanceTimersByTimeAsync(4999)
    expect(poll).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(poll).toHaveBeenCalledTimes(2)
    await vi.advanceTimersByTimeAsync(1000)
    expect(poll).toHaveBeenCalledTimes(3)
  })

  test('longer than timers can wait are no busy loop', async () => {
    const poll = start(
      {},
      0.5,
      vi.fn(async () => Number.POSITIVE_INFINITY),
    )
    await vi.advanceTimersByTimeAsync(1_000_000)
    expect(poll).toHaveBeenCalledTimes(1)
  })

  test('do not follow the wall’s clock when it jumps', async () => {
    const poll = start({ at_init: false, jitter_ms: 0 })
    await vi.advanceTimersByTimeAsync(500)
    vi.setSystemTime(Date.now() + 86_400_000)
    await vi.advanceTimersByTimeAsync(499)
    expect(poll).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(poll).toHaveBeenCalledTimes(1)
    vi.setSystemTime(Date.now() - 2 * 86_400_000)
    await vi.advanceTimersByTimeAsync(1000)
    expect(poll).toHaveBeenCalledTimes(2)
  })

  test('keep no process alive', () => {
    const unref = vi.spyOn(globalThis, 'setTimeout')
    start({ at_init: false })
    const timer = unref.mock.results[0]?.value as NodeJS.Timeout
    expect(timer.hasRef()).toBe(false)
  })
})

describe('the time of the next poll', () => {
  test('is known while waiting, and not while polling or after stop()', async () => {
    let resolve: (wait: undefined) => void = () => undefined
    start(
      { at_init: false },
      0.5,
      vi.fn(
        () =>
          new Promise<undefined>((done) => {
            resolve = done
          }),
      ),
    )
    expect(poller?.next_at()).toBe(Date.now() + 1050)
    await vi.advanceTimersByTimeAsync(1050)
    expect(poller?.next_at()).toBeNull()
    resolve(undefined)
    await vi.advanceTimersByTimeAsync(0)
    expect(poller?.next_at()).toBe(Date.now() + 1050)
    poller?.stop()
    expect(poller?.next_at()).toBeNull()
  })
})

test('a stop during a poll leaves no timer behind', async () => {
  let resolve: (wait: undefined) => void = () => undefined
  const poll = start(
    {},
    0.5,
    vi.fn(
      () =>
        new Promise<undefined>((done) => {
          resolve = done
        }),
    ),
  )
  await vi.advanceTimersByTimeAsync(0)
  poller?.stop()
  resolve(undefined)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(poll).toHaveBeenCalledTimes(1)
  expect(vi.getTimerCount()).toBe(0)
})
