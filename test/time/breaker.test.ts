import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type BreakerEvents, createBreaker } from '../../lib/time/breaker.ts'

// It goes as the fake timers do.
vi.mock('../../lib/time/steady-clock.ts', () => ({ steadyNow: () => performance.now() }))

describe('a breaker', () => {
  const events = { opened: vi.fn<BreakerEvents['opened']>(), closed: vi.fn<BreakerEvents['closed']>() }

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: 1_000_000 })
    // In the middle: the pause is what it is without chance.
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    events.opened.mockReset()
    events.closed.mockReset()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const pass = (ms: number) => vi.advanceTimersByTime(ms)
  const open = (limit = 3) => {
    const breaker = createBreaker(limit, events)
    for (let count = 0; count < limit; count += 1) breaker.failed('failure')
    return breaker
  }

  it('lets everything through, and says nothing, while all goes well', () => {
    const breaker = createBreaker(3, events)
    for (let run = 0; run < 100; run += 1) {
      expect(breaker.allows()).toBe(true)
      breaker.succeeded()
    }
    expect(breaker.quiet).toBe(true)
    expect(breaker.state()).toBe('closed')
    expect(breaker.retry_at()).toBeNull()
    expect(events.opened).not.toHaveBeenCalled()
    expect(events.closed).not.toHaveBeenCalled()
  })

  it('opens after as many failures in a row as its limit', () => {
    const breaker = createBreaker(3, events)
    breaker.failed('failure')
    breaker.failed('failure')
    expect([breaker.state(), breaker.quiet, breaker.allows()]).toEqual(['closed', false, true])
    breaker.failed('failure')
    expect([breaker.state(), breaker.quiet, breaker.allows()]).toEqual(['open', false, false])
    expect(events.opened.mock.calls).toEqual([[{ failures: 3, retry_at: 1_001_000 }]])
    expect(breaker.retry_at()).toBe(1_001_000)
  })

  it('counts failures anew after a success', () => {
    const breaker = createBreaker(3, events)
    for (let round = 0; round < 10; round += 1) {
      breaker.failed('failure')
      breaker.failed('failure')
      breaker.succeeded()
    }
    expect(breaker.quiet).toBe(true)
    expect(events.opened).not.toHaveBeenCalled()
  })

  it('opens after as many overruns within a minute, whatever went well in between', () => {
    const breaker = createBreaker(3, events)
    for (let round = 0; round < 2; round += 1) {
      breaker.failed('overrun')
      breaker.succeeded()
      pass(29_000)
    }
    expect(breaker.state()).toBe('closed')
    breaker.failed('overrun')
    expect(breaker.state()).toBe('open')
    expect(events.opened.mock.calls[0]?.[0].failures).toBe(3)
  })

  it('forgives overruns that are further apart', () => {
    const breaker = createBreaker(3, events)
    for (let round = 0; round < 20; round += 1) {
      breaker.failed('overrun')
      breaker.succeeded()
      pass(30_000)
    }
    expect(events.opened).not.toHaveBeenCalled()
  })

  it('lets one try through when the pause is over, and nothing else until that ends', () => {
    const breaker = open()
    pass(999)
    expect(breaker.allows()).toBe(false)
    pass(1)
    expect(breaker.allows()).toBe(true)
    expect(breaker.state()).toBe('half_open')
    expect(breaker.retry_at()).toBeNull()
    expect([breaker.allows(), breaker.allows()]).toEqual([false, false])
    pass(1e9)
    expect(breaker.allows()).toBe(false)
  })

  it.each([-86_400_000, 86_400_000])(
    'ends its pause when it is over, though the clock is set by %i ms meanwhile',
    (jump) => {
      const breaker = open()
      vi.setSystemTime(Date.now() + jump)
      expect(breaker.allows()).toBe(false)
      pass(1000)
      expect(breaker.allows()).toBe(true)
    },
  )

  it.each(['closed', 'open'] as const)('G60 does not take for its try what began while it was %s', (state) => {
    const breaker = createBreaker(3, events)
    const began = breaker.period()
    for (let count = 0; count < 3; count += 1) breaker.failed('failure')
    const old = state === 'closed' ? began : breaker.period()
    pass(1000)
    breaker.allows()
    breaker.succeeded(old)
    expect(breaker.state()).toBe('half_open')
    breaker.failed('failure', old)
    expect(breaker.state()).toBe('half_open')
    breaker.succeeded(breaker.period())
    expect(breaker.state()).toBe('closed')
  })

  it('grants another try when one could not be made', () => {
    const breaker = open()
    pass(1000)
    breaker.allows()
    breaker.abandoned()
    expect([breaker.state(), breaker.allows(), breaker.state()]).toEqual(['open', true, 'half_open'])
  })

  it('closes when the try goes well, and says so once', () => {
    const breaker = open()
    pass(1000)
    breaker.allows()
    breaker.succeeded()
    breaker.succeeded()
    expect([breaker.state(), breaker.quiet, breaker.allows()]).toEqual(['closed', true, true])
    expect(events.closed).toHaveBeenCalledTimes(1)
  })

  it('has no memory of what was before it closed', () => {
    const breaker = createBreaker(2, events)
    breaker.failed('overrun')
    breaker.failed('overrun')
    pass(1000)
    breaker.allows()
    breaker.succeeded()
    breaker.failed('overrun')
    expect(breaker.state()).toBe('closed')
  })

  it.each(['failure', 'overrun'] as const)('opens again at once when the try ends in a %s', (strike) => {
    const breaker = open()
    pass(1000)
    breaker.allows()
    breaker.failed(strike)
    expect(breaker.state()).toBe('open')
    expect(events.opened).toHaveBeenCalledTimes(2)
  })

  it('doubles its pause from try to try, up to a minute', () => {
    const breaker = open()
    const pauses: number[] = []
    for (let round = 0; round < 10; round += 1) {
      const pause = (breaker.retry_at() as number) - Date.now()
      pauses.push(pause)
      pass(pause)
      breaker.allows()
      breaker.failed('failure')
    }
    expect(pauses.map((pause) => pause / 1000)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60, 60])
  })

  it('begins with the shortest pause again once it was closed', () => {
    const breaker = open()
    for (const pause of [1000, 2000]) {
      pass(pause)
      breaker.allows()
      breaker.failed('failure')
    }
    pass(4000)
    breaker.allows()
    breaker.succeeded()
    for (let count = 0; count < 3; count += 1) breaker.failed('failure')
    expect((breaker.retry_at() as number) - Date.now()).toBe(1000)
  })

  it('leaves its pause to chance by a quarter, either way', () => {
    for (const [chance, pause] of [
      [0, 750],
      [0.999999, 1250],
    ] as const) {
      vi.mocked(Math.random).mockReturnValue(chance)
      expect(((open().retry_at() as number) - Date.now()) / pause).toBeCloseTo(1, 3)
    }
  })

  it('takes no notice of failures that come while it is open', () => {
    const breaker = open()
    const before = breaker.retry_at()
    for (let count = 0; count < 10; count += 1) breaker.failed('overrun')
    expect(breaker.retry_at()).toBe(before)
    expect(events.opened).toHaveBeenCalledTimes(1)
  })

  it('never opens with a limit of 0', () => {
    const breaker = createBreaker(0, events)
    for (let count = 0; count < 1000; count += 1) breaker.failed('overrun')
    expect(breaker.allows()).toBe(true)
    expect(events.opened).not.toHaveBeenCalled()
  })
})
